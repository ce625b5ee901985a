"""The files of a source: none twice however it is written, none that comes in mid-run."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, Progress, RunError, ScoreOptions, SourceError, open_source, score_dataset
from scorer.audit.verify import verify
from scorer.data.filesystem import DataFile
from tests.support.facts import facts, tells

Lossrank = Callable[..., click.testing.Result]
OPTIONS = ScoreOptions(shard_rows=200, threads=1)


@pytest.fixture
def folder(rows: pa.Table, tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for i in range(2):
        pq.write_table(rows.slice(500 * i, 500), tmp_path / "d" / f"{i}.parquet")
    return tmp_path / "d"


@pytest.mark.parametrize("again", ["d/0.parquet", "d/../d/0.parquet", "d/./*.parquet", "d", "link", "other/0.parquet"])
def test_a_file_is_given_once_however_it_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "other").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=facts("d/0.parquet", "twice")) as e:
        open_source(["d/0.parquet", again])
    assert str(e.value).startswith(str(folder.resolve()))
    assert open_source(["d/0.parquet", "other/1.parquet"]).num_rows == 1000


def test_files_that_are_the_same_but_in_name_are_two(folder: Path, tmp_path: Path) -> None:
    (folder / "2.parquet").write_bytes((folder / "0.parquet").read_bytes())
    assert open_source([folder / "0.parquet", folder / "2.parquet"]).num_rows == 1000


@pytest.mark.parametrize("data", ["d", "d/*.parquet", "both"])
def test_a_file_that_is_added_in_mid_run_is_named_at_the_end_and_nothing_is_lost(
    folder: Path, rows: pa.Table, tiny_bundle: ModelBundle, tmp_path: Path, data: str
) -> None:
    given = [str(folder / "0.parquet"), f"{folder}/[12].parquet"] if data == "both" else str(tmp_path / data)
    run, new = tmp_path / "run", folder / "2.parquet"

    def add(progress: Progress) -> None:
        if progress.rows >= 300 and not new.exists():
            pq.write_table(rows.slice(0, 10), new)

    with pytest.raises(SourceError, match=facts("2.parquet was added")) as e:
        score_dataset(tiny_bundle, given, run, OPTIONS, on_progress=add)
    manifest = json.loads((run / "run.json").read_text())
    assert len(manifest["shards"]) == 5
    assert manifest["history"][-1]["why"] == f"SourceError: {e.value}"
    with pytest.raises(RunError, match=facts("2.parquet was added", "`reuse`")):
        score_dataset(tiny_bundle, given, run, OPTIONS)
    if data == "d":  # as the message says: by the names of the other files
        given = [str(folder / f"{i}.parquet") for i in range(2)]
    else:
        new.unlink()
    assert score_dataset(tiny_bundle, given, run, OPTIONS).kept_rows == 1000
    assert verify(run).complete


def test_several_files_that_are_added_are_counted(folder: Path, rows: pa.Table) -> None:
    source = open_source(folder)
    source.refuse_added()
    for name in ("_hidden.parquet", ".x.parquet", "notes.txt"):
        (folder / name).write_bytes(b"")
    source.refuse_added()
    for i in range(2, 5):
        pq.write_table(rows, folder / f"{i}.parquet")
    with pytest.raises(SourceError, match=facts("d/2.parquet and 2 more were added")):
        source.refuse_added()


def test_one_line_of_the_command_says_it(
    folder: Path, rows: pa.Table, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cli.commands.score.print_plan", lambda plan: pq.write_table(rows, folder / "9.parquet"))
    refused = lossrank("score", tiny_bundle.path, folder, "-o", tmp_path / "run")
    assert refused.exit_code == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith(f"Error: {folder}/9.parquet was added to the data while it was being read;")
    assert tells(last, "are kept", "score again")
    monkeypatch.undo()
    (folder / "9.parquet").unlink()
    assert lossrank("score", tiny_bundle.path, folder, "-o", tmp_path / "run").exit_code == 0


def test_what_is_wrong_with_a_file_is_said_before_the_others_are_looked_at_and_any_is_read_whole(
    folder: Path, rows: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(1, 80):
        pq.write_table(rows.slice(i, 1), folder / f"{i:02}.parquet")
    (folder / "00.parquet").write_bytes(b"")
    looked_at: list[str] = []
    read: list[str] = []
    version = DataFile.version

    def slow(file: DataFile) -> dict[str, object]:
        looked_at.append(file.name)
        time.sleep(0.02)
        return version(file)

    monkeypatch.setattr(DataFile, "version", slow)
    monkeypatch.setattr(DataFile, "sha256", lambda file: read.append(file.name))
    with pytest.raises(SourceError, match=r"00\.parquet is empty"):
        open_source(folder)
    assert len(looked_at) < 40
    assert read == []


def test_files_are_asked_for_their_versions_several_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(folder)
    together = threading.Barrier(2, timeout=10)
    version = DataFile.version

    def slow(file: DataFile) -> dict[str, object]:
        together.wait()
        return version(file)

    monkeypatch.setattr(DataFile, "version", slow)
    source.refuse_change()
    (folder / "1.parquet").touch()
    with pytest.raises(SourceError, match=facts("1.parquet", "has changed while")):
        source.refuse_change()
