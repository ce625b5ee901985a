"""`lossrank pull` from Argilla 2.x, against a server in memory; tests/servers has the real one."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lossrank.review.servers.argilla.record import answers
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, rank
from tests.support.commands import Lossrank
from tests.support.facts import counts, facts, tells
from tests.support.fake_argilla import ANA, BEN, OWNER, URL, FakeArgilla, talk_to
from tests.support.tiny import CLASSES

Rows = list[tuple[int, str, str, str]]  # number, record id, given label, another label
MOMENT = "2026-01-01T10:00:00.5"
PULLING = ("'d'", "Argilla", URL, "'team'")  # what the first line names


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeArgilla:
    server = FakeArgilla()
    talk_to(server, monkeypatch)
    return server


def pulled(fresh: RunDirectory) -> dict[int, tuple[str, str | None, str]]:
    with DecisionStore(fresh) as store:
        return {row: (one.verdict, one.label, one.annotator) for row, one in store.current().items()}


@pytest.fixture
def logged(server: FakeArgilla, fresh: RunDirectory, lossrank: Lossrank) -> Rows:
    """The worst rows, on the server."""
    assert lossrank("log", fresh.path, "--to", "argilla", "--name", "d", "--top", 12).exit_code == 0
    rows = []
    for row in rank(fresh, 12):
        assert row.label is not None
        other = CLASSES[(row.label + 1) % len(CLASSES)]
        rows.append((row.row, f"{fresh.data_fingerprint[:12]}-{row.row:09d}", CLASSES[row.label], other))
    return rows


def test_several_peoples_answers_come_back_with_their_names(
    server: FakeArgilla,
    fresh: RunDirectory,
    logged: Rows,
    lossrank: Lossrank,
    tmp_path: Path,
) -> None:
    keep, relabel, discard, draft, torn, solved = logged[:6]
    server.respond(keep[1], ANA, keep[2])
    server.respond(relabel[1], ANA, relabel[3])
    server.respond(relabel[1], BEN, relabel[3], at="2026-01-02T10:00:00")
    server.respond(discard[1], OWNER, None)
    server.respond(draft[1], ANA, draft[3], status="draft")
    server.respond(torn[1], ANA, torn[3])
    server.respond(torn[1], BEN, None, at="2026-01-03T10:00:00")
    server.respond(solved[1], ANA, solved[3])
    server.respond(solved[1], BEN, solved[2])
    server.respond(solved[1], OWNER, solved[3])
    server.store([{"external_id": f"other-{keep[0]:09d}", "fields": {"text": "x"}, "metadata": {}}])
    server.respond(f"other-{keep[0]:09d}", ANA, "World")

    open_file = tmp_path / "open.jsonl"
    result = lossrank("pull", fresh.path, "--disagreements", open_file)
    assert result.exit_code == 0, result.output
    assert counts(result.stdout) == [9, 1, 2, 1, 4]  # answers, kept, relabelled, discarded, new
    pulling, undecided = result.stderr.splitlines()
    assert tells(pulling, *PULLING)
    assert counts(undecided) == [1, torn[0]]
    assert pulled(fresh) == {
        keep[0]: ("kept", None, "ana"),
        relabel[0]: ("relabelled", relabel[3], "ana; ben"),
        discard[0]: ("discarded", None, "owner"),
        solved[0]: ("relabelled", solved[3], "ana; owner"),
    }
    (line,) = open_file.read_text().splitlines()
    of_row = {"row": torn[0], "several": False}
    assert json.loads(line) == {
        "row": torn[0],
        "answers": [
            {"annotator": "ana", "label": torn[3], "answered_at": "2026-01-01T10:00:00.500000+00:00", **of_row},
            {"annotator": "ben", "label": None, "answered_at": "2026-01-03T10:00:00.000000+00:00", **of_row},
        ],
    }
    assert counts(lossrank("pull", fresh.path).stdout)[-1] == 0
    latest = lossrank("pull", fresh.path, "--policy", "latest")
    assert counts(latest.stderr.splitlines()[-1])[-1] == solved[0]  # all at one moment
    assert pulled(fresh)[torn[0]] == ("discarded", None, "ben")
    only_ben = lossrank("pull", fresh.path, "--policy", "user=ben")
    assert counts(only_ben.stdout)[:4] == [9, 1, 1, 1]
    assert pulled(fresh)[solved[0]] == ("kept", None, "ben")


def test_an_admin_who_may_not_list_all_users_learns_the_workspaces_names(
    server: FakeArgilla, fresh: RunDirectory, logged: Rows, lossrank: Lossrank
) -> None:
    server.role = "admin"
    server.respond(logged[0][1], ANA, logged[0][2])
    lossrank("pull", fresh.path)
    assert pulled(fresh)[logged[0][0]] == ("kept", None, "ana")


def test_more_than_a_page_is_read_whole(
    server: FakeArgilla,
    fresh: RunDirectory,
    logged: Rows,
    lossrank: Lossrank,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lossrank.review.servers.argilla.api._PAGE", 5)
    for _, record, given, _ in logged:
        server.respond(record, ANA, given)
    assert counts(lossrank("pull", fresh.path).stdout)[:2] == [12, 12]


def test_a_response_that_is_not_there_any_more_is_counted_and_holds(
    server: FakeArgilla, fresh: RunDirectory, logged: Rows, lossrank: Lossrank
) -> None:
    server.respond(logged[0][1], ANA, None)
    lossrank("pull", fresh.path)
    server.records[0]["responses"].clear()
    _, withdrawn = lossrank("pull", fresh.path).stderr.splitlines()
    assert (counts(withdrawn), tells(withdrawn, "argilla")) == ([1], True)
    assert pulled(fresh) == {logged[0][0]: ("discarded", None, "ana")}


def test_records_that_change_places_while_they_are_read_are_not_lost_in_silence(
    server: FakeArgilla,
    fresh: RunDirectory,
    logged: Rows,
    lossrank: Lossrank,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lossrank.review.servers.argilla.api._PAGE", 5)

    def before(request: httpx.Request) -> None:
        if request.url.params.get("offset") == "5":
            server.records.insert(0, server.records.pop())

    server.before = before
    result = lossrank("pull", fresh.path)
    assert result.exit_code == 1
    assert tells(result.stderr.splitlines()[-1], "Error", "changed")
    assert pulled(fresh) == {}


def test_a_data_set_that_is_not_there(server: FakeArgilla, fresh: RunDirectory, lossrank: Lossrank) -> None:
    result = lossrank("pull", fresh.path, "--from", "argilla", "--name", "none")
    assert result.exit_code == 1
    pulling, error = result.stderr.splitlines()
    assert tells(pulling, "'none'", URL)
    assert tells(error, "Error", URL, "'none'", "'team'", "--name", "--workspace")
    assert server.datasets == []


@pytest.mark.parametrize("response", [{"status": "submitted", "values": {"label": {"value": "World"}}}, "yes", {}])
def test_a_response_that_is_none_is_an_error(response: Any) -> None:
    with pytest.raises(ValueError, match=facts("response", "row 7")):
        answers({"external_id": "abc-000000007", "responses": [response]}, "abc", {})


def test_an_answer_without_a_label_and_one_of_an_unknown_user() -> None:
    said = {"user_id": "u-1", "updated_at": MOMENT}
    record = {
        "external_id": "abc-000000007",
        "responses": [
            {**said, "status": "submitted", "values": {"mood": {"value": "good"}}},
            {**said, "status": "submitted", "values": {"label": {"value": "World"}}},
        ],
    }
    (answer,) = answers(record, "abc", {})
    assert (answer.row, answer.label, answer.annotator) == (7, "World", "user-u-1")
    assert answers(record, "xyz", {}) == []
