"""What can befall the data of a run: rows that can't be read, files that go, shrink, change and come back."""

import bz2
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, SourceError, open_source, score_dataset
from tests.support.commands import error_line
from tests.support.facts import facts, tells
from tests.support.tiny import CLASSES

OPTIONS = ScoreOptions(shard_rows=100)


def shards(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run / "scores").iterdir()}


def parts(folder: Path, rows: pa.Table) -> Path:
    folder.mkdir()
    for i in range(4):
        pq.write_table(rows.slice(i * 250, 250), folder / f"{i}.parquet", row_group_size=60)
    return folder


class TestFilesInMidRun:
    """A run over four files; after 300 rows something happens to one of them."""

    @pytest.fixture
    def cut(self, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Callable[..., str]:
        """Score until ``harm(file)`` is noticed, put the file back, go on, and compare with a run of no fault."""

        def check(name: str, harm: Callable[[Path], Any]) -> str:
            data, run, done = parts(tmp_path / "data", rows), tmp_path / "run", []
            file, safe = data / name, tmp_path / "safe"
            shutil.copy2(file, safe)

            def strike(progress: Any) -> None:
                if progress.rows > 300 and not done:
                    done.append(harm(file))

            with pytest.raises(SourceError) as caught:
                score_dataset(tiny_bundle, data, run, OPTIONS, on_progress=strike)
            kept = shards(run)
            assert len(json.loads((run / "run.json").read_text())["shards"]) == len(kept) >= 2
            shutil.copy2(safe, file)
            stats = score_dataset(tiny_bundle, data, run, OPTIONS)
            assert stats.kept_rows == 100 * len(kept)
            score_dataset(tiny_bundle, data, tmp_path / "whole", OPTIONS)
            assert shards(run) == shards(tmp_path / "whole")
            assert stats.by_status == {"ok": 1000}
            return str(caught.value)

        return check

    @pytest.mark.parametrize("name", ["1.parquet", "3.parquet"])
    def test_deleted(self, cut: Callable[..., str], name: str) -> None:
        assert tells(cut(name, Path.unlink), name, "removed", "restore")

    @pytest.mark.parametrize("name", ["1.parquet", "3.parquet"])
    def test_cut_short_in_place(self, cut: Callable[..., str], name: str) -> None:
        def shrink(file: Path) -> None:
            with file.open("r+b") as stream:
                stream.truncate(100)

        assert f"{name} has changed while it was being read" in cut(name, shrink)

    def test_written_anew(self, cut: Callable[..., str], rows: pa.Table) -> None:
        assert "3.parquet has changed" in cut("3.parquet", lambda file: pq.write_table(rows.slice(0, 250), file))

    def test_one_that_was_read_long_ago_is_noticed_at_the_end(self, cut: Callable[..., str], rows: pa.Table) -> None:
        assert "0.parquet has changed" in cut("0.parquet", lambda file: pq.write_table(rows.slice(500, 250), file))

    def test_changed_between_start_and_resume(self, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
        data = parts(tmp_path / "data", rows)

        def stop(progress: Any) -> None:
            if progress.rows > 300:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score_dataset(tiny_bundle, data, tmp_path / "run", OPTIONS, on_progress=stop)
        before = shards(tmp_path / "run")
        safe = (data / "0.parquet").read_bytes()
        pq.write_table(rows.slice(1, 250), data / "0.parquet")
        with pytest.raises(RunError, match=facts(tmp_path / "run", "data/0.parquet has changed", "`overwrite=True`")):
            score_dataset(tiny_bundle, data, tmp_path / "run", OPTIONS)
        assert shards(tmp_path / "run") == before
        (data / "0.parquet").write_bytes(safe)
        pq.write_table(rows.slice(1, 250), data / "3.parquet")  # none of its rows is scored yet
        assert score_dataset(tiny_bundle, data, tmp_path / "run", OPTIONS).kept_rows == 100 * len(before)
        score_dataset(tiny_bundle, data, tmp_path / "whole", OPTIONS)
        assert shards(tmp_path / "run") == shards(tmp_path / "whole")
        opened = RunDirectory.open(tmp_path / "run")
        assert opened.data_fingerprint == RunDirectory.open(tmp_path / "whole").data_fingerprint


class TestOnError:
    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        """Two CSV files; row 230 of them all is a broken line and row 240 is not UTF-8."""
        folder = tmp_path / "data"
        folder.mkdir()
        lines = [f"w{i % 50},{CLASSES[i % 4]}".encode() for i in range(300)]
        lines[230], lines[240] = b"w1,x,y", b"w\xe9," + CLASSES[0].encode()
        for name, some in (("a.csv", lines[:200]), ("b.csv", lines[200:])):
            (folder / name).write_bytes(b"text,label\n" + b"\n".join(some) + b"\n")
        return folder

    def test_skip_counts_them(self, tiny_bundle: ModelBundle, broken: Path, tmp_path: Path) -> None:
        stats = score_dataset(tiny_bundle, broken, tmp_path / "run", OPTIONS)
        assert stats.by_status == {"ok": 298, "invalid_text": 1, "unreadable": 1}
        assert stats.problems == ["row 230 (b.csv line 32: 3 fields, not 2)"]

    def test_fail_ends_at_the_first_and_keeps_what_is_done(
        self, broken: Path, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Callable[..., click.testing.Result]
    ) -> None:
        run = tmp_path / "run"
        call = ("score", tiny_bundle.path, broken, "-o", run, "--shard-rows", 100)
        done = lossrank(*call, "--on-error", "fail")
        assert done.exit_code == 1
        assert tells(
            error_line(done), "row 30", broken / "b.csv", "b.csv line 32: 3 fields, not 2", "`--on-error skip`"
        )
        assert set(shards(run)) == {"part-00000.parquet", "part-00001.parquet"}
        done = lossrank(*call)
        assert done.exit_code == 0, done.output
        assert "200 kept from before" in done.output

    def test_bytes_that_are_not_utf8(self, broken: Path, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        (broken / "b.csv").write_bytes((broken / "b.csv").read_bytes().replace(b"\nw1,x,y\n", b"\nw1,World\n"))
        with pytest.raises(SourceError, match=facts("row 40", broken / "b.csv", "UTF-8")):
            score_dataset(tiny_bundle, broken, tmp_path / "run", ScoreOptions(on_error="fail"))

    def test_rows_that_an_earlier_process_let_be(self, broken: Path, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        run = tmp_path / "run"
        score_dataset(tiny_bundle, broken, run, ScoreOptions(shard_rows=100))
        manifest = json.loads((run / "run.json").read_text())
        del manifest["shards"]["part-00000.parquet"], manifest["summary"]
        manifest["shards"]["part-00002.parquet"]["problems"] = []  # they are notes for people
        (run / "run.json").write_text(json.dumps(manifest))
        with pytest.raises(SourceError, match=facts("row 30", broken / "b.csv", "b.csv line 32: 3 fields")):
            score_dataset(tiny_bundle, broken, run, ScoreOptions(shard_rows=100, on_error="fail"))

    def test_rows_that_a_finished_run_let_be(self, broken: Path, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        score_dataset(tiny_bundle, broken, tmp_path / "run", ScoreOptions(shard_rows=100))
        with pytest.raises(SourceError, match=facts("row 30", broken / "b.csv")):
            score_dataset(tiny_bundle, broken, tmp_path / "run", ScoreOptions(shard_rows=100, on_error="fail"))

    def test_any_other_word(self) -> None:
        with pytest.raises(RunError, match=facts("`on_error`", "'stop'", "skip", "fail")):
            ScoreOptions(on_error="stop")


class TestSeveralPaths:
    def test_in_the_order_that_is_given_and_written_down(self, rows: pa.Table, tmp_path: Path) -> None:
        folder = parts(tmp_path / "data", rows)
        source = open_source([folder / "3.parquet", str(folder / "[01].parquet"), folder / "2.parquet"])
        order = [3, 0, 1, 2]
        assert [record.file for record in source.spec.files] == [str(folder / f"{i}.parquet") for i in order]
        assert source.spec.data == tuple(str(folder / name) for name in ("3.parquet", "[01].parquet", "2.parquet"))
        assert source.take(np.array([0, 250, 999]))["note"].to_pylist() == ["note 750", "note 0", "note 749"]
        assert source.name == "3.parquet and 2 more"

    def test_what_is_refused(self, rows: pa.Table, tmp_path: Path) -> None:
        folder = parts(tmp_path / "data", rows)
        with pytest.raises(SourceError, match=facts("0.parquet", "twice")):
            open_source([folder, folder / "0.parquet"])
        with pytest.raises(SourceError, match=facts("ag_news", "does not exist")):
            open_source([folder, "ag_news"])
        (folder / "a.csv").write_text("text,label,note\n")
        with pytest.raises(SourceError, match=facts("0.parquet and 1 more", "several kinds")):
            open_source([folder / "0.parquet", folder / "a.csv"])

    def test_the_shells_glob(
        self, rows: pa.Table, tmp_path: Path, tiny_bundle: ModelBundle, lossrank: Callable[..., click.testing.Result]
    ) -> None:
        folder, run = parts(tmp_path / "data", rows), tmp_path / "run"
        done = lossrank("score", tiny_bundle.path, *sorted(folder.iterdir()), "-o", run)
        assert done.exit_code == 0, done.output
        assert "0.parquet and 3 more: 1,000 rows in 4 part(s)" in done.output
        listed = json.loads((run / "run.json").read_text())["data"]["spec"]["files"]
        assert [(Path(file["file"]).name, file["rows"]) for file in listed] == [(f"{i}.parquet", 250) for i in range(4)]
        assert lossrank("rank", run, "--top", 3).exit_code == 0


class TestKinds:
    def test_compressed_files_of_several_members_and_any_case(self, tmp_path: Path) -> None:
        lines = [b'{"text": "one"}\n', b'{"text": "two"}\n']
        (tmp_path / "a.jsonl.gz").write_bytes(b"".join(gzip.compress(line) for line in lines))
        (tmp_path / "b.jsonl.BZ2").write_bytes(b"".join(bz2.compress(line) for line in lines))
        (tmp_path / "c.jsonl.zst").write_bytes(b"".join(pa.compress(line, "zstd", asbytes=True) for line in lines))
        for name in ("a.jsonl.gz", "b.jsonl.BZ2", "c.jsonl.zst"):
            assert open_source(tmp_path / name).take(np.array([1, 0]))["text"].to_pylist() == ["two", "one"], name

    @pytest.mark.parametrize(
        "kind",
        [
            pa.large_string(),
            pa.string_view(),
            pa.dictionary(pa.int8(), pa.string()),
            pa.dictionary(pa.int32(), pa.large_string()),
        ],
    )
    def test_any_type_of_text_in_parquet(self, tiny_bundle: ModelBundle, tmp_path: Path, kind: pa.DataType) -> None:
        texts = pa.array([f"w{i % 50}" for i in range(120)])
        if pa.types.is_dictionary(kind):
            texts = pa.array(texts.to_pylist()).cast(pa.dictionary(kind.index_type, pa.string())).cast(kind)
        else:
            texts = texts.cast(kind)
        names = pa.array([CLASSES[i % 4] for i in range(120)])
        pq.write_table(
            pa.table({"text": texts, "label": names.dictionary_encode()}), tmp_path / "a.parquet", row_group_size=7
        )
        stats = score_dataset(tiny_bundle, tmp_path / "a.parquet", tmp_path / "run")
        plain = score_dataset(tiny_bundle, pa.table({"text": texts.to_pylist(), "label": names}), tmp_path / "plain")
        assert stats.mean_loss == plain.mean_loss
        source = open_source(tmp_path / "a.parquet")
        assert source.take(np.array([119, 0, 119]))["text"].to_pylist() == ["w19", "w0", "w19"]
