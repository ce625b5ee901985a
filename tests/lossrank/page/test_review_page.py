"""The review page: what it stores, and which row it shows next."""

import html
import shutil
from pathlib import Path

import pytest

from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Decision
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, rank
from tests.support.facts import tells
from tests.support.pages import Client, page_of, shown, words, worst
from tests.support.tiny import CLASSES


def held(run: Path) -> dict[int, Decision]:
    with DecisionStore(RunDirectory.open(run)) as store:
        return store.current()


def test_the_page_begins_at_the_worst_row_and_shows_all_that_is_known_of_it(page: Client, own: Path) -> None:
    first = rank(own, 1)[0]
    response = page.get()
    assert shown(response) == [first.row]
    text = words(response)
    assert f"row {first.row} loss {first.loss:.3f}" in text
    assert first.label is not None
    assert f"Given label {CLASSES[first.label]}" in text
    assert f"The model says {CLASSES[first.predicted]} {100 * first.top_prob:.1f}%" in text
    for place, (name, prob) in enumerate(zip(CLASSES, first.probs, strict=True), start=1):
        given = " given" if name == CLASSES[first.label] else " model" if name == CLASSES[first.predicted] else ""
        assert f"{place} {name}{given} {100 * prob:.1f}%" in text
    assert "0 of 20 decided" in text


def test_each_decision_is_stored_at_once_and_leads_to_the_next_open_row(page: Client, own: Path) -> None:
    rows = worst(own)
    label = next(index for index in range(len(CLASSES)) if index != rank(own, 1)[0].label)
    response = page.post("decide", row=rows[0], seen=0, label=label)
    assert response.url.query == f"at={rows[1]}".encode()
    assert shown(response) == [rows[1]]
    assert held(own)[rows[0]].label == CLASSES[label]
    assert shown(page.post("decide", row=rows[1], seen=0, verdict=KEPT)) == [rows[2]]
    response = page.post("decide", row=rows[2], seen=0, verdict=DISCARDED)
    assert shown(response) == [rows[3]]
    assert "3 of 20 decided" in words(response)
    found = [held(own)[row] for row in rows[:3]]
    assert [decision.verdict for decision in found] == [RELABELLED, KEPT, DISCARDED]
    assert {(decision.annotator, decision.source) for decision in found} == {("ann", "review")}


def test_an_address_without_a_row_leads_to_that_of_the_first_open_one(page: Client, own: Path) -> None:
    rows = worst(own)
    page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    for query, at in (("", rows[1]), ("view=list", rows[1]), ("status=decided", rows[0]), ("at=99999", rows[1])):
        response = page.get(f"./?{query}")
        assert [redirect.status_code for redirect in response.history] == [303]
        assert response.url.query.decode().endswith(f"at={at}")
    assert page.get("./?search=zzz").history == []


def test_relabelling_to_the_given_label_keeps_the_row(page: Client, own: Path) -> None:
    first = rank(own, 1)[0]
    page.post("decide", row=first.row, seen=0, label=first.label)
    assert (held(own)[first.row].verdict, held(own)[first.row].label) == (KEPT, None)


def test_rows_that_were_skipped_come_again_after_the_last_one(page: Client, own: Path) -> None:
    rows = worst(own)
    for row in rows[1:]:
        response = page.post("decide", row=row, seen=0, verdict=KEPT)
    assert shown(response) == [rows[0]]
    response = page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    assert shown(response) == []
    assert "All 20 rows are decided" in words(response)
    assert f"lossrank apply {own}" in words(response)


def test_the_page_resumes_at_the_first_open_row_in_another_process(own: Path) -> None:
    rows = worst(own)
    with page_of(own) as page:
        page.post("decide", row=rows[0], seen=0, verdict=KEPT)
        page.post("decide", row=rows[1], seen=0, verdict=KEPT)
    with page_of(own) as page:
        assert shown(page.get()) == [rows[2]]


def test_a_decision_on_what_somebody_else_decided_meanwhile_is_not_stored_and_both_are_shown(own: Path) -> None:
    row = worst(own)[0]
    with page_of(own, "ann") as ann, page_of(own, "bob") as bob:
        bob.post("decide", row=row, seen=0, verdict=DISCARDED)
        response = ann.post("decide", row=row, seen=0, verdict=KEPT)
        assert response.status_code == 409
        assert shown(response) == [row]
        assert f"Your “kept” was not stored: row {row} was decided by bob meanwhile" in words(response)
        assert "discarded by bob" in words(response)
        assert held(own)[row].annotator == "bob"
        seen = held(own)[row].number
        assert f'name="seen" value="{seen}"' in response.text
        assert ann.post("decide", row=row, seen=seen, verdict=KEPT).status_code == 200
    assert (held(own)[row].annotator, held(own)[row].verdict) == ("ann", KEPT)


def test_undo_takes_back_the_last_decision_and_goes_to_its_row(page: Client, own: Path) -> None:
    rows = worst(own)
    page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    response = page.post("decide", row=rows[1], seen=0, verdict=DISCARDED)
    assert f"Undo row {rows[1]} discarded" in words(response)
    response = page.post("undo", seen=held(own)[rows[1]].number)
    assert shown(response) == [rows[1]]
    assert list(held(own)) == [rows[0]]
    assert f"Undo row {rows[0]} kept" in words(response)


def test_a_tab_that_did_not_see_the_last_decision_does_not_undo_it(page: Client, own: Path) -> None:
    rows = worst(own)
    page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    first = held(own)[rows[0]].number
    page.post("decide", row=rows[1], seen=0, verdict=KEPT)
    response = page.post("undo", seen=first)
    assert response.status_code == 409
    assert "Nothing was undone" in words(response)
    assert shown(response) == [rows[1]]
    assert len(held(own)) == 2


def test_undo_is_offered_of_the_latest_decision_that_nobody_has_replaced(page: Client, own: Path) -> None:
    rows = worst(own)
    for row in rows[:2]:
        page.post("decide", row=row, seen=0, verdict=KEPT)
    with DecisionStore(RunDirectory.open(own)) as store:
        replaced = held(own)[rows[1]].number
        store.decide(rows[1], DISCARDED, annotator="bob")
    response = page.post("undo", seen=replaced)
    assert response.status_code == 409
    assert tells(words(response), "latest decision", "ann", f"row {rows[0]}")
    assert shown(response) == [rows[0]]
    assert f"Undo row {rows[0]} kept" in words(response)
    assert shown(page.post("undo", seen=held(own)[rows[0]].number)) == [rows[0]]
    assert list(held(own)) == [rows[1]]
    assert "Undo row" not in words(page.get())


def test_undo_of_a_row_that_is_not_on_this_page_is_said(own: Path) -> None:
    row = worst(own)[-1]
    with DecisionStore(RunDirectory.open(own)) as store:
        number = store.decide(row, KEPT, annotator="ann").number
    with page_of(own, top=3) as page:
        assert tells(words(page.post("undo", seen=number)), f"row {row}", "undone", "not on this page")
        assert tells(words(page.post("undo", seen=0)), "no decision", "undo")
    assert held(own) == {}


@pytest.mark.parametrize(
    "body",
    [
        "row=1000000&seen=0&verdict=kept",
        "row=x&seen=0&verdict=kept",
        "seen=0&verdict=kept",
        "row=ROW&verdict=kept",
        "row=ROW&seen=0&label=4",
        "row=ROW&seen=0&label=-1",
        "row=ROW&seen=0&label=World",
        "row=ROW&seen=0&verdict=relabelled",
        "row=ROW&seen=0&verdict=burnt",
        "row=ROW&seen=0",
        "\xff",
        "",
    ],
)
def test_what_is_no_decision_stores_nothing(page: Client, own: Path, body: str) -> None:
    content = body.replace("ROW", str(worst(own)[0])).encode("latin-1")
    response = page.http.post("decide", content=content, headers=page.headers)
    assert response.status_code == 400
    assert "Not stored" in words(response)
    assert held(own) == {}


def test_a_store_that_cannot_be_written_is_said_and_the_row_stays(page: Client, own: Path) -> None:
    row = worst(own)[0]
    with DecisionStore(RunDirectory.open(own)) as store:
        store._db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    response = page.post("decide", row=row, seen=0, verdict=KEPT)
    assert response.status_code == 500
    assert "Your “kept” was not stored" in words(response)
    assert "disk is full" in words(response)
    assert shown(response) == [row]


def test_a_store_that_cannot_be_read_is_said_instead_of_the_page(page: Client, own: Path) -> None:
    with DecisionStore(RunDirectory.open(own)) as store:
        store._db.execute("DROP TABLE decisions")
    response = page.get()
    assert response.status_code == 500
    assert "The decisions can’t be read" in words(response)
    assert "no such table: decisions" in words(response)


def test_what_crashes_is_named_by_its_place_and_not_by_what_it_says(
    page: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a text of the data")

    monkeypatch.setattr("lossrank.page.html.Html.page", fail)
    response = page.get()
    assert response.status_code == 500
    assert "ZeroDivisionError at test_review_page.py" in response.text
    assert "a text of the data" not in response.text
    assert "ZeroDivisionError at" in capfd.readouterr().err


def test_the_command_on_the_page_can_be_pasted_into_a_shell(own: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(own, tmp_path / "my run"))
    with page_of(run) as client:
        text = html.unescape(client.get("?view=list").text)
    assert f"lossrank apply '{run}' -o OUT" in text
