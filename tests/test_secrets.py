"""No secret of an address is kept or shown: the query and the user of a web address, a password anywhere."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, ScoreOptions, SourceError, open_source, score_dataset
from scorer.address import has_magic, is_web, scrubbed, without_secrets
from tests.support.facts import facts, tells
from tests.support.stores import WebHandler, web_server

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

FIRST, FRESH = "5ecre7One", "5ecre7Two"
Lossrank = Callable[..., click.testing.Result]
Web = tuple[str, type[WebHandler], Path]


@pytest.fixture
def web(tmp_path: Path, rows: pa.Table) -> Iterator[Web]:
    folder = tmp_path / "web"
    folder.mkdir()
    pq.write_table(rows, folder / "a.parquet")
    pq.write_table(rows, folder / "my file's.parquet")
    with web_server(folder) as (address, handler):
        handler.secret = FIRST
        yield address, handler, folder


def kept(run: Path) -> str:
    """Return everything that a run directory holds, as text."""
    return "".join(file.read_bytes().decode("latin-1") for file in sorted(run.rglob("*")) if file.is_file())


def spec(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())["data"]["spec"]
    return found


def with_user(address: str, user: str) -> str:
    return address.replace("://", f"://{user}@")


class TestPresigned:
    @pytest.mark.parametrize("name", ["a.parquet", "my file's.parquet"])
    def test_a_signature_is_in_no_file_and_no_line(
        self, web: Web, lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, name: str
    ) -> None:
        address, handler, _ = web
        run, log = tmp_path / "run", tmp_path / "log.jsonl"
        signed = f"{address}/{name}?signature={FIRST}&Expires=9#frag-{FIRST}"
        done = lossrank("score", tiny_bundle.path, signed, "-o", run, "--log-file", log)
        assert done.exit_code == 0, done.output
        handler.secret = FRESH
        refused = lossrank("score", tiny_bundle.path, signed, "-o", run, "--log-file", log)
        assert refused.exit_code == 1
        assert tells(refused.stderr, "Error", f"{address}/{name}", "no permission")
        assert FIRST not in done.output + refused.output + log.read_text() + kept(run)
        assert spec(run)["data"] == f"{address}/{name}"
        assert spec(run)["files"][0]["file"] == f"{address}/{name}"

    def test_a_fresh_signature_goes_on_with_the_run(self, web: Web, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        address, handler, _ = web
        options = ScoreOptions(shard_rows=200, threads=1)

        def stop(progress: Any) -> None:
            if progress.rows >= 500:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            score_dataset(
                tiny_bundle, f"{address}/a.parquet?signature={FIRST}", tmp_path / "run", options, on_progress=stop
            )
        handler.secret = FRESH
        fresh = f"{address}/a.parquet?signature={FRESH}"
        stats = score_dataset(tiny_bundle, fresh, tmp_path / "run", options)
        assert stats.kept_rows == 400
        assert "5ecre7" not in kept(tmp_path / "run")

    def test_later_commands_ask_for_it_in_one_line(
        self, web: Web, lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
    ) -> None:
        address, handler, _ = web
        run = tmp_path / "run"
        assert lossrank("score", tiny_bundle.path, f"{address}/a.parquet?signature={FIRST}", "-o", run).exit_code == 0
        handler.secret = FRESH
        fresh = f"{address}/a.parquet?signature={FRESH}"
        for command in (["rank", run], ["log", run, "--to", "jsonl", "-o", tmp_path / "worst.jsonl"]):
            refused = lossrank(*command)
            assert refused.exit_code == 1
            (line,) = refused.stderr.splitlines()
            assert tells(line, f"{address}/a.parquet", "secret", "a query", "a user", "--data")
            assert "no permission" in line
            given = lossrank(*command, "--data", fresh)
            assert given.exit_code == 0, given.output
        verified = lossrank("verify", run)
        (line,) = (line for line in verified.stdout.splitlines() if line.split()[1] == "data")
        assert (verified.exit_code, line.split()[0]) == (0, "absent")
        assert tells(line, f"{address}/a.parquet", "secret", "--data")
        whole = lossrank("verify", run, "--data", fresh).stdout
        assert [line.split()[0] for line in whole.splitlines() if line.split()[1] == "data"] == ["ok"]

    def test_a_query_that_is_no_secret_need_not_be_given_again(
        self, web: Web, lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
    ) -> None:
        address, handler, folder = web
        handler.secret = None
        run = tmp_path / "run"
        assert lossrank("score", tiny_bundle.path, f"{address}/a.parquet?download=1", "-o", run).exit_code == 0
        assert lossrank("rank", run, "--top", 3).exit_code == 0
        whole = lossrank("verify", run).stdout
        assert [line.split()[0] for line in whole.splitlines() if line.split()[1] == "data"] == ["ok"]
        pq.write_table(pa.table({"text": ["other"], "label": [0]}), folder / "a.parquet")
        assert tells(lossrank("rank", run).stderr, "--data", "a.parquet is not what was scored")

    def test_two_queries_of_one_path_may_be_two_files(self, web: Web) -> None:
        address, handler, _ = web
        handler.secret = None
        source = open_source([f"{address}/a.parquet?part=1", f"{address}/a.parquet?part=2"])
        assert (source.num_rows, source.spec.left_out) == (2000, True)
        with pytest.raises(SourceError, match=facts("/a.parquet", "twice")) as caught:
            open_source([f"{address}/a.parquet?part=1"] * 2)
        assert "part" not in str(caught.value)


class TestUser:
    def test_a_token_as_the_user_is_kept_nowhere(
        self, web: Web, lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
    ) -> None:
        address, _, folder = web
        run, log = tmp_path / "run", tmp_path / "log.jsonl"
        (folder / "my file's.parquet").unlink()
        page = f"{with_user(address, FIRST)}/"
        done = lossrank("score", tiny_bundle.path, page, "-o", run, "--log-file", log)
        assert done.exit_code == 0, done.output
        assert FIRST not in done.output + log.read_text() + kept(run)
        assert (spec(run)["data"], spec(run)["files"][0]["file"]) == (f"{address}/", f"{address}/a.parquet")
        assert tells(lossrank("rank", run).stderr, "secret", "--data")
        assert lossrank("rank", run, "--data", page).exit_code == 0

    @pytest.mark.parametrize("option", [{"config": "x"}, {"streaming": True, "split": "test"}, {"split": "test"}, {}])
    def test_nor_is_it_in_an_error(self, web: Web, option: dict[str, Any]) -> None:
        address, handler, _ = web
        handler.secret = "other"
        for name in ("a.parquet", "my file's.parquet", "*.csv", "*/a.csv", "page"):
            with pytest.raises(SourceError) as caught:
                open_source(f"{with_user(address, FIRST)}/{name}?signature={FIRST}", **option)
            assert FIRST not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://h/a.csv?X-Amz-Signature=x&y=1", "https://h/a.csv"),
        ("HTTPS://token@h:8/a@b.csv#x", "HTTPS://h:8/a@b.csv"),
        ("https://me:wo@rd@h/a.csv", "https://h/a.csv"),
        ("zip://a.csv::https://h/all.zip?sig=x", "zip://a.csv::https://h/all.zip"),
        ("abfs://container@account/a?.csv", "abfs://container@account/a?.csv"),
        ("abfs://container@account/a.csv?sv=1&sig=x", "abfs://container@account/a.csv"),
        ("hf://datasets/me/it@refs/pr/1/a.csv", "hf://datasets/me/it@refs/pr/1/a.csv"),
        ("s3://key:se/cr@et@bucket/a*.csv", "s3://bucket/a*.csv"),
        ("here/a?b=c@d.csv", "here/a?b=c@d.csv"),
        ("file:///a?b=c.csv", "file:///a?b=c.csv"),
    ],
)
def test_what_may_be_secret_of_an_address(address: str, safe: str) -> None:
    assert without_secrets(address) == safe
    assert without_secrets(safe) == safe


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("403, url='https://h/a.csv?sig=x', y", "403, url='https://h/a.csv', y"),
        ("no https://t@h/a?b; try https://h/c.", "no https://h/a; try https://h/c."),
        ("what? a:b@c 'x?y=1'", "what? a:b@c 'x?y=1'"),
        ("error in https://h/a b?sig=x: bad", "error in https://h/a b: bad"),
        ("'https://h/a\n b c.csv?sig=x&se=y' or s3://b/k l?sig=x", "'https://h/a\n b c.csv' or s3://b/k l"),
        ("https://h/a b.csv? s3://b/a k?x=*.csv", "https://h/a b.csv? s3://b/a k?x=*.csv"),
    ],
)
def test_addresses_in_a_text(text: str, safe: str) -> None:
    assert scrubbed(text) == safe
    assert str(SourceError(text)) == safe


def test_a_query_is_no_glob() -> None:
    assert not has_magic("https://h/a.csv?x=*[")
    assert has_magic("https://h/*.csv?x=1")
    assert is_web("HTTP://h")


@pytest.mark.parametrize(
    "data",
    [
        f"simplecache::http://127.0.0.1:9/a.csv?sig={FIRST}",
        f"http://127.0.0.1:9/my a.csv?sig={FIRST}",
        f" http://127.0.0.1:9/a.csv?sig={FIRST}",
        f"http:/127.0.0.1:9/a.csv?sig={FIRST}",
        f"//127.0.0.1:9/a.csv?sig={FIRST}",
        f"file://http://127.0.0.1:9/a.csv?sig={FIRST}",
    ],
)
@pytest.mark.parametrize("place", ["data", "bundle"])
def test_an_address_that_is_mistyped_or_in_the_wrong_place_shows_no_signature(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, data: str, place: str
) -> None:
    log = tmp_path / "log.jsonl"
    file = tmp_path / "a.csv"
    file.write_text("text\nhello\n")
    given = {"bundle": tiny_bundle.path, "data": file, place: data}
    done = lossrank("score", given["bundle"], given["data"], "-o", tmp_path / "run", "--log-file", log)
    assert done.exit_code != 0
    assert FIRST not in done.output
    assert FIRST not in log.read_text()


def test_a_long_word_takes_no_time_to_look_through() -> None:
    assert scrubbed("a" * 1_000_000) == "a" * 1_000_000
