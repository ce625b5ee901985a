"""hub: a `datasets` split that is streamed has the rows, numbers and class names of one that is downloaded."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory, ScoreOptions, Source, SourceError, join_source, open_source
from scorer import rank as rank_rows
from scorer.pipeline.score import score_dataset
from scorer.run.reopened import reopen_data
from tests.support.facts import facts, tells
from tests.support.manifests import run_of
from tests.support.tiny import CLASSES

datasets = pytest.importorskip("datasets")

N = 5000
TABLE = pa.table({"text": [f"w{i % 50} number {i}" for i in range(N)], "label": [i % 4 for i in range(N)]})


def card(rows: int | None) -> str:
    """Return a data set's README, which names the classes and, if told, says how many rows there are."""
    names = "\n".join(f"          '{i}': {name}" for i, name in enumerate(CLASSES))
    splits = "" if rows is None else f"  splits:\n  - name: train\n    num_bytes: 1\n    num_examples: {rows}\n"
    return (
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n"
        f"      class_label:\n        names:\n{names}\n{splits}---\n"
    )


def folder(path: Path, rows: int | None = N, table: pa.Table = TABLE) -> Path:
    """Write a data set as the hub has it: two Parquet files and a README."""
    path.mkdir(exist_ok=True)
    half = len(table) // 2 + 100
    pq.write_table(table.slice(0, half), path / "train-00000-of-00002.parquet", row_group_size=700)
    pq.write_table(table.slice(half), path / "train-00001-of-00002.parquet", row_group_size=700)
    (path / "README.md").write_text(card(rows))
    return path


def opened(path: Path, split: str = "train") -> Source:
    return open_source(path, split=split, streaming=True)


def texts(source: Source, start: int = 0, stop: int | None = None) -> list[str]:
    return [text for batch in source.read(["text"], start, stop) for text in batch["text"].to_pylist()]


class TestRows:
    @pytest.mark.parametrize("rows", [N, None])
    def test_rows_ranges_and_joins(self, tmp_path: Path, rows: int | None) -> None:
        source = opened(folder(tmp_path / "data", rows))
        assert (source.num_rows, source.name) == (N, "data")
        assert source.label_names == {"label": CLASSES}
        assert texts(source) == TABLE["text"].to_pylist()
        for start, stop in ((0, 1), (2599, 2601), (4095, 4097), (4999, 5000)):
            assert texts(source, start, stop) == TABLE["text"][start:stop].to_pylist()
        assert source.take(np.array([4999, 7, 7])).to_pylist() == TABLE.take([4999, 7, 7]).to_pylist()
        assert len(source.notes) == (0 if rows else 1)
        assert all(tells(note, tmp_path / "data", "split train", "counted") for note in source.notes)

    def test_only_what_lies_before_the_last_wanted_row_is_read(self, tmp_path: Path) -> None:
        source = opened(folder(tmp_path / "data", 2 * N, pa.concat_tables([TABLE, TABLE])))
        (tmp_path / "data" / "train-00001-of-00002.parquet").unlink()
        assert texts(source, 0, 4096) == TABLE["text"][:4096].to_pylist()
        with pytest.raises(SourceError, match=facts("train-00001-of-00002.parquet", "has changed")):
            texts(source, 9990)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # `datasets` leaves the CSV open
    def test_other_formats_without_a_card(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "test.csv").write_text("text,label\n" + "".join(f"w{i},{i % 4}\n" for i in range(30)))
        source = opened(tmp_path / "d", "test")
        assert source.num_rows == 30
        assert source.schema.names == ["text", "label"]
        assert texts(source, 28) == ["w28", "w29"]
        assert "a first pass counted the rows" in source.notes[0]

    @pytest.mark.parametrize(
        ("declared", "what"),
        [
            (4096, "has more rows than the 4,096"),
            (N - 1, "has more rows than the 4,999"),
            (N + 1, "ended after 5,000 of"),
        ],
    )
    def test_a_count_that_is_wrong_is_noticed(self, tmp_path: Path, declared: int, what: str) -> None:
        source = opened(folder(tmp_path / "data", declared))
        assert source.num_rows == declared
        with pytest.raises(SourceError, match=rf"{what}.*without `streaming=True`"):
            texts(source)
        with pytest.raises(SourceError, match=what):
            texts(source, declared - 1, declared)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # `datasets` leaves the CSV open
    def test_rows_that_were_counted_go_before_what_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "train.csv").write_text("text,label\n" + "w1,0\n" * 30)
        said = "---\ndataset_info:\n  splits:\n  - name: train\n    num_bytes: 1\n    num_examples: 7\n---\n"
        (tmp_path / "README.md").write_text(said)
        source = opened(tmp_path)  # the types aren't said, so that it is read once before
        assert (source.num_rows, len(texts(source)), source.notes) == (30, 30, ())


class TestChange:
    def test_the_same_files_have_the_same_fingerprint(self, tmp_path: Path) -> None:
        source = opened(folder(tmp_path / "data"))
        assert source.spec.streaming is True
        assert texts(reopen_data(run_of(source))) == texts(source)
        file = tmp_path / "data" / "train-00000-of-00002.parquet"
        os.utime(file, (2**30, 2**30))
        with pytest.raises(SourceError, match="data has changed since it was scored"):
            reopen_data(run_of(source))
        with pytest.raises(SourceError, match=facts("train-00000-of-00002.parquet", "has changed")):
            source.refuse_change()
        file.unlink()
        with pytest.raises(SourceError, match=facts("train-00000-of-00002.parquet", "has changed")):
            source.refuse_change()

    def test_counted_rows_are_hashed(self, tmp_path: Path) -> None:
        before = opened(folder(tmp_path / "data", None)).fingerprint
        assert opened(tmp_path / "data").fingerprint == before


class TestRun:
    def test_a_run_that_was_cut_off(self, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        data, options = folder(tmp_path / "data"), ScoreOptions(shard_rows=512)

        def stop(progress: Any) -> None:
            if progress.rows > 2000:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score_dataset(tiny_bundle, data, tmp_path / "a", options, split="train", streaming=True, on_progress=stop)
        stats = score_dataset(tiny_bundle, data, tmp_path / "a", options, split="train", streaming=True)
        assert 0 < stats.kept_rows < N
        score_dataset(tiny_bundle, data, tmp_path / "b", options, split="train", streaming=True)
        first, second = ({f.name: f.read_bytes() for f in (tmp_path / n / "scores").iterdir()} for n in "ab")
        assert first == second
        run = RunDirectory.open(tmp_path / "a")
        worst = rank_rows(run, 5)
        assert join_source(run, worst)["text"].to_pylist() == [TABLE["text"][row.row].as_py() for row in worst]

    def test_the_command_says_that_the_rows_were_counted(
        self, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Callable[..., click.testing.Result]
    ) -> None:
        data = folder(tmp_path / "data", None)
        done = lossrank("score", tiny_bundle.path, data, "--split", "train", "--streaming", "-o", tmp_path / "run")
        assert done.exit_code == 0, done.output
        assert tells(done.output, "split train", "counted")
        assert lossrank("rank", tmp_path / "run").exit_code == 0


class TestErrors:
    def test_without_a_split_or_with_a_wrong_one(self, tmp_path: Path) -> None:
        data = folder(tmp_path / "data")
        with pytest.raises(SourceError, match=facts("a split", "`split='test'`")):
            open_source(data, streaming=True)
        with pytest.raises(SourceError, match=r"Bad split: tset\. Available splits: \['train'\]"):
            opened(data, "tset")

    def test_files_are_streamed_anyway(self, tmp_path: Path) -> None:
        data = folder(tmp_path / "data") / "train-00000-of-00002.parquet"
        for path in (data, str(tmp_path / "data" / "*.parquet")):
            with pytest.raises(SourceError, match=facts("`streaming=True`", "`datasets`", "is a file")):
                open_source(path, streaming=True)
        with pytest.raises(SourceError, match=facts("2 paths", "`streaming=True`", "`config`", "single", "name")):
            open_source([data, data], streaming=True)
