"""store: files on a real S3 server, on the web and in fsspec's memory are read as those that lie here."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from scorer import (
    ModelBundle,
    RunDirectory,
    ScoreOptions,
    SourceError,
    join_source,
    open_source,
    rank,
    score_dataset,
)
from scorer.address import without_secrets
from scorer.data.filesystem import DataFile
from scorer.run.reopened import reopen_data
from tests.scorer.data.filesystem.helpers import FILES, TABLE, Bucket, N, arrow, csv, parquet, same_rows, texts
from tests.support.facts import facts
from tests.support.manifests import run_of
from tests.support.stores import WebHandler


class TestS3:
    @pytest.mark.parametrize("name", FILES)
    def test_every_kind_of_file(self, bucket: Bucket, name: str) -> None:
        source = open_source(f"{bucket(f'x/{name}', FILES[name])}/x/{name}")
        same_rows(source)
        assert source.name == name

    def test_folders_and_globs_in_the_order_of_names(self, bucket: Bucket) -> None:
        for i, key in enumerate(("x/b-9.csv", "x/b/1.csv", "x/a.csv", "x/_tmp/q.csv", "x/.h.csv", "x/read.me")):
            bucket(key, f"text\n{i}\n".encode())
        root = bucket()
        order = [f"{root}/x/a.csv", f"{root}/x/b/1.csv", f"{root}/x/b-9.csv"]
        for data in (f"{root}/x", f"{root}/x/", f"{root}/x/[ab]**/*.csv", f"{root}/x/**/[!_q]*.csv", root):
            source = open_source(data)
            if "[ab]" in data:
                assert [record.file for record in source.spec.files] == order[1:2]
            else:
                assert [record.file for record in source.spec.files] == order, data
                assert texts(source) == ["2", "1", "0"]
        assert texts(open_source(f"{root}/x/?-*.csv")) == ["0"]

    def test_a_saved_data_set(self, bucket: Bucket) -> None:
        root = bucket("s/dataset_dict.json", b'{"splits": ["train", "test"]}')
        bucket("s/test/state.json", b'{"_data_files": [{"filename": "b.arrow"}, {"filename": "a.arrow"}]}')
        bucket("s/test/a.arrow", arrow(TABLE.slice(100)))
        bucket("s/test/b.arrow", arrow(TABLE.slice(0, 100)))
        same_rows(open_source(f"{root}/s", split="test"))
        with pytest.raises(SourceError, match=facts("splits train, test", "`split`", "got None")):
            open_source(f"{root}/s")

    def test_several_paths_here_and_there(self, bucket: Bucket, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_bytes(parquet(TABLE.slice(0, 200)))
        root = bucket("b.parquet", parquet(TABLE.slice(200)))
        same_rows(open_source([tmp_path / "a.parquet", f"{root}/b.parquet"]))

    def test_only_the_row_groups_that_are_wanted_are_fetched(self, bucket: Bucket, monkeypatch: Any) -> None:
        noise = np.random.default_rng(0).bytes(3_000_000).hex()
        table = pa.table({"text": [noise[i * 3000 : (i + 1) * 3000] for i in range(2000)]})
        content = parquet(table, rows=500)
        source = open_source(f"{bucket('a.parquet', content)}/a.parquet")
        got = []
        original = DataFile.open

        class Counted:
            def __init__(self, file: pa.NativeFile) -> None:
                self.file = file

            def read(self, *size: int) -> bytes:
                part: bytes = self.file.read(*size)
                got.append(len(part))
                return part

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

        monkeypatch.setattr(DataFile, "open", lambda self: pa.PythonFile(Counted(original(self)), mode="r"))
        assert source.take(np.array([1999, 1700])).num_rows == 2
        assert 0 < sum(got) < len(content) / 3

    def test_the_data_is_not_read_to_know_its_version(self, bucket: Bucket) -> None:
        root = bucket("a.parquet", parquet())
        source = open_source(f"{root}/a.parquet")
        (listed,) = msgspec.to_builtins(source.spec)["files"]
        assert listed == {
            "file": f"{root}/a.parquet",
            "rows": N,
            "version": {"size": len(parquet()), "ETag": listed["version"]["ETag"]},
        }
        assert reopen_data(run_of(source)).num_rows == N
        bucket("copy.parquet", parquet())
        assert reopen_data(run_of(source), f"{root}/copy.parquet").num_rows == N
        bucket("a.parquet", parquet(TABLE.take(list(range(N))[::-1])))
        with pytest.raises(SourceError, match=facts("a.parquet", "has changed since")):
            reopen_data(run_of(source))
        with pytest.raises(SourceError, match=facts("a.parquet", "has changed while")):
            source.refuse_change()
        bucket("a.parquet")
        with pytest.raises(SourceError, match=facts("a.parquet", "removed")):
            source.refuse_change()

    def test_what_was_scored_here_and_lies_there_now_is_compared_by_its_content(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        (tmp_path / "a.parquet").write_bytes(parquet())
        here = open_source(tmp_path / "a.parquet")
        root = bucket("a.parquet", parquet())
        assert reopen_data(run_of(here), f"{root}/a.parquet").num_rows == N
        there = open_source(f"{root}/a.parquet")
        with pytest.raises(SourceError, match=facts("can't be compared", "remote")):
            reopen_data(run_of(there), tmp_path / "a.parquet")

    def test_a_run_its_resume_and_its_ranking(
        self, bucket: Bucket, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
    ) -> None:
        for i in range(4):
            bucket(f"d/{i}.parquet", parquet(rows.slice(i * 250, 250)))
        data, run = f"{bucket()}/d/*.parquet", tmp_path / "run"
        options = ScoreOptions(shard_rows=200)
        gone = {"done": False}

        def remove(progress: Any) -> None:
            if not gone["done"] and progress.rows > 400:
                gone["done"] = True
                bucket("d/3.parquet")

        with pytest.raises(SourceError, match=facts("s3://", "/d/3.parquet", "removed")):
            score_dataset(tiny_bundle, data, run, options, on_progress=remove)
        kept = json.loads((run / "run.json").read_text())["shards"]
        assert kept
        bucket("d/3.parquet", parquet(rows.slice(750)))
        stats = score_dataset(tiny_bundle, data, run, options)
        assert stats.kept_rows == 200 * len(kept)
        opened = RunDirectory.open(run)
        worst = rank(opened, 5)
        assert join_source(opened, worst)["note"].to_pylist() == [f"note {row.row}" for row in worst]
        whole = score_dataset(tiny_bundle, rows, tmp_path / "whole", options)
        assert stats.mean_loss == whole.mean_loss

    def test_changed_between_start_and_resume(
        self, bucket: Bucket, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
    ) -> None:
        data = f"{bucket('a.parquet', parquet(rows))}/a.parquet"
        score_dataset(tiny_bundle, data, tmp_path / "run")
        bucket("a.parquet", parquet(rows.take(list(range(1000))[::-1])))
        with pytest.raises(Exception, match=facts(tmp_path / "run", "a.parquet has changed since it was scored")):
            score_dataset(tiny_bundle, data, tmp_path / "run")


class TestS3Errors:
    def test_no_such_key_and_no_such_bucket(self, bucket: Bucket) -> None:
        root = bucket("d/reviews.csv", csv())
        with pytest.raises(SourceError, match=facts("/d/reveiws.csv", "did you mean 'reviews.csv'?")):
            open_source(f"{root}/d/reveiws.csv")
        with pytest.raises(SourceError, match=r"no file matches s3://.*/d/\*\.parquet"):
            open_source(f"{root}/d/*.parquet")
        with pytest.raises(SourceError, match=facts("x.csv", "no bucket nowhere-at-all")):
            open_source("s3://nowhere-at-all/x.csv")
        with pytest.raises(SourceError, match=facts("s3://nowhere-at-all/*.csv", "no bucket nowhere-at-all")):
            open_source("s3://nowhere-at-all/*.csv")

    def test_no_permission(self, monkeypatch: pytest.MonkeyPatch, web: tuple[str, type[WebHandler], Path]) -> None:
        address, handler, _ = web
        handler.status = 403
        for name, value in {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_ENDPOINT_URL": address,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with pytest.raises(SourceError, match=facts("s3://mine/a.csv", "no permission", "ACCESS_DENIED")):
            open_source("s3://mine/a.csv")

    @pytest.mark.parametrize(
        "url", ["s3://key:secret@bucket/a.csv", "s3://key:se/secret@bucket/a.csv", "https://me:word@example.org/a.csv"]
    )
    def test_passwords_in_an_address_are_refused_and_not_repeated(self, url: str) -> None:
        with pytest.raises(SourceError, match=facts("password")) as caught:
            open_source(url)
        assert "secret" not in str(caught.value)
        assert "word@" not in str(caught.value)

    def test_a_log_has_no_secret_of_an_address(self) -> None:
        assert without_secrets("s3://key:se/secret@bucket/a.csv") == "s3://bucket/a.csv"
        assert without_secrets("https://token@h/a.csv?sig=x") == "https://h/a.csv"
        assert without_secrets("data?[0-9].csv") == "data?[0-9].csv"

    def test_options_that_go_with_names(self) -> None:
        with pytest.raises(SourceError, match=facts("`config='x'`", "name of a data set")):
            open_source("s3://b/a.csv", config="x")
        with pytest.raises(SourceError, match=facts("`streaming=True`", "`datasets`")):
            open_source("s3://b/a.csv", split="test", streaming=True)
