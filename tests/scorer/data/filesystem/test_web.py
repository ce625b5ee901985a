"""store: files on a real S3 server, on the web and in fsspec's memory are read as those that lie here."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from scorer import (
    SourceError,
    open_source,
)
from scorer.data.remote_errors import why
from tests.scorer.data.filesystem.helpers import FILES, TABLE, csv, parquet, same_rows
from tests.support.facts import facts
from tests.support.stores import WebHandler


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
        with pytest.raises(SourceError, match=facts("a.csv", "has changed while")):
            source.refuse_change()
        handler.versions = False  # nothing tells one state from another: its content is read
        source = open_source(f"{address}/a.csv")
        assert set(msgspec.to_builtins(source.spec)["files"][0]) == {"file", "rows", "sha256"}
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
        with pytest.raises(SourceError, match=facts("download the file first")):
            open_source(f"{address}/a.parquet")

    def test_errors(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, handler, folder = web
        (folder / "a.csv").write_bytes(csv())
        with pytest.raises(SourceError, match=r"/nothing\.csv does not exist"):
            open_source(f"{address}/nothing.csv")
        source = open_source(f"{address}/a.csv")
        handler.status = 403
        with pytest.raises(SourceError, match=facts("a.csv", "no permission")):
            open_source(f"{address}/a.csv")
        with pytest.raises(SourceError, match=r"can't be inspected: no permission"):
            source.refuse_change()
        with pytest.raises(SourceError, match=facts("x.csv", "no connection")):
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
            with pytest.raises(SourceError, match=facts("glob", "wildcards", "https://HOST/FOLDER/*.parquet")):
                open_source(f"{address}/d/{glob}")
        with pytest.raises(SourceError, match=facts("/d", "query")):
            open_source(f"{address}/d?x=1")
        with pytest.raises(SourceError, match=r"no file matches http.*/none/\*\.parquet"):
            open_source(f"{address}/none/*.parquet")

    def test_words_of_an_address_are_no_reason(self, web: tuple[str, type[WebHandler], Path]) -> None:
        address, _, folder = web
        (folder / "reconnect resolve").mkdir()
        (folder / "reconnect resolve" / "Forbidden timeout.parquet").write_bytes(b"none")
        with pytest.raises(SourceError, match=facts("Forbidden timeout.parquet", "can't be read as Parquet")):
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
