"""A terminal that is closed under a run: it ends in order, or goes on under nohup."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle
from scorer.status import run_status
from tests.test_cli import ROOT, command_line, listed_shards

# With the terminal as its own, as a shell's job has it.
IN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from cli.entry import main; main()"


@pytest.fixture
def arguments(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> list[str]:
    pq.write_table(pa.concat_tables([rows] * 200), tmp_path / "many.parquet")
    given = ["score", tiny_bundle.path, tmp_path / "many.parquet", "-o", tmp_path / "run", "--shard-rows", 1000]
    return [*map(str, given), "--threads", "1", "--log-file", str(tmp_path / "log.jsonl")]


def test_a_closed_terminal_ends_a_run_in_order(arguments: list[str], tmp_path: Path) -> None:
    here, there = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *arguments],
        cwd=ROOT,
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        if select.select([here], [], [], 0.01)[0]:
            os.read(here, 65_536)
    os.close(here)
    assert process.wait(60) == 129
    status = run_status(tmp_path / "run")
    assert status.why == "interrupted"
    assert 0 < status.done < status.rows
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "interrupted"


def test_under_nohup_a_run_goes_on(arguments: list[str], tmp_path: Path) -> None:
    command = ["nohup", *command_line(*arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert listed_shards(tmp_path / "run") < 200
    process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 0
    assert run_status(tmp_path / "run").why == "finished"


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_cut_the_tidying_up(first: signal.Signals) -> None:
    """A service manager may send both."""
    code = (
        "import os, sys, cli.entry as entry\n"
        "entry.stop_on_signals()\n"
        "try:\n"
        f"    os.kill(os.getpid(), {int(first)})\n"
        "except KeyboardInterrupt as error:\n"
        f"    os.kill(os.getpid(), {int(signal.SIGTERM)}); os.kill(os.getpid(), {int(signal.SIGHUP)})\n"
        "    sys.exit(entry.exit_code(error))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 128 + first
