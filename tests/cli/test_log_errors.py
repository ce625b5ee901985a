"""`lossrank log`: its exit codes, what a stop leaves, and that neither key nor texts get out."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from lossrank.errors import ArgumentError
from lossrank.review.log import log
from scorer import RunDirectory
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, facts, tells
from tests.support.fake_rubrix import KEY, FakeRubrix, error
from tests.support.tiny import CLASSES


def test_it_waits_for_a_server_that_comes_back_and_says_so(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank
) -> None:
    left = [3]

    def before(request: httpx.Request) -> None:
        if rubrix.bulks and left[0]:
            left[0] -= 1
            raise httpx.ConnectError("[Errno 111] Connection refused")

    rubrix.before = before
    result = lossrank("log", news_run.path, "--name", "d", "--chunk-size", 200)
    assert counts(result.stdout.splitlines()[0]) == [500, 500, 0, 0]  # rows, logged, there already, refused
    assert result.stderr.count("[Errno 111] Connection refused") == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), httpx.Response(401)])
def test_stopped_half_way_it_says_how_far_it_is(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, stop: Any
) -> None:
    def before(request: httpx.Request) -> httpx.Response | None:
        if len(rubrix.bulks) < 2:
            return None
        if isinstance(stop, httpx.Response):
            return error(401, "UnauthorizedError")
        raise stop

    rubrix.before = before
    result = lossrank("log", news_run.path, "--name", "d", "--chunk-size", 100)
    lines = result.stderr.splitlines()
    assert [200, 0, 0] in map(counts, lines)
    assert result.exit_code == (1 if isinstance(stop, httpx.Response) else 130)
    assert tells(lines[-1], "Error", "401") or result.exit_code == 130
    rubrix.before = lambda request: None
    again = lossrank("log", news_run.path, "--name", "d")
    assert counts(again.stdout.splitlines()[0]) == [500, 300, 200, 0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--to", "rubrix"], ["--to", "--name", "-o"]),
        (["--to", "rubrix", "--name", "d", "-o", "f"], ["--to", "--name", "-o"]),
        (["--to", "jsonl"], ["--to", "jsonl", "-o", "--name"]),
        (["--to", "nowhere"], ["nowhere", "rubrix"]),
        (["--name", "d", "--chunk-size", "1001"], ["1001", "1", "1000"]),
        (["--name", "d", "--by", "size"], ["size", "loss"]),
    ],
)
def test_wrong_usage(
    tmp_path: Path, rubrix: FakeRubrix, lossrank: Lossrank, arguments: list[str], named: list[str]
) -> None:
    log_file = tmp_path / "log.jsonl"
    result = lossrank("log", tmp_path / "no-run", *arguments, "--log-file", log_file)
    assert (result.exit_code, log_file.exists()) == (2, False)  # before the run is opened or anything is logged
    assert tells(result.stderr, *named)
    assert rubrix.requests == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_request_has_a_record(rubrix: FakeRubrix, tmp_path: Path, size: int) -> None:
    with pytest.raises(ArgumentError, match=facts("`chunk_size`", size, 1)):
        log(tmp_path / "run", name="d", chunk_size=size)
    assert rubrix.requests == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--name", "AG News"], ["AG News", "200", "a-z", "ag_news"]),
        (["--name", "d", "--url", "localhost"], ["'localhost'", "--url", "http://localhost:6900"]),
        (
            ["--name", "d", "--workspace", "nowhere"],
            ["http://localhost:6900", "nowhere", "rubrix, team", "--workspace", "RUBRIX_WORKSPACE"],
        ),
        (
            ["--name", "d", "--api-key", "another-key"],
            ["http://localhost:6900", "401", "--api-key", "RUBRIX_API_KEY"],
        ),
        (["--name", "d", "--pair", "World"], ["pair", "'World'", "GIVEN:PREDICTED", ", ".join(CLASSES)]),
        (["--name", "d", "--top", "3", "--per-class", "3"], ["top", "per_class"]),
    ],
)
def test_errors_are_one_line(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, arguments: list[str], named: list[str]
) -> None:
    result = lossrank("log", news_run.path, *arguments)
    assert tells(error_line(result), *named)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "another-key" not in result.output
    assert rubrix.records == {}


def test_nothing_is_logged_that_the_run_can_not_remember(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, freeze: Callable[[Path], None], tmp_path: Path
) -> None:
    copy = shutil.copytree(news_run.path, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*"))
    freeze(copy)
    result = lossrank("log", copy, "--name", "d", "--top", 3)
    assert tells(error_line(result), copy / "review.sqlite", "unable to open database file")
    assert (rubrix.datasets, rubrix.records) == ({}, {})


def test_no_run(rubrix: FakeRubrix, lossrank: Lossrank, tmp_path: Path) -> None:
    result = lossrank("log", tmp_path / "nowhere", "--name", "d")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert tells(result.stderr, tmp_path / "nowhere")


def test_no_server(news_run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossrank.review.servers.rubrix.api.FIRST_WAIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    result = lossrank("log", news_run.path, "--name", "d", "--url", url)
    assert result.exit_code == 1
    assert tells(error_line(result), url, "[Errno 111] Connection refused", "--url", "RUBRIX_API_URL")


def test_the_help_shows_no_key(lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    monkeypatch.setenv("RUBRIX_API_URL", "http://someone:pass-word@host")
    text = lossrank("log", "--help").output
    assert "Examples:" in text
    assert "RUBRIX_API_KEY" in text
    assert KEY not in text
    assert "pass-word" not in text
