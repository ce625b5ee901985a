"""Faults of the disk while a run's files are written: one line, nothing lost, and the same bytes in the end."""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pytest

from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, score_dataset
from scorer.audit.verify import verify
from tests.support.commands import error_line
from tests.support.facts import facts, tells

Lossrank = Callable[..., click.testing.Result]

OPTIONS = ScoreOptions(shard_rows=100, threads=1)
FULL = facts("no space", "disk")


def shards(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run / "scores").iterdir()}


def check_whole(tiny_bundle: ModelBundle, rows: pa.Table, run: Path, whole: Path, kept: int) -> None:
    """Go on with a run that a fault ended, and make sure that only ``kept`` rows were kept and nothing differs."""
    assert not list(run.rglob("*.tmp"))
    assert verify(run).sound
    assert len(RunDirectory.read(run).shards) * 100 == kept
    assert score_dataset(tiny_bundle, rows, run, OPTIONS).kept_rows == kept
    assert shards(run) == shards(whole)
    assert verify(run).complete


@pytest.fixture
def whole(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Path:
    score_dataset(tiny_bundle, rows, tmp_path / "whole", OPTIONS)
    return tmp_path / "whole"


def test_a_disk_that_is_full_when_the_manifest_is_written(
    tiny_bundle: ModelBundle, rows: pa.Table, whole: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    filler = small_disk / "filler"
    save = RunDirectory.save

    def fill_first(run: RunDirectory) -> None:
        if len(run.shards) == 4:  # the fourth shard is written, and not listed yet
            with filler.open("ab", buffering=0) as stream:
                try:
                    while stream.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
        save(run)

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "save", fill_first)
        with pytest.raises(RunError, match=FULL):
            score_dataset(tiny_bundle, rows, small_disk / "run", OPTIONS)
    assert len(shards(small_disk / "run")) == 4
    filler.unlink()
    check_whole(tiny_bundle, rows, small_disk / "run", whole, kept=300)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may be larger than 10,000 bytes, as with `ulimit -f`."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_that_may_not_be_that_large_is_named(
    run: Path, lossrank: Lossrank, small_files: None, tmp_path: Path
) -> None:
    for name in ("worst.csv", "worst.jsonl", "worst.parquet"):
        refused = error_line(lossrank("rank", run, "--top", 1000, "-o", tmp_path / name))
        assert tells(refused, tmp_path / name, "File too large", "`ulimit -f`")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(("name", "nth", "kept"), [("part-00004.parquet", 1, 400), ("run.json", 4, 200)])
def test_a_disk_that_is_full_at_the_rename(
    tiny_bundle: ModelBundle,
    rows: pa.Table,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    nth: int,
    kept: int,
    error: int,
) -> None:
    replace = Path.replace
    seen = 0

    def failing(path: Path, target: Any) -> Path:
        nonlocal seen
        seen += Path(target).name == name
        if seen >= nth and Path(target).name == name:
            raise OSError(error, os.strerror(error), str(path))
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", failing)
        with pytest.raises(RunError, match=FULL):
            score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    check_whole(tiny_bundle, rows, tmp_path / "run", whole, kept)


def test_the_summary_that_could_not_be_written_is_written_next_time(
    tiny_bundle: ModelBundle, rows: pa.Table, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = RunDirectory.save

    def failing(run: RunDirectory) -> None:
        if run.manifest.summary is not None:
            raise RunError("no space left")
        save(run)

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "save", failing)
        with pytest.raises(RunError, match="no space left"):
            score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    check_whole(tiny_bundle, rows, tmp_path / "run", whole, kept=1000)
