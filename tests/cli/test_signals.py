"""What ends a run from outside, in order: a closed terminal, and a signal while its data stalls."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, Progress, ScoreOptions, SourceError, score_dataset
from scorer.model.tokenizer import BundleTokenizer, TokenWindow
from scorer.pipeline.prefetch import Reader
from scorer.run.status import run_status
from tests.support import ROOT, SOAK
from tests.support.commands import command_line, listed_shards, wait_for_shards
from tests.support.facts import facts, tells

# With the terminal as its own, as a shell's job has it.
IN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from cli.entry import main; main()"


@pytest.fixture
def arguments(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> list[str]:
    pq.write_table(pa.concat_tables([rows] * 12), tmp_path / "many.parquet")
    given = ["score", tiny_bundle.path, tmp_path / "many.parquet", "-o", tmp_path / "run", "--shard-rows", 200]
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
    wait_for_shards(tmp_path / "run")
    assert listed_shards(tmp_path / "run") < 60
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


# Reads five batches, and then nothing for a minute, like a store that has stopped to answer.
STALLING = """
import atexit
import time
from scorer.data.parts import FilePart

def stalling(self, columns, want, read=FilePart.batches):
    for number, batch in enumerate(read(self, columns, want)):
        if number == 5 and "text" in columns:  # not while the labels are counted
            atexit.register(time.sleep, 60)  # as pyarrow waits at its end for a request to S3
            print("stalled", flush=True)
            time.sleep(60)
        yield batch

FilePart.batches = stalling
from cli.entry import main
main()
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=SOAK)])
def test_a_read_that_stalls_holds_up_no_end(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    pq.write_table(pa.concat_tables([rows] * 8), tmp_path / "many.parquet", row_group_size=1000)
    given = ["score", tiny_bundle.path, tmp_path / "many.parquet", "-o", tmp_path / "run", "--shard-rows", 1000]
    process = subprocess.Popen(
        [sys.executable, "-c", STALLING, *map(str, given), "--threads", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stalled\n"
    wait_for_shards(tmp_path / "run", 4)
    sent_at = time.monotonic()
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=120)
    assert time.monotonic() - sent_at < 20
    assert process.returncode == code, stderr
    assert tells(stderr, tmp_path / "run")
    assert "Traceback" not in stderr
    status = run_status(tmp_path / "run")
    assert (status.state, status.why) == ("interrupted", "interrupted")
    assert status.shards_done >= 4


def run_to_its_end(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


# SIGTERM while a thread of the run starts, and before it has begun: a matter of luck otherwise.
WHILE_STARTING = """
import signal, sys, threading, time

def start_and_stop(bootstrap, arguments, start=threading._start_new_thread):
    def late():
        time.sleep(1)
        bootstrap()

    if not bootstrap.__self__.name.startswith(wanted):
        return start(bootstrap, arguments)
    started = start(late, arguments)
    signal.raise_signal(signal.SIGTERM)
    return started

wanted = sys.argv.pop(1)
threading._start_new_thread = start_and_stop
from cli.entry import main
main()
"""


@pytest.mark.parametrize("thread", ["tokenise", "model"])
def test_a_signal_while_a_thread_starts_ends_a_run_in_order(arguments: list[str], tmp_path: Path, thread: str) -> None:
    ended = run_to_its_end(WHILE_STARTING, thread, *arguments)
    assert ended.returncode == 143, ended.stderr
    assert ended.stderr.splitlines()[-1] == "Stopped."
    assert "Traceback" not in ended.stderr
    assert run_status(tmp_path / "run").why == "interrupted"
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["event"] == "interrupted"


# Ctrl-C twice while a batch is with the model, which goes on for two seconds.
BUSY = """
import os, signal, threading, time
from scorer.model.session import OrtSession

def twice():
    for _ in range(2):
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

def busy(self, batch, run=OrtSession.run, calls=iter(range(10**9))):
    if next(calls) == 60:
        threading.Thread(target=twice, daemon=True).start()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            run(self, batch)
    return run(self, batch)

OrtSession.run = busy
from cli.entry import main
main()
"""


def test_a_second_ctrl_c_does_not_wait_for_the_model(arguments: list[str], tmp_path: Path) -> None:
    ended = run_to_its_end(BUSY, *arguments)
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr.splitlines()[-1] == "Stopped."
    assert 0 < run_status(tmp_path / "run").shards_done < 60


# A signal when the end has begun: while it is told, and when Python has given its handlers up.
AT_THE_END = """
import os, signal, sys

class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):
        kill(pid, number)

late = Late()
import cli.main

def echo(message, real=cli.main.click.echo, **options):
    if message == "Stopped.":
        signal.raise_signal(signal.SIGINT)
    real(message, **options)

def interrupted(name):
    raise KeyboardInterrupt

cli.main.click.echo = echo
if sys.argv.pop(1) == "interrupted":
    cli.main.load_command = interrupted
from cli.entry import main
main()
"""


@pytest.mark.parametrize(("end", "code"), [("interrupted", 130), ("finished", 0)])
def test_a_signal_at_the_end_does_not_change_it(run: Path, end: str, code: int) -> None:
    ended = run_to_its_end(AT_THE_END, end, "status", str(run))
    assert ended.returncode == code
    assert ended.stderr == ("Stopped.\n" if end == "interrupted" else "")


def interrupted(self: threading.Thread, start: Callable[[threading.Thread], None] = threading.Thread.start) -> None:
    start(self)
    raise KeyboardInterrupt


def test_a_thread_that_was_interrupted_at_its_start_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), Reader():
        pass
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_what_reads_ahead_is_gone_after_a_run(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    before = threading.active_count()
    options = ScoreOptions(shard_rows=100, threads=1)
    score_dataset(tiny_bundle, rows, tmp_path / "whole", options)
    assert threading.active_count() == before

    def stop(progress: Progress) -> None:
        if progress.rows > 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, rows, tmp_path / "cut", options, on_progress=stop)
    assert threading.active_count() == before


def test_what_a_read_raises_is_the_runs_own_error(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: BundleTokenizer, texts: list[str], pairs: list[str] | None = None) -> TokenWindow:
        raise SourceError(f"{len(texts)} texts in {threading.current_thread().name}")

    monkeypatch.setattr(BundleTokenizer, "tokenise_short", fails)
    with pytest.raises(SourceError, match=facts(100, "tokenise")):
        score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(shard_rows=100, threads=1))
