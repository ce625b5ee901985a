"""store: files on a real S3 server, on the web and in fsspec's memory are read as those that lie here."""

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import (
    ModelBundle,
    RunDirectory,
    ScoreOptions,
    Source,
    SourceError,
    join_source,
    open_source,
    rank,
    score_dataset,
)
from scorer.address import Address, is_remote, without_secrets
from scorer.data.filesystem import DataFile, matches, remote_place
from scorer.data.remote_errors import why
from scorer.data.reopen import reopen_source
from scorer.data.spec import spec_from, spec_to
from tests.support.facts import facts
from tests.support.stores import WebHandler, s3_server, web_server

pytest.importorskip("moto")
fsspec = pytest.importorskip("fsspec")

N = 600
TABLE = pa.table({"text": [f"w{i} number {i}" for i in range(N)], "label": [i % 4 for i in range(N)]})
Bucket = Callable[..., str]


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[Any, dict[str, str]]]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3: tuple[Any, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """A bucket of its own: ``bucket("a/b.csv", bytes)`` puts a file there and returns the bucket's address."""
    client, environment = s3
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    name = f"b-{abs(hash(tmp_path)):x}"
    client.create_bucket(Bucket=name)

    def put(key: str = "", content: bytes | None = None) -> str:
        if content is not None:
            client.put_object(Bucket=name, Key=key, Body=content)
        elif key:
            client.delete_object(Bucket=name, Key=key)
        return f"s3://{name}"

    return put


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, type[WebHandler], Path]]:
    folder = tmp_path / "web"
    folder.mkdir()
    with web_server(folder) as (address, handler):
        yield address, handler, folder


def parquet(table: pa.Table = TABLE, rows: int = 100) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=rows, store_schema=False)
    return bytes(sink.getvalue())


def jsonl(table: pa.Table = TABLE) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()


def csv(table: pa.Table = TABLE) -> bytes:
    return ("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in table.to_pylist())).encode()


def arrow(table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=70)
    return bytes(sink.getvalue())


FILES = {
    "a.parquet": parquet(),
    "a.csv": csv(),
    "a.csv.gz": gzip.compress(csv()),
    "a.jsonl": jsonl(),
    "a.jsonl.zst": pa.compress(jsonl(), "zstd", asbytes=True),
    "a.arrow": arrow(),
}


def texts(source: Source) -> list[str]:
    return [text for batch in source.read(["text"]) for text in batch["text"].to_pylist()]


def same_rows(source: Source) -> None:
    assert source.num_rows == N
    assert texts(source) == TABLE["text"].to_pylist()
    assert (
        source.take(np.array([N - 1, 0, 77, 77]))["text"].to_pylist()
        == TABLE["text"].take([N - 1, 0, 77, 77]).to_pylist()
    )
    assert [row for batch in source.read(["label"], 130, 260) for row in map(int, batch["label"].to_pylist())] == [
        i % 4 for i in range(130, 260)
    ]


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
        (listed,) = spec_to(source.spec)["files"]
        assert listed == {
            "file": f"{root}/a.parquet",
            "rows": N,
            "version": {"size": len(parquet()), "ETag": listed["version"]["ETag"]},
        }
        assert reopen_source(spec_from(json.loads(json.dumps(spec_to(source.spec)))), source.fingerprint).num_rows == N
        bucket("copy.parquet", parquet())
        assert reopen_source(source.spec, source.fingerprint, f"{root}/copy.parquet").num_rows == N
        bucket("a.parquet", parquet(TABLE.take(list(range(N))[::-1])))
        with pytest.raises(SourceError, match=r"a\.parquet has changed since it was scored"):
            reopen_source(source.spec, source.fingerprint)
        with pytest.raises(SourceError, match=r"a\.parquet has changed while it was being read; restore it"):
            source.refuse_change()
        bucket("a.parquet")
        with pytest.raises(SourceError, match=r"a\.parquet is gone, while it was being read"):
            source.refuse_change()

    def test_what_was_scored_here_and_lies_there_now_is_compared_by_its_content(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        (tmp_path / "a.parquet").write_bytes(parquet())
        here = open_source(tmp_path / "a.parquet")
        root = bucket("a.parquet", parquet())
        assert reopen_source(here.spec, here.fingerprint, f"{root}/a.parquet").num_rows == N
        there = open_source(f"{root}/a.parquet")
        with pytest.raises(SourceError, match=r"can't be compared .*: of remote files the run knows the version"):
            reopen_source(there.spec, there.fingerprint, tmp_path / "a.parquet")

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

        with pytest.raises(SourceError, match=r"s3://.*/d/3\.parquet is gone, while it was being read; restore"):
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
        with pytest.raises(Exception, match=r"holds a run that differs: data fingerprint is"):
            score_dataset(tiny_bundle, data, tmp_path / "run")


class TestS3Errors:
    def test_no_such_key_and_no_such_bucket(self, bucket: Bucket) -> None:
        root = bucket("d/reviews.csv", csv())
        with pytest.raises(SourceError, match=r"/d/reveiws\.csv does not exist \(did you mean 'reviews"):
            open_source(f"{root}/d/reveiws.csv")
        with pytest.raises(SourceError, match=r"no file matches s3://.*/d/\*\.parquet"):
            open_source(f"{root}/d/*.parquet")
        with pytest.raises(SourceError, match=r"x\.csv does not exist: there is no bucket nowhere-at-all, or you may"):
            open_source("s3://nowhere-at-all/x.csv")
        with pytest.raises(SourceError, match=r"no file matches s3://nowhere-at-all/\*\.csv: there is no bucket"):
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
        with pytest.raises(
            SourceError, match=r"s3://mine/a\.csv can't be opened: no permission; check your cred.*DENIED"
        ):
            open_source("s3://mine/a.csv")

    @pytest.mark.parametrize(
        "url", ["s3://key:secret@bucket/a.csv", "s3://key:se/secret@bucket/a.csv", "https://me:word@example.org/a.csv"]
    )
    def test_passwords_in_an_address_are_refused_and_not_repeated(self, url: str) -> None:
        with pytest.raises(
            SourceError, match=r"holds a password, which every list of processes shows; leave it out"
        ) as caught:
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


class TestWeb:
    @pytest.mark.parametrize("name", FILES)
    def test_every_kind_of_file(self, web: tuple[str, type[WebHandler], Path], name: str) -> None:
        address, _, folder = web
        (folder / name).write_bytes(FILES[name])
        same_rows(open_source(f"{address}/{name}"))

    def test_a_page_of_links_and_a_glob(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, _, folder = web
        (folder / "d").mkdir()
        for name, part in (("1", TABLE.slice(0, 200)), ("2", TABLE.slice(200))):
            (folder / "d" / f"{name}.parquet").write_bytes(parquet(part))
        same_rows(open_source(f"{address}/d/"))
        same_rows(open_source(f"{address}/d/*.parquet"))
        assert open_source(f"{address}/d/2.parquet?download=1").num_rows == 400

    def test_a_page_without_links_to_files(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, _, folder = web
        (folder / "page").write_text("<html><a href='about.html'>about</a></html>")
        with pytest.raises(SourceError, match=r"/page holds no file of a known kind"):
            open_source(f"{address}/page")

    def test_its_version(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, handler, folder = web
        (folder / "a.csv").write_bytes(csv())
        source = open_source(f"{address}/a.csv")
        assert set(source.spec.files[0].version) == {"size", "ETag"}
        (folder / "a.csv").write_bytes(csv())
        with pytest.raises(SourceError, match=r"a\.csv has changed while it was being read"):
            source.refuse_change()
        handler.versions = False  # nothing tells one state from another: its content is read
        source = open_source(f"{address}/a.csv")
        assert set(spec_to(source.spec)["files"][0]) == {"file", "rows", "sha256"}
        assert source.fingerprint == open_source(folder / "a.csv").fingerprint

    def test_a_server_that_gives_no_parts_of_files(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, handler, folder = web
        handler.ranges = False
        (folder / "a.parquet").write_bytes(parquet())
        same_rows(open_source(f"{address}/a.parquet"))  # small enough to be read at once
        noise = np.random.default_rng(0).bytes(4_000_000).hex()
        (folder / "a.parquet").write_bytes(
            parquet(pa.table({"text": [noise[i : i + 8000] for i in range(0, 8 * 10**6, 8000)]}))
        )
        with pytest.raises(SourceError, match=r"its server gives no parts of a file; download it first"):
            open_source(f"{address}/a.parquet")

    def test_errors(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, handler, folder = web
        (folder / "a.csv").write_bytes(csv())
        with pytest.raises(SourceError, match=r"/nothing\.csv does not exist"):
            open_source(f"{address}/nothing.csv")
        source = open_source(f"{address}/a.csv")
        handler.status = 403
        with pytest.raises(SourceError, match=r"a\.csv can't be opened: no permission; check your credentials"):
            open_source(f"{address}/a.csv")
        with pytest.raises(SourceError, match=r"can't be inspected: no permission"):
            source.refuse_change()
        with pytest.raises(SourceError, match=r"x\.csv can't be opened: no connection; check the network"):
            open_source("http://127.0.0.1:9/x.csv")

    def test_links_are_not_followed(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, handler, folder = web
        (folder / "d" / "sub").mkdir(parents=True)
        (folder / "d" / "a.parquet").write_bytes(parquet())
        (folder / "d" / "sub" / "b.parquet").write_bytes(parquet())
        source = open_source(f"{address}/d/")
        same_rows(source)
        assert not [path for _, path, _ in handler.asked if path.startswith("/d/sub")]
        for glob in ("**", "**/*.parquet", "*/b.parquet", "*.parquet?x=1"):
            with pytest.raises(SourceError, match=r"is a glob of the web, which can only be of names on one page"):
                open_source(f"{address}/d/{glob}")
        with pytest.raises(SourceError, match=r"/d is no file of a known kind, and as a page of links it must have no"):
            open_source(f"{address}/d?x=1")
        with pytest.raises(SourceError, match=r"no file matches http.*/none/\*\.parquet"):
            open_source(f"{address}/none/*.parquet")

    def test_words_of_an_address_are_no_reason(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, _, folder = web
        (folder / "reconnect resolve").mkdir()
        (folder / "reconnect resolve" / "Forbidden timeout.parquet").write_bytes(b"none")
        with pytest.raises(
            SourceError, match=r"Forbidden timeout\.parquet can't be read as Parquet \(Parquet file size"
        ):
            open_source(f"{address}/reconnect resolve/Forbidden timeout.parquet")


DENIED = "When reading information for key '{key}' in bucket '{bucket}': AWS Error {code} during HeadObject operation"
HUB = "404 Client Error: Not Found for url: https://hub.example/datasets/a/b/resolve/main/Forbidden.csv"


@pytest.mark.parametrize(
    ("error", "path", "reason"),
    [
        (OSError(DENIED.format(key="a.csv", bucket="b", code="ACCESS_DENIED")), "b/a.csv", "no permission"),
        (OSError(DENIED.format(key="ACCESS_DENIED.csv", bucket="b", code="UNKNOWN")), "b/ACCESS_DENIED.csv", None),
        (OSError(DENIED.format(key="d/connect", bucket="my-timeout", code="UNKNOWN")), "my-timeout/d/*.csv", None),
        (OSError(DENIED.format(key="d", bucket="resolve", code="NETWORK_CONNECTION")), "resolve/d", "no connection"),
        (FileNotFoundError("https://h/Forbidden?connect"), "https://h/Forbidden?connect", None),
        (OSError("Cannot connect to host h:443 ssl:default"), "https://h/a.csv", "no connection"),
        (OSError("Cannot find connect-me"), "https://connect-me/a.csv", None),
        (ConnectionRefusedError("refused"), "https://h/a.csv", "no connection"),
        (TimeoutError(), "https://h/a.csv", "no connection"),
        (OSError(HUB), "datasets/a/b/Forbidden.csv", None),
    ],
)
def test_why_a_store_failed(error: OSError, path: str, reason: str | None) -> None:
    said = why(error, path)
    assert said.startswith(f"{reason}; ") if reason else said == (str(error) or type(error).__name__).partition("?")[0]


class TestFsspec:
    def test_any_of_its_protocols(self) -> None:
        memory = fsspec.filesystem("memory")
        memory.pipe(
            {"/lossrank/a.parquet": parquet(TABLE.slice(0, 250)), "/lossrank/b.parquet": parquet(TABLE.slice(250))}
        )
        try:
            for data in ("memory://lossrank", "memory://lossrank/*.parquet"):
                source = open_source(data)
                same_rows(source)
                assert [record.file for record in source.spec.files] == [
                    "memory:///lossrank/a.parquet",
                    "memory:///lossrank/b.parquet",
                ]
                same_rows(reopen_source(source.spec, source.fingerprint))
                # All it tells of a state is when the file was created, and that outlives an overwrite.
                assert set(spec_to(source.spec)["files"][0]) == {"file", "rows", "sha256"}
        finally:
            memory.rm("/lossrank", recursive=True)

    def test_listings_that_a_library_keeps_are_dropped_once_a_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        memory = fsspec.filesystem("memory")
        asked = {"dropped": 0, "files": 0}
        listing: dict[str, Any] = {}
        original = type(memory).info

        def info(self: Any, path: str, **kwargs: Any) -> Any:
            """Keep what was found, as the file systems of the clouds do."""
            key = self._strip_protocol(path)
            if key not in listing:
                asked["files"] += 1
                listing[key] = {**original(self, path, **kwargs), "etag": str(id(self.store.get(key)))}
            return listing[key]

        def invalidate(self: Any, path: str | None = None) -> None:
            asked["dropped"] += 1
            listing.clear()

        monkeypatch.setattr(type(memory), "info", info)
        monkeypatch.setattr(type(memory), "invalidate_cache", invalidate)
        memory.pipe({f"/looks/{i:02}.parquet": parquet(TABLE.slice(20 * i, 20)) for i in range(30)})
        asked.update(dropped=0, files=0)
        try:
            source = open_source("memory://looks")
            same_rows(source)
            assert asked["dropped"] == 1
            asked.update(dropped=0, files=0)
            source.refuse_change()
            assert asked == {"dropped": 1, "files": 30}
            source.refuse_change(0, 25)
            assert asked == {"dropped": 2, "files": 32}
            memory.pipe("/looks/07.parquet", parquet(TABLE.slice(0, 20)))
            with pytest.raises(SourceError, match=r"looks/07\.parquet has changed while it was being read"):
                source.refuse_change()
            with pytest.raises(SourceError, match=r"looks has changed since it was scored"):
                reopen_source(source.spec, source.fingerprint)
        finally:
            monkeypatch.undo()
            memory.rm("/looks", recursive=True)

    def test_files_that_are_here_after_all(self, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_bytes(parquet())
        source = open_source(f"file://{tmp_path}/a.parquet")
        same_rows(source)
        assert source.fingerprint == open_source(tmp_path / "a.parquet").fingerprint
        assert source.spec.data == str(tmp_path / "a.parquet")

    def test_an_unknown_protocol(self) -> None:
        with pytest.raises(
            SourceError, match=r"htps://x/a\.csv is of no known protocol \(did you mean 'https'\?\); s3://"
        ):
            open_source("htps://x/a.csv")

    def test_without_the_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SourceError, match=r"abfs://x/a\.csv needs a package that is not installed: Install adlfs"):
            open_source("abfs://x/a.csv")
        monkeypatch.setitem(sys.modules, "fsspec", None)
        for data in ("https://x/a.csv", "hf://datasets/x/y/a.parquet", "memory://a.csv"):
            with pytest.raises(SourceError, match=r"not installed; run `pip install 'lossrank\[remote\]'`"):
                open_source(data)

    def test_a_cloud_without_a_network_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hub = remote_place(Address.parse("hf://datasets/user/data/a.parquet")).fs.handler.fs
        monkeypatch.setattr(hub, "endpoint", "http://127.0.0.1:9")
        monkeypatch.setattr(hub._api, "endpoint", "http://127.0.0.1:9")
        with pytest.raises(SourceError, match=r"can't be opened: (no connection|.*offline)"):
            open_source("hf://datasets/user/data/a.parquet")


class TestGlobs:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_as_pythons_glob(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        import glob

        names = ["a.csv", "b/a.csv", "b/c/a.csv", "b/c/d.csv", ".h/a.csv", "b/.x.csv", "ab.csv", "b/b.csv"]
        folder = tmp_path_factory.mktemp("glob")
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("")
        parts = st.sampled_from(["**", "*", "a*", "?.csv", "[ab].csv", "b", ".*", "*.csv", "c"])
        pattern = data.draw(st.lists(parts, min_size=1, max_size=4))
        found = {name for name in names if matches(name.split("/"), pattern)}
        expected = {
            name
            for name in glob.glob("/".join(pattern), root_dir=folder, recursive=True)  # noqa: PTH207
            if (folder / name).is_file()
        }
        assert found == expected

    @pytest.mark.parametrize(
        ("data", "remote"),
        [("s3://b/k", True), ("https://x/y", True), ("file:///a", False), ("a/b", False), ("C:/a", False)],
    )
    def test_what_is_remote(self, data: str, remote: bool) -> None:
        assert is_remote(data) is remote


def test_the_command_line(
    bucket: Bucket, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Callable[..., click.testing.Result]
) -> None:
    root = bucket("a.parquet", parquet(TABLE.slice(0, 300)))
    bucket("b.parquet", parquet(TABLE.slice(300)))
    run = tmp_path / "run"
    done = lossrank("score", tiny_bundle.path, f"{root}/a.parquet", f"{root}/b.parquet", "-o", run)
    assert done.exit_code == 0, done.output
    assert "a.parquet and 1 more: 600 rows in 2 part(s)" in done.output
    assert lossrank("rank", run, "--top", 3).exit_code == 0
    moved = lossrank("rank", run, "--data", f"{root}/a.parquet", "--data", f"{root}/b.parquet")
    assert moved.exit_code == 0, moved.output
    wrong = lossrank("rank", run, "--data", f"{root}/b.parquet")
    assert (wrong.exit_code, "has changed since it was scored" in wrong.output) == (1, True)
