"""The scored run that people review on every server, what came of it, and what goes wrong on the way."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import Result

from lossrank.review.records import record_id
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.servers.process import RealServer
from tests.support import ROOT
from tests.support.facts import counts
from tests.support.tiny import CLASSES, make_texts

Decisions = dict[int, tuple[str, str | None, str]]


def make_news(bundle: ModelBundle, folder: Path) -> RunDirectory:
    """600 scored rows, one of them with a text of every kind."""
    texts = make_texts(600, longest=40)
    texts[7] = "<script>alert(1)</script> & $text \u2028 😀 \t 'w1' w2"
    labels = [CLASSES[row % 4] for row in range(600)]
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "news.parquet")
    score_dataset(bundle, folder / "news.parquet", folder / "run", ScoreOptions(threads=1))
    return RunDirectory.open(folder / "run")


def given(row: int) -> str:
    return CLASSES[row % 4]


def other(row: int) -> str:
    return CLASSES[(row + 1) % 4]


def id_of(run: RunDirectory, row: int) -> str:
    return record_id(run.data_fingerprint, row)


def decisions(run: RunDirectory) -> Decisions:
    """Return each decided row's verdict, label and annotator."""
    with DecisionStore(run) as store:
        return {row: (one.verdict, one.label, one.annotator) for row, one in store.current().items()}


def refusal(result: Result) -> str:
    """Return the one line that a command said before it did anything, but for where it was to pull from."""
    *before, line = result.stderr.splitlines(keepends=True)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert len(before) <= 1
    return line


def crash_in_mid_log(server: RealServer, run: RunDirectory, name: str, chunk: int) -> None:
    """Log all rows to a server that crashes among them and comes back."""
    with _logging(server, run, name, chunk) as process:
        server.kill()
        assert process.stderr is not None
        assert any("waiting" in line for line in process.stderr)
        assert process.poll() is None
        server.start()
        stdout, stderr = process.communicate(timeout=180)
    assert counts(stdout.splitlines()[0]) == [600, 600, 0, 0], stderr
    assert process.returncode == 0
    assert sorted(server.rows(name)) == list(range(600))


def kill_in_mid_log(server: RealServer, run: RunDirectory, name: str, chunk: int) -> int:
    """End a log of all rows as `kill -9` does, and return how many are there."""
    with _logging(server, run, name, chunk) as process:
        process.kill()
        process.communicate(timeout=60)
    time.sleep(1)  # a chunk may be on its way
    there = len(server.rows(name))
    assert 3 * chunk <= there < 600
    return there


@contextlib.contextmanager
def _logging(server: RealServer, run: RunDirectory, name: str, chunk: int) -> "Iterator[subprocess.Popen[str]]":
    """Give a `lossrank log` of all rows, in a process of its own, of which three chunks have arrived."""
    arguments = ["log", str(run.path), "--to", server.tool, "--name", name, "--top", "600", "--chunk-size", str(chunk)]
    command = [sys.executable, "-c", "from cli.main import run; run()", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while len(server.rows(name)) < 3 * chunk:
            assert process.poll() is None
        yield process
