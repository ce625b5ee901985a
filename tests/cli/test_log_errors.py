"""`lossrank log`: its exit codes, what a stop leaves, and that neither key nor texts get out."""

import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from scorer import RunDirectory
from tests.support.commands import Lossrank
from tests.support.fake_rubrix import KEY, FakeRubrix, error


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
    assert result.stdout.startswith("500 rows: 500 logged, 0 there already, 0 refused")
    assert result.stderr.count("waiting for the server ([Errno 111] Connection refused); next try in ") == 3


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
    assert "200 logged, 0 there already, 0 refused before it stopped; give the same command again to go on." in lines
    assert result.exit_code == (1 if isinstance(stop, httpx.Response) else 130)
    assert "refuses the API key (401)" in lines[-1] or lines[-1] == "Stopped."
    rubrix.before = lambda request: None
    assert "500 rows: 300 logged, 200 there already" in lossrank("log", news_run.path, "--name", "d").stdout


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
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, arguments: list[str], message: str
) -> None:
    result = lossrank("log", news_run.path, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert rubrix.requests == []


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
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, arguments: list[str], message: str
) -> None:
    result = lossrank("log", news_run.path, *arguments)
    assert result.stderr == message + "\n" or result.stderr.splitlines()[-1] == message
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
    assert result.stderr == (
        f"Error: {copy / 'review.sqlite'} can't be used: unable to open database file; is the run's folder there, and "
        "may it be written?\n"
    )
    assert (rubrix.datasets, rubrix.records) == ({}, {})


def test_no_run(rubrix: FakeRubrix, lossrank: Lossrank, tmp_path: Path) -> None:
    result = lossrank("log", tmp_path / "nowhere", "--name", "d")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "nowhere does not exist" in result.stderr


def test_no_server(news_run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossrank.review.servers.rubrix.api.FIRST_WAIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    result = lossrank("log", news_run.path, "--name", "d", "--url", url)
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
