"""`lossrank pull`: which server, data set and workspace it takes, and who learns the key."""

import httpx
import pytest

from lossrank.review.decision import ServerDataset
from lossrank.review.servers.server import ReviewError
from lossrank.review.store import DecisionStore
from scorer import RunDirectory
from tests.support.commands import Lossrank
from tests.support.facts import counts, facts, tells
from tests.support.fake_rubrix import URL, FakeRubrix, connect, talk_to


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeRubrix:
    server = FakeRubrix()
    talk_to(server, monkeypatch)
    return server


def test_the_place_is_remembered_with_its_workspace(
    server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    lossrank("log", fresh.path, "--name", "d", "--top", 3, "--workspace", "team", "--url", "http://other.test:1")
    monkeypatch.delenv("RUBRIX_API_URL")
    server.requests.clear()
    assert lossrank("pull", fresh.path).exit_code == 0
    assert {request.url.host for request in server.requests} == {"other.test"}
    assert server.requests[0].headers["X-Rubrix-Workspace"] == "team"


def test_of_several_places_the_latest_that_fits_is_taken(
    server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUBRIX_API_URL", raising=False)
    for name, url in (("a", "http://one.test"), ("b", "http://one.test"), ("a", "http://two.test"), ("c", URL)):
        lossrank("log", fresh.path, "--name", name, "--top", 1, "--url", url)

    def asked(*options: str) -> tuple[str, str]:
        server.requests.clear()
        assert lossrank("pull", fresh.path, *options).exit_code == 0
        return server.requests[0].url.host, server.requests[-1].url.path.split("/")[3]

    assert asked() == ("rubrix.test", "c")
    assert asked("--name", "a") == ("two.test", "a")
    assert asked("--url", "http://one.test") == ("one.test", "b")
    assert asked("--name", "a", "--url", "http://one.test/") == ("one.test", "a")
    assert asked("--name", "b", "--url", "http://moved.test") == ("moved.test", "b")

    # Whoever hands over a run must not learn a key that is meant for another server.
    monkeypatch.setenv("RUBRIX_API_URL", "http://corp.test")
    server.requests.clear()
    refused = lossrank("pull", fresh.path, "--name", "a")
    assert refused.exit_code == 1
    assert tells(refused.stderr, "Error", "http://two.test", "RUBRIX_API_URL", "http://corp.test")
    assert server.requests == []


def test_a_workspace_of_one_server_is_not_asked_of_another(
    server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank
) -> None:
    lossrank("log", fresh.path, "--name", "d", "--top", 1, "--workspace", "team")
    server.requests.clear()
    assert lossrank("pull", fresh.path, "--url", "http://moved.test").exit_code == 0
    assert "X-Rubrix-Workspace" not in server.requests[0].headers


def test_the_password_of_the_address_is_used_and_never_kept(
    server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUBRIX_API_URL", "http://someone:pass-word@rubrix.test:6900")
    lossrank("log", fresh.path, "--name", "d", "--top", 1)
    with DecisionStore(fresh) as store:
        assert store.datasets() == [ServerDataset("rubrix", URL, "rubrix", "d")]
    server.requests.clear()
    assert lossrank("pull", fresh.path).exit_code == 0
    assert server.requests[0].headers["Authorization"].startswith("Basic ")
    assert b"pass-word" not in (fresh.path / "review.sqlite").read_bytes()


def test_argilla_1_answers_to_who_takes_it_for_rubrix(
    fresh: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeRubrix(argilla=True)
    talk_to(server, monkeypatch)
    result = lossrank("log", fresh.path, "--name", "d", "--top", 5)
    assert counts(result.stdout.splitlines()[0]) == [5, 5, 0, 0]
    again = lossrank("log", fresh.path, "--name", "d", "--top", 7)
    assert counts(again.stdout.splitlines()[0]) == [7, 2, 5, 0]
    for id in server.records:
        server.answer(id, "World")
    assert counts(lossrank("pull", fresh.path).stdout)[0] == 7


def test_argillas_workspace_is_the_only_one_or_the_users_own() -> None:
    server = FakeRubrix(argilla=True)
    names = ["team", "two"]
    server.before = lambda request: (
        httpx.Response(200, json={"username": "ana", "workspaces": names}) if request.url.path == "/api/me" else None
    )
    with pytest.raises(ReviewError, match=facts("Argilla", "team, two", "workspace")):
        connect(server).open_dataset("d")
    with pytest.raises(ReviewError, match=facts("'three'", "team, two", "workspace")):
        connect(server, workspace="three").open_dataset("d")
    names.pop()
    assert connect(server).open_dataset("d") == "team"
