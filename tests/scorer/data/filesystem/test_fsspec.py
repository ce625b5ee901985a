"""store: files on a real S3 server, on the web and in fsspec's memory are read as those that lie here."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import (
    ModelBundle,
    SourceError,
    open_source,
)
from scorer.address import Address, is_remote
from scorer.data.filesystem import matches, remote_place
from scorer.run.reopened import reopen_data
from tests.scorer.data.filesystem.helpers import TABLE, Bucket, parquet, same_rows
from tests.support.facts import facts
from tests.support.manifests import run_of

fsspec = pytest.importorskip("fsspec")


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
                same_rows(reopen_data(run_of(source)))
                # All it tells of a state is when the file was created, and that outlives an overwrite.
                assert set(msgspec.to_builtins(source.spec)["files"][0]) == {"file", "rows", "sha256"}
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
            with pytest.raises(SourceError, match=facts("looks/07.parquet", "has changed while")):
                source.refuse_change()
            with pytest.raises(SourceError, match=r"looks has changed since it was scored"):
                reopen_data(run_of(source))
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
        with pytest.raises(SourceError, match=facts("htps://x/a.csv", "did you mean 'https'?", "s3://")):
            open_source("htps://x/a.csv")

    def test_without_the_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SourceError, match=facts("abfs://x/a.csv", "Install adlfs")):
            open_source("abfs://x/a.csv")
        monkeypatch.setitem(sys.modules, "fsspec", None)
        for data in ("https://x/a.csv", "hf://datasets/x/y/a.parquet", "memory://a.csv"):
            with pytest.raises(SourceError, match=facts("`pip install 'lossrank[remote]'`")):
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
    assert (wrong.exit_code, "is not what was scored" in wrong.output) == (1, True)
