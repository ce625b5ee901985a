"""Too little memory, and no more threads, are one line; what was finished is kept."""

import builtins
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle
from scorer.model.tokenizer import BundleTokenizer, TokenWindow
from scorer.run.status import run_status
from tests.scorer.pipeline.test_disk_faults import shards
from tests.support.commands import error_line, listed_shards
from tests.support.facts import tells

Lossrank = Callable[..., click.testing.Result]
Score = Callable[..., click.testing.Result]
MEND = "close other programs, or use a machine or a limit with more"


@pytest.fixture
def score(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path) -> Score:
    """Score into a run of that name, one shard after the other."""

    def call(run: str, *more: str) -> click.testing.Result:
        options = ["--shard-rows", 100, "--threads", 1, "--log-file", tmp_path / "log.jsonl"]
        return lossrank("score", tiny_bundle.path, data, "-o", tmp_path / run, *options, *more)

    return call


def check_resumed(score: Score, folder: Path, kept: int) -> None:
    assert listed_shards(folder / "run") == kept
    assert score("run").exit_code == 0
    assert score("whole").exit_code == 0
    assert shards(folder / "run") == shards(folder / "whole")


@contextlib.contextmanager
def harmed(harm: Callable[[], object]) -> Iterator[None]:
    """Have the sixth window that is tokenised come to harm."""
    calls = iter(range(100))

    def tokenise(self: BundleTokenizer, texts: list[str], pairs: list[str] | None = None) -> TokenWindow:
        if next(calls) == 5:
            harm()
        return real(self, texts, pairs)

    real = BundleTokenizer.tokenise_short
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BundleTokenizer, "tokenise_short", tokenise)
        yield


def stop() -> None:
    raise KeyboardInterrupt


def fail() -> None:
    raise RuntimeError("not a line for users")


def test_too_little_memory_in_mid_run(score: Score, tmp_path: Path) -> None:
    with harmed(lambda: np.ones((1 << 25, 1 << 25))):
        failed = score("run")
    assert failed.exit_code == 1
    reason = "Unable to allocate 8.00 PiB for an array with shape (33554432, 33554432) and data type float64"
    assert error_line(failed) == f"Error: not enough memory ({reason}); {MEND}"
    assert tells(failed.stderr, tmp_path / "run", "same command again")
    assert reason in (run_status(tmp_path / "run").why or "")
    told = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert told["event"] == "error"
    assert reason in told["message"]
    check_resumed(score, tmp_path, kept=4)  # the fifth was with the model


def test_no_more_threads(score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        if self.name.startswith("model"):
            raise RuntimeError("can't start new thread")
        real(self)

    real = threading.Thread.start

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        failed = score("run")
    assert failed.exit_code == 1
    assert error_line(failed) == f"Error: the system allows no more threads, or has no memory for one; {MEND}"
    assert run_status(tmp_path / "run").why == "RuntimeError: can't start new thread"
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["message"] == "can't start new thread"
    check_resumed(score, tmp_path, kept=0)


@pytest.fixture(
    params=[
        (pa.ArrowMemoryError("malloc of size 64 failed"), "not enough memory (malloc of size 64 failed)"),
        (
            pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily unavailable"),
            "the system allows no more threads, or has no memory for one",
        ),
    ],
    ids=["memory", "threads"],
)
def unread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """No Parquet file can be read for a shortage; how that is told."""
    error, told = request.param

    def fail(self: pq.ParquetFile, *args: object, **kwargs: object) -> NoReturn:
        raise error

    for name in ("read", "iter_batches", "read_row_group"):
        monkeypatch.setattr(pq.ParquetFile, name, fail)
    return f"Error: {told}; {MEND}"


def test_a_shortage_is_no_fault_of_the_data(score: Score, unread: str) -> None:
    assert error_line(score("run")) == unread


@pytest.mark.parametrize("call", ["rank RUN -o OUT/worst.csv", "report RUN -o OUT/report.html", "verify RUN"])
def test_a_shortage_is_no_fault_of_a_shard(
    lossrank: Lossrank, run: Path, tmp_path: Path, call: str, unread: str
) -> None:
    failed = lossrank(*call.replace("RUN", str(run)).replace("OUT", str(tmp_path)).split())
    assert failed.exit_code == 1
    assert error_line(failed) == unread
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("said", ["std::bad_alloc", "libx.so: failed to map segment from shared object"])
def test_too_little_memory_to_load_onnxruntime(score: Score, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, *args: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(said)
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", fail)
    assert error_line(score("run")) == f"Error: not enough memory (onnxruntime does not load: {said}); {MEND}"


def test_overwrite_is_not_advised_to_go_on(score: Score, tmp_path: Path) -> None:
    with harmed(stop):
        stopped = score("run", "--overwrite")
    assert stopped.exit_code == 130
    assert tells(stopped.stderr, tmp_path / "run", "same command without --overwrite")


def test_what_is_a_fault_of_the_program_is_not_the_users(score: Score) -> None:
    with harmed(fail), pytest.raises(RuntimeError, match="not a line for users"):
        score("run")
