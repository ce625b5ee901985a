"""`lossrank pull` from a server in memory: what comes back and what can't; tests/servers has real ones."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lossrank.review.decision import Decision
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, rank
from tests.support.commands import Lossrank
from tests.support.facts import counts, tells
from tests.support.fake_rubrix import FakeRubrix, error, talk_to
from tests.support.tiny import CLASSES


@dataclass(frozen=True)
class Logged:
    """A row that is on the server: its number, the record's id, the given label and another one."""

    row: int
    id: str
    given: str
    other: str


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeRubrix:
    """A server in memory that the commands talk to; pauses take no time."""
    server = FakeRubrix()
    talk_to(server, monkeypatch)
    return server


@pytest.fixture
def logged(server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank) -> list[Logged]:
    """The ten worst rows, on the server."""
    assert lossrank("log", fresh.path, "--name", "d", "--top", 10).exit_code == 0
    rows = []
    for row in rank(fresh, 10):
        assert row.label is not None
        id = f"{fresh.data_fingerprint[:12]}-{row.row:09d}"
        rows.append(Logged(row.row, id, CLASSES[row.label], CLASSES[(row.label + 1) % len(CLASSES)]))
    return rows


PULLING = ("d", "Rubrix", "http://rubrix.test:6900", "rubrix")  # what the first line names


def decisions(run: RunDirectory) -> dict[int, Decision]:
    with DecisionStore(run) as store:
        return store.current()


# What comes back


def test_what_a_person_validated_and_discarded_comes_back(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    keep, relabel, discard, bens, edited = logged[:5]
    server.answer(keep.id, keep.given)
    server.answer(relabel.id, relabel.other, at="2026-02-01T10:00:00")
    server.answer(discard.id, None)
    server.answer(bens.id, bens.other, agent="ben")
    server.answer(bens.id, None)
    server.records[edited.id]["status"] = "Edited"

    result = lossrank("pull", fresh.path)
    (pulling,) = result.stderr.splitlines()
    assert (result.exit_code, tells(pulling, *PULLING)) == (0, True)
    assert counts(result.stdout) == [4, 1, 1, 2, 4]  # answers, kept, relabelled, discarded, new
    found = decisions(fresh)
    assert {row: (one.verdict, one.label, one.annotator) for row, one in found.items()} == {
        keep.row: ("kept", None, "ana"),
        relabel.row: ("relabelled", relabel.other, "ana"),
        discard.row: ("discarded", None, "unknown"),  # the given label is still the annotation
        bens.row: ("discarded", None, "ben"),
    }
    assert {one.source for one in found.values()} == {"rubrix"}
    assert found[relabel.row].decided_at == "2026-02-01T10:00:00.000000+00:00"
    again = lossrank("pull", fresh.path)
    assert counts(again.stdout)[-1] == 0

    server.answer(keep.id, keep.other, at="2026-03-01T10:00:00")
    assert counts(lossrank("pull", fresh.path).stdout)[-1] == 1
    assert decisions(fresh)[keep.row].label == keep.other


def test_a_decision_made_here_since_holds_and_the_pull_says_so(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    server.answer(logged[0].id, logged[0].other)
    with DecisionStore(fresh) as store:
        store.decide(logged[0].row, "discarded", annotator="me")
    result = lossrank("pull", fresh.path)
    _, older = result.stdout.splitlines()
    assert counts(older) == [1]
    assert json.loads(lossrank("pull", fresh.path, "--json").stdout)["added"] == 0
    assert decisions(fresh)[logged[0].row].verdict == "discarded"


def test_an_answer_that_is_not_there_any_more_is_counted_and_what_was_pulled_holds(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    emptied, deleted, overruled, held = logged[:4]
    for row in logged[:4]:
        server.answer(row.id, None)
    assert json.loads(lossrank("pull", fresh.path, "--json").stdout)["withdrawn"] == 0
    server.records[emptied.id]["status"] = server.records[overruled.id]["status"] = "Default"
    del server.records[deleted.id]  # as another data set of the server never had it
    with DecisionStore(fresh) as store:
        store.decide(overruled.row, "kept", annotator="me")
    result = lossrank("pull", fresh.path)
    assert (result.exit_code, counts(result.stdout)[0]) == (0, 1)
    _, withdrawn = result.stderr.splitlines()
    assert (counts(withdrawn), tells(withdrawn, "rubrix")) == ([1], True)
    assert json.loads(lossrank("pull", fresh.path, "--json").stdout)["withdrawn"] == 1
    verdicts = {row: one.verdict for row, one in decisions(fresh).items()}
    discarded = dict.fromkeys([emptied.row, deleted.row, held.row], "discarded")
    assert verdicts == {**discarded, overruled.row: "kept"}


def test_a_server_is_asked_of_many_rows_in_parts(
    server: FakeRubrix,
    fresh: RunDirectory,
    logged: list[Logged],
    lossrank: Lossrank,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lossrank.review.servers.base._IDS", 4)
    for row in logged:
        server.answer(row.id, None)
    lossrank("pull", fresh.path)
    for row in logged:
        server.records[row.id]["status"] = "Default"
    server.requests.clear()
    assert json.loads(lossrank("pull", fresh.path, "--json").stdout)["withdrawn"] == 10
    bodies = [json.loads(one.content) for one in server.requests if one.url.path.endswith("/data")]
    assert [len(body["ids"]) for body in bodies if "ids" in body] == [4, 4, 2]


def test_an_answer_of_a_clock_that_is_ahead_does_not_win_for_ever(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    server.answer(logged[0].id, None, at="2999-01-01T10:00:00")
    server.answer(logged[1].id, None)
    first = lossrank("pull", fresh.path)
    assert counts(first.stdout)[-1] == 2
    _, ahead = first.stderr.splitlines()
    assert (counts(ahead), tells(ahead, "clock")) == ([1], True)
    with DecisionStore(fresh) as store:
        store.decide(logged[0].row, "kept", annotator="me")
    again = json.loads(lossrank("pull", fresh.path, "--json").stdout)
    assert (again["added"], again["ahead"]) == (0, 0)
    assert decisions(fresh)[logged[0].row].verdict == "kept"
    assert decisions(fresh)[logged[0].row].decided_at < "2999"


def test_a_label_that_is_no_class_decides_nothing_and_is_counted(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    server.answer(logged[0].id, "Weather")
    server.answer(logged[1].id, logged[1].given)
    result = lossrank("pull", fresh.path)
    assert result.exit_code == 3
    assert counts(result.stdout) == [2, 1, 0, 0, 1]
    _, undecided, unknown = result.stderr.splitlines()
    assert counts(undecided) == [1, logged[0].row]
    assert (counts(unknown), tells(unknown, "class", "Weather")) == ([1], True)
    assert list(decisions(fresh)) == [logged[1].row]


def test_records_of_other_data_are_passed_over(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    server.store([{"id": f"ffffffffffff-{logged[0].row:09d}"}, {"id": "mine"}])
    server.answer(f"ffffffffffff-{logged[0].row:09d}", "World")
    server.answer("mine", "World")
    assert counts(lossrank("pull", fresh.path).stdout)[0] == 0


def test_the_summary_as_json_and_a_log_file_without_labels_or_texts(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank, tmp_path: Path
) -> None:
    server.answer(logged[0].id, "a private text")
    server.answer(logged[1].id, None)
    result = lossrank("pull", fresh.path, "--json", "--log-file", tmp_path / "log.jsonl")
    document = json.loads(result.stdout)
    assert (document["answers"], document["discarded"], document["added"]) == (2, 1, 1)
    assert document["unknown_labels"] == {"a private text": 1}
    lines = (tmp_path / "log.jsonl").read_text()
    assert '"discarded": 1' in lines
    assert "private" not in lines


def test_what_was_never_logged_is_pulled_by_saying_where(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    server.answer(logged[0].id, logged[0].given)
    (fresh.path / "review.sqlite").unlink()
    assert json.loads(lossrank("pull", fresh.path, "--from", "rubrix", "--name", "d", "--json").stdout)["kept"] == 1


# What can't be done


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], ["--from", "--name", "FILE"]),
        (["--from", "rubrix"], ["rubrix", "--from", "--name"]),
        (["--from", "csv", "--name", "d"], ["--from", "csv", "FILE"]),
        (
            ["--from", "rubrix", "--name", "none"],
            ["none", "workspace", "rubrix"],
        ),
        (
            ["--from", "rubrix", "--name", "d", "--api-key", "another"],
            ["401", "--api-key"],
        ),
        (
            ["--from", "rubrix", "--name", "d", "--workspace", "nowhere"],
            ["workspace", "nowhere"],
        ),
        (["--data", "moved.parquet"], ["--data", "moved.parquet"]),
        (["--policy", "most"], ["most", "majority", "unanimous", "latest", "user=NAME"]),
    ],
)
def test_errors_are_one_line_and_nothing_is_decided(
    server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank, arguments: list[str], named: list[str]
) -> None:
    result = lossrank("pull", fresh.path, *arguments)
    assert result.exit_code == 1
    *before, line = result.stderr.splitlines()
    assert result.stdout == ""
    assert len(before) <= 1  # where it is pulled from
    assert line.startswith("Error: ")
    assert tells(line, *named)
    assert "another" not in result.stderr.replace("another run", "")
    assert decisions(fresh) == {}
    assert server.datasets == {}


def test_a_file_of_disagreements_that_is_there_is_not_replaced(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank, tmp_path: Path
) -> None:
    file = tmp_path / "open.jsonl"
    file.write_text("mine")
    result = lossrank("pull", fresh.path, "--disagreements", file)
    assert (result.exit_code, file.read_text()) == (1, "mine")
    assert tells(result.stderr, file, "--force")
    assert lossrank("pull", fresh.path, "--disagreements", file, "--force").exit_code == 0
    assert file.read_text() == ""


@pytest.mark.parametrize("option", ["--disagreements", "--log-file"])
@pytest.mark.parametrize("name", ["review.sqlite", "review.sqlite-wal", "run.json", "scores/part-00099.parquet"])
def test_no_file_goes_where_the_run_has_its_own(
    server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank, option: str, name: str
) -> None:
    before = sorted(fresh.path.rglob("*"))
    result = lossrank("pull", fresh.path, option, fresh.path / name, "--force")
    assert tells(result.stderr, "Error", fresh.path / name, "run")
    assert (result.exit_code, sorted(fresh.path.rglob("*"))) == (1, before)


def test_nor_through_a_link(server: FakeRubrix, fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(fresh.path / "review.sqlite")
    for option in ("--disagreements", "--log-file"):
        assert tells(lossrank("pull", fresh.path, option, link).stderr, "Error", link, "run")


def test_it_waits_for_a_server_that_comes_back_and_says_so(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    server.answer(logged[0].id, logged[0].given)
    left = [2]

    def before(request: httpx.Request) -> None:
        if request.url.path.endswith("/data") and left[0]:
            left[0] -= 1
            raise httpx.ConnectError("[Errno 111] Connection refused", request=request)

    server.before = before
    result = lossrank("pull", fresh.path)
    assert counts(result.stdout)[:2] == [1, 1]
    assert result.stderr.count("[Errno 111] Connection refused") == 2


def test_a_data_set_that_is_closed_is_said_so(
    server: FakeRubrix, fresh: RunDirectory, logged: list[Logged], lossrank: Lossrank
) -> None:
    closed = error(500, "GenericRubrixServerError", type="x.ClosedIndexError", message="d").content
    server.before = lambda request: httpx.Response(200, content=closed) if request.url.path.endswith("/data") else None
    result = lossrank("pull", fresh.path)
    assert tells(result.stderr.splitlines()[-1], "Error", "d", "closed")
