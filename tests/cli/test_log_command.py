"""`lossrank log`: what it prints, its exit codes, and that neither key nor texts get out."""

import functools
import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from lossrank.review.records import Refusal, ReviewRecord, build_records
from lossrank.review.servers.rubrix.api import RubrixApi
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.support.fake_rubrix import KEY, FakeRubrix, error
from tests.support.tiny import CLASSES, make_texts

Lossrank = Callable[..., Result]
OPTIONS = ScoreOptions(batch_tokens=300, threads=1)


@pytest.fixture(scope="module")
def run(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """600 scored rows of a file, two of them without a text and one without a label."""
    folder = tmp_path_factory.mktemp("log")
    texts: list[str | None] = [f"secret-text-{i} {text}" for i, text in enumerate(make_texts(600))]
    labels: list[str | None] = [CLASSES[i % 4] for i in range(600)]
    texts[10] = texts[20] = labels[30] = None
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "news.parquet")
    score_dataset(tiny_bundle, folder / "news.parquet", folder / "run", OPTIONS)
    return RunDirectory.open(folder / "run")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeRubrix:
    """A server in memory that the command talks to; pauses take no time."""
    server = FakeRubrix()
    monkeypatch.setattr(
        "lossrank.review.servers.rubrix.server.RubrixApi", functools.partial(RubrixApi, transport=server)
    )
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    for name in ("RUBRIX_API_URL", "RUBRIX_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    return server


def test_the_worst_500_go_out_and_the_summary_says_where(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank
) -> None:
    result = lossrank("log", run.path, "--to", "rubrix", "--name", "ag_news_error_analysis", "--top", 500)
    assert result.stdout.splitlines() == [
        "500 rows: 500 logged, 0 there already, 0 refused",
        "Review them at http://localhost:6900/datasets/rubrix/ag_news_error_analysis",
        "The worst first: Sort, Metadata.loss, descending.",
        f"Then bring the decisions back: lossrank pull {run.path}",
    ]
    assert result.stderr == ""
    assert result.exit_code == 0
    ranked = rank(run, 500)
    assert [record["metadata"]["row"] for record in server.records.values()] == [row.row for row in ranked]
    assert [record["metadata"]["loss"] for record in server.records.values()] == [row.loss for row in ranked]
    for record in server.records.values():
        assert record["inputs"]["text"].startswith(f"secret-text-{record['metadata']['row']} ")
        assert record["id"] == f"{run.data_fingerprint[:12]}-{record['metadata']['row']:09d}"
        assert record["prediction"]["agent"] == "tiny"
        assert record["annotation"]["agent"] == "news.parquet"
        assert record["status"] == "Default"


def test_without_top_it_is_500_and_again_adds_what_is_missing(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank
) -> None:
    assert lossrank("log", run.path, "--name", "d").stdout.startswith("500 rows: 500 logged, 0 there already")
    result = lossrank("log", run.path, "--name", "d", "--top", 1000)
    assert result.stdout.startswith("597 rows: 97 logged, 500 there already, 0 refused")
    assert result.stderr == "597 rows: there are no more.\n"


@pytest.mark.parametrize(
    ("arguments", "count", "sort"),
    [
        (["--by", "entropy", "--top", 600], 598, "Metadata.entropy, descending"),
        (["--by", "margin", "--top", 7], 7, "Metadata.margin, ascending"),
        (["--by", "self-confidence", "--top", 7], 7, "Metadata.loss, descending"),
        (["--per-class", 5], 20, "Metadata.loss, descending"),
        (["--pair", "World:Sports", "--top", 3], 3, "Metadata.loss, descending"),
    ],
)
def test_the_ranking_is_that_of_rank(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, arguments: list[Any], count: int, sort: str
) -> None:
    result = lossrank("log", run.path, "--name", "d", *arguments)
    assert f"{count} rows: {count} logged" in result.stdout
    assert f"Sort, {sort}." in result.stdout


def test_a_row_without_a_label_is_logged_without_an_annotation(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--name", "d", "--by", "entropy", "--top", 600)
    (record,) = (record for record in server.records.values() if record["metadata"]["row"] == 30)
    assert record["annotation"] is None
    assert "loss" not in record["metadata"]


def test_address_key_and_workspace_come_from_the_environment(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUBRIX_API_URL", "https://someone:pass-word@rubrix.test/behind/")
    monkeypatch.setenv("RUBRIX_WORKSPACE", "team")
    result = lossrank("log", run.path, "--name", "d", "--top", 1)
    assert "Review them at https://rubrix.test/behind/datasets/team/d\n" in result.output
    assert server.requests[0].headers["X-Rubrix-Workspace"] == "team"
    assert server.requests[0].headers["Authorization"].startswith("Basic ")
    assert "pass-word" not in result.output


def test_refused_rows_are_named_and_the_others_logged(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank
) -> None:
    worst = rank(run, 50)
    server.bad = {f"{run.data_fingerprint[:12]}-{worst[i].row:09d}" for i in (0, 30)}
    server.refusal = "index"
    result = lossrank("log", run.path, "--name", "d", "--top", 50)
    assert result.exit_code == 3
    assert result.stdout.startswith("50 rows: 48 logged, 0 there already, 2 refused\n")
    assert result.stderr.splitlines() == [
        f"row {worst[i].row} refused: failed to parse field [metadata.loss] of type [float]" for i in (0, 30)
    ]
    assert "secret-text" not in result.output


def test_rows_that_rubrix_cannot_take_are_named_before(
    tmp_path: Path, tiny_bundle: ModelBundle, server: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pa.table({"text": ["w1 w2", "w3"], "label": ["World", "Sports"]})
    pq.write_table(data, tmp_path / "d.parquet")
    score_dataset(tiny_bundle, tmp_path / "d.parquet", tmp_path / "run", OPTIONS)
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    manifest["bundle"]["class_names"][1] = "S" * 129
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    result = lossrank("log", tmp_path / "run", "--name", "d")
    refused = [line for line in result.stderr.splitlines() if "refused: the " in line and "129 characters" in line]
    assert result.exit_code == 3
    assert refused
    assert len(server.records) == 2 - len(refused)


def test_rows_that_make_no_record_count_as_refused(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_built(*arguments: Any) -> tuple[list[ReviewRecord], list[Refusal]]:
        records, _ = build_records(*arguments)
        return records[1:], [Refusal(records[0].row, "the row has no text")]

    monkeypatch.setattr("cli.commands.log.build_records", half_built)
    result = lossrank("log", run.path, "--name", "d", "--top", 5)
    assert result.exit_code == 3
    assert result.stderr == f"row {rank(run, 1)[0].row} refused: the row has no text\n"
    assert result.stdout.startswith("5 rows: 4 logged, 0 there already, 1 refused")


def test_it_waits_for_a_server_that_comes_back_and_says_so(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank
) -> None:
    left = [3]

    def before(request: httpx.Request) -> None:
        if server.bulks and left[0]:
            left[0] -= 1
            raise httpx.ConnectError("[Errno 111] Connection refused")

    server.before = before
    result = lossrank("log", run.path, "--name", "d", "--chunk-size", 200)
    assert result.stdout.startswith("500 rows: 500 logged, 0 there already, 0 refused")
    assert result.stderr.count("waiting for the server ([Errno 111] Connection refused); next try in ") == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), httpx.Response(401)])
def test_stopped_half_way_it_says_how_far_it_is(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, stop: Any
) -> None:
    def before(request: httpx.Request) -> httpx.Response | None:
        if len(server.bulks) < 2:
            return None
        if isinstance(stop, httpx.Response):
            return error(401, "UnauthorizedError")
        raise stop

    server.before = before
    result = lossrank("log", run.path, "--name", "d", "--chunk-size", 100)
    lines = result.stderr.splitlines()
    assert "200 logged, 0 there already, 0 refused before it stopped; give the same command again to go on." in lines
    assert result.exit_code == (1 if isinstance(stop, httpx.Response) else 130)
    assert "refuses the API key (401)" in lines[-1] or lines[-1] == "Stopped."
    server.before = lambda request: None
    assert "500 rows: 300 logged, 200 there already" in lossrank("log", run.path, "--name", "d").stdout


def test_the_records_go_to_a_file(run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, tmp_path: Path) -> None:
    lossrank("log", run.path, "--name", "d", "--top", 50)
    file = tmp_path / "worst.jsonl"
    result = lossrank("log", run.path, "--to", "jsonl", "-o", file, "--top", 50)
    assert result.stdout == f"50 rows: 50 written to {file}, 0 refused\n"
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["rank"] for line in lines] == list(range(1, 51))
    for line, record in zip(lines, server.records.values(), strict=True):
        assert (line["record_id"], line["text"]) == (record["id"], record["inputs"]["text"])
        assert {key: line[key] for key in record["metadata"]} == record["metadata"]
    again = lossrank("log", run.path, "--to", "jsonl", "-o", file, "--top", 3)
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: {file} exists; choose another name, or replace it with --force\n",
    )
    assert lossrank("log", run.path, "--to", "jsonl", "-o", file, "--top", 3, "--force").exit_code == 0
    assert len(file.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "rubrix"], "--to rubrix takes --name DATA_SET and no -o"),
        (["--to", "rubrix", "--name", "d", "-o", "f"], "--to rubrix takes --name DATA_SET and no -o"),
        (["--to", "jsonl"], "--to jsonl takes -o FILE and no --name"),
        (["--to", "nowhere"], "'nowhere' is not one of 'rubrix', "),
        (["--name", "d", "--chunk-size", "1001"], "1001 is not in the range 1<=x<=1000"),
        (["--name", "d", "--by", "size"], "'size' is not one of 'loss'"),
    ],
)
def test_wrong_usage(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, arguments: list[str], message: str
) -> None:
    result = lossrank("log", run.path, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "AG News"], "Error: Rubrix takes no data set name 'AG News': 1 to 200 of the characters a-z, 0-9, "
            "- and _, the first a letter or digit; for example 'ag_news'"),
        (["--name", "d", "--url", "localhost"], "Error: the server's address 'localhost' can't be used; write --url "
            "like http://localhost:6900"),
        (["--name", "d", "--workspace", "nowhere"], "Error: Rubrix at http://localhost:6900 has no workspace 'nowhere' "
            "for this key, only rubrix, team; set --workspace or RUBRIX_WORKSPACE to one of them"),
        (["--name", "d", "--api-key", "another-key"], "Error: Rubrix at http://localhost:6900: it refuses the API key "
            "(401); set --api-key or RUBRIX_API_KEY to a key of that server"),
        (["--name", "d", "--pair", "World"], "Error: pair is 'World'; it must be GIVEN:PREDICTED, two of: World, "
            "Sports, Business, Sci/Tech"),
        (
            ["--name", "d", "--top", "3", "--per-class", "3"],
            "Error: --top (top_k) and --per-class (per_class) are two ways to say how many rows; give one of them",
        ),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, arguments: list[str], message: str
) -> None:
    result = lossrank("log", run.path, *arguments)
    assert result.stderr == message + "\n" or result.stderr.splitlines()[-1] == message
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "another-key" not in result.output
    assert server.records == {}


def test_nothing_is_logged_that_the_run_can_not_remember(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, freeze: Callable[[Path], None], tmp_path: Path
) -> None:
    copy = shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*"))
    freeze(copy)
    result = lossrank("log", copy, "--name", "d", "--top", 3)
    assert result.stderr == (
        f"Error: {copy / 'review.sqlite'} can't be used: unable to open database file; is the run's folder there, and "
        "may it be written?\n"
    )
    assert (server.datasets, server.records) == ({}, {})


def test_no_run(server: FakeRubrix, lossrank: Lossrank, tmp_path: Path) -> None:
    result = lossrank("log", tmp_path / "nowhere", "--name", "d")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "nowhere does not exist" in result.stderr


def test_no_server(run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossrank.review.servers.rubrix.api.FIRST_WAIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    result = lossrank("log", run.path, "--name", "d", "--url", url)
    assert result.exit_code == 1
    assert re.fullmatch(
        rf"Error: Rubrix at {re.escape(url)} can't be used: \[Errno 111\] Connection refused; tried for \d+ s; "
        "start it, or give its address with --url or RUBRIX_API_URL",
        result.stderr.splitlines()[-1],
    )


def test_the_help_shows_no_key(lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    monkeypatch.setenv("RUBRIX_API_URL", "http://someone:pass-word@host")
    text = lossrank("log", "--help").output
    assert "Examples:" in text
    assert "RUBRIX_API_KEY" in text
    assert KEY not in text
    assert "pass-word" not in text


def test_a_terminal_gets_a_bar(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = lossrank("log", run.path, "--name", "d", "--chunk-size", 100)
    assert "500/500" in result.stderr
    assert result.stdout.startswith("500 rows: 500 logged")


def test_without_a_terminal_there_is_a_line_now_and_then(
    run: RunDirectory, server: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.progress._EVERY", 0.0)
    result = lossrank("log", run.path, "--name", "d", "--chunk-size", 200)
    assert result.stderr.splitlines() == ["200 of 500 rows", "400 of 500 rows", "500 of 500 rows"]


def test_numbers_are_those_of_the_run(run: RunDirectory, server: FakeRubrix, lossrank: Lossrank) -> None:
    lossrank("log", run.path, "--name", "d", "--top", 40)
    for ranked in rank(run, 40):
        record = server.records[f"{run.data_fingerprint[:12]}-{ranked.row:09d}"]
        (predicted,) = record["prediction"]["labels"]
        assert ranked.label is not None
        assert predicted["class"] == CLASSES[ranked.predicted] == record["metadata"]["predicted"]
        assert predicted["score"] == pytest.approx(ranked.top_prob)
        assert record["annotation"]["labels"] == [{"class": CLASSES[ranked.label], "score": 1.0}]
        assert np.float32(record["metadata"]["loss"]) == np.float32(ranked.loss)
        assert record["metadata"]["margin"] == ranked.margin
