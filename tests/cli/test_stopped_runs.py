"""Runs that a signal ends, or a kill: what they say, what they keep, and that they go on byte for byte."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory
from tests.support import ROOT
from tests.support.commands import Lossrank, command_line, error_line, listed_shards, start
from tests.support.facts import tells


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_sighup_and_sigterm_stop_cleanly_and_say_how_to_go_on(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, rows: pa.Table, sent: signal.Signals, code: int
) -> None:
    data = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 200), data)
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert tells(stderr, tmp_path / "run")
    assert "Traceback" not in stderr
    kept = listed_shards(tmp_path / "run")
    assert 0 < kept < 200
    assert not list((tmp_path / "run").rglob("*.tmp"))
    unfinished = lossrank("rank", tmp_path / "run")
    assert tells(error_line(unfinished), tmp_path / "run", "finished")
    done = lossrank(*arguments)
    assert done.exit_code == 0
    assert re.search(rf"200,000 \({kept * 1000:,} ", done.stdout)
    assert RunDirectory.open(tmp_path / "run").missing_shards() == []


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_twice_then_resume_is_byte_for_byte_the_same(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, rows: pa.Table, seed: int
) -> None:
    import random

    moments = random.Random(seed)
    data = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 40), data)
    arguments = ["score", tiny_bundle.path, data, "--shard-rows", 500, "--threads", 1]
    assert lossrank(*arguments, "-o", tmp_path / "whole").exit_code == 0
    for _ in range(2):
        process = start(*arguments, "-o", tmp_path / "run")
        wanted = len(list((tmp_path / "run").glob("scores/part-*"))) + moments.randint(1, 25)
        deadline = time.monotonic() + 60
        while (
            process.poll() is None
            and len(list((tmp_path / "run").glob("scores/part-*"))) < wanted
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)
        time.sleep(moments.random() * 0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    result = lossrank(*arguments, "-o", tmp_path / "run")
    assert result.exit_code == 0
    assert re.search(r"rows +20,000 \([1-9]", result.stdout)
    for file in sorted((tmp_path / "whole" / "scores").iterdir()):
        assert (tmp_path / "run" / "scores" / file.name).read_bytes() == file.read_bytes()
    assert len(list((tmp_path / "run" / "scores").iterdir())) == 80


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_a_shell_sees_of_a_stopped_run(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    many = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 200), many)
    arguments = ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    process = subprocess.Popen(command_line(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    # A shell says 128 + n of a process that signal n ended.
    returned = process.wait(60)
    assert (returned if returned >= 0 else 128 - returned) == code
    found = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
    assert found["state"] == "interrupted"
    assert 0 < found["done"] < found["rows"]


def test_a_second_score_is_refused_by_name_while_the_first_goes_on(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    many = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 200), many)
    arguments = ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    first = start(*arguments)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is at it for as long as it takes to look
    try:
        second = start(*arguments)
        _, stderr = second.communicate(timeout=60)
        seen = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
        verified = lossrank("verify", tmp_path / "run")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert second.returncode == 1
    assert tells(stderr.splitlines()[-1], "Error", tmp_path / "run", f"pid {first.pid}")
    assert (seen["state"], seen["pid"], seen["doing"]) == ("running", first.pid, "scoring")
    assert verified.exit_code == 1
    assert tells(error_line(verified), tmp_path / "run", "lossrank status")
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert lossrank("verify", tmp_path / "run").exit_code == 0


def test_the_lock_of_a_dead_process_holds_nobody_up(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    many = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 100), many)
    arguments = ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert (tmp_path / "run" / ".lock").read_text() == f"{process.pid}\n"
    seen = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
    assert (seen["state"], seen["pid"], seen["why"]) == ("interrupted", None, "unknown")
    assert lossrank(*arguments).exit_code == 0
    entries = json.loads((tmp_path / "run" / "run.json").read_text())["history"]
    assert [entry["why"] for entry in entries] == ["unknown", "finished"]
