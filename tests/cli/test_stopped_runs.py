"""Runs that a signal ends, or a kill: what they say, what they keep, and that they go on byte for byte."""

import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support import SOAK
from tests.support.commands import Lossrank, error_line, listed_shards, start, wait_for_shards
from tests.support.facts import tells

SHARDS = 60


@pytest.fixture(scope="module")
def many(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12,000 rows in a file: 60 shards of 200."""
    file = tmp_path_factory.mktemp("many") / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 12), file)
    return file


@pytest.fixture
def arguments(tiny_bundle: ModelBundle, many: Path, tmp_path: Path) -> list[object]:
    """The command that scores them."""
    return ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 200, "--threads", 1]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGINT, 130),
        *(pytest.param(*each, marks=SOAK) for each in ((signal.SIGHUP, 129), (signal.SIGTERM, 143))),
    ],
)
def test_ctrl_c_sighup_and_sigterm_stop_cleanly_and_say_how_to_go_on(
    lossrank: Lossrank, arguments: list[object], tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    process = start(*arguments)
    wait_for_shards(tmp_path / "run")
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert tells(stderr, tmp_path / "run")
    assert "Traceback" not in stderr
    kept = listed_shards(tmp_path / "run")
    assert 0 < kept < SHARDS
    assert not list((tmp_path / "run").rglob("*.tmp"))
    found = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
    assert (found["state"], found["done"], found["rows"]) == ("interrupted", kept * 200, SHARDS * 200)
    unfinished = lossrank("rank", tmp_path / "run")
    assert tells(error_line(unfinished), tmp_path / "run", "finished")
    done = lossrank(*arguments)
    assert done.exit_code == 0
    assert re.search(rf"12,000 \({kept * 200:,} ", done.stdout)
    assert RunDirectory.open(tmp_path / "run").missing_shards() == []


@pytest.fixture(scope="module")
def whole(tiny_bundle: ModelBundle, many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards of a run that nothing stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    score_dataset(tiny_bundle, many, run, ScoreOptions(shard_rows=200, threads=1))
    return run / "scores"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 8))])
def test_kill_9_twice_then_resume_is_byte_for_byte_the_same(
    lossrank: Lossrank, arguments: list[object], whole: Path, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    scores = tmp_path / "run" / "scores"
    for _ in range(2):
        process = start(*arguments)
        wanted = len(list(scores.glob("part-*"))) + moments.randint(1, 20)
        deadline = time.monotonic() + 60
        while process.poll() is None and len(list(scores.glob("part-*"))) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    result = lossrank(*arguments)
    assert result.exit_code == 0
    assert re.search(r"rows +12,000 \([1-9]", result.stdout)
    names = sorted(file.name for file in whole.iterdir())
    assert sorted(file.name for file in scores.iterdir()) == names
    assert len(names) == SHARDS
    for name in names:
        assert (scores / name).read_bytes() == (whole / name).read_bytes()


def test_a_second_score_is_refused_by_name_while_the_first_goes_on(
    lossrank: Lossrank, arguments: list[object], tmp_path: Path
) -> None:
    first = start(*arguments)
    wait_for_shards(tmp_path / "run")
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
    lossrank: Lossrank, arguments: list[object], tmp_path: Path
) -> None:
    process = start(*arguments)
    wait_for_shards(tmp_path / "run")
    process.kill()
    process.communicate()
    assert (tmp_path / "run" / ".lock").read_text() == f"{process.pid}\n"
    seen = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
    assert (seen["state"], seen["pid"], seen["why"]) == ("interrupted", None, "unknown")
    assert lossrank(*arguments).exit_code == 0
    entries = json.loads((tmp_path / "run" / "run.json").read_text())["history"]
    assert [entry["why"] for entry in entries] == ["unknown", "finished"]
