"""The review page's filters, search, list and links to other rows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lossrank.page.rows import PageRow
from lossrank.page.selection import Selection
from lossrank.page.view import excerpt, parts
from lossrank.review.decision import DISCARDED, KEPT
from scorer import RankedRow, rank
from tests.support.facts import tells
from tests.support.pages import Client, page_of, shown, words, worst

TOP = 120


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture
def page(own: Path) -> Iterator[Client]:
    with page_of(own, top=TOP) as client:
        yield client


@pytest.fixture
def ranked(own: Path) -> list[RankedRow]:
    return rank(own, TOP)


def listed(page: Client, query: str) -> list[int]:
    """Return all rows of the list, from every page of it."""
    found: list[int] = []
    response = page.get(f"./?view=list&{query}")
    while True:
        found += shown(response)
        if 'rel="next"' not in response.text:
            return found
        address = response.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
        response = page.get(address.replace("&amp;", "&"))


def test_the_list_has_every_row_in_order_a_piece_at_a_time(page: Client, ranked: list[RankedRow]) -> None:
    assert len(shown(page.get("./?view=list"))) == 50
    assert listed(page, "") == [row.row for row in ranked]


def test_the_list_opens_where_the_row_is(page: Client, ranked: list[RankedRow]) -> None:
    response = page.get(f"./?view=list&at={ranked[77].row}")
    assert shown(response) == [row.row for row in ranked[50:100]]
    assert f'data-row="{ranked[77].row}" tabindex="-1" autofocus' in response.text


def test_filters_by_given_and_predicted_class_and_pair(page: Client, ranked: list[RankedRow]) -> None:
    assert listed(page, "given=2") == [row.row for row in ranked if row.label == 2]
    assert listed(page, "predicted=1") == [row.row for row in ranked if row.predicted == 1]
    both = [row.row for row in ranked if (row.label, row.predicted) == (2, 1)]
    assert both
    assert listed(page, "pair=2:1") == listed(page, "given=2&predicted=1") == both
    assert listed(page, "pair=2:1&given=3") == []
    assert "No row matches" in words(page.get("./?pair=2:1&given=3"))


def test_the_pairs_are_offered_the_most_frequent_first(page: Client, ranked: list[RankedRow]) -> None:
    text = words(page.get()).split("Pair all ")[1].split(" Status")[0]
    counts = [int(part.rstrip(")")) for part in text.split() if part.startswith("(") for part in [part[1:]]]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(row.label != row.predicted for row in ranked)


def test_filters_by_status(page: Client, ranked: list[RankedRow]) -> None:
    rows = [row.row for row in ranked]
    page.post("decide", row=rows[3], seen=0, verdict=KEPT)
    page.post("decide", row=rows[5], seen=0, verdict=DISCARDED)
    assert listed(page, "status=decided") == [rows[3], rows[5]]
    assert listed(page, "status=open") == [row for row in rows if row not in (rows[3], rows[5])]
    assert shown(page.get("./?status=decided")) == [rows[3]]
    response = page.get("./?status=open")
    assert f"2 of {TOP} decided" in words(response)


def test_a_decision_goes_on_to_the_next_open_row_that_passes_the_filters(page: Client, ranked: list[RankedRow]) -> None:
    passing = [row.row for row in ranked if (row.label, row.predicted) == (2, 1)]
    response = page.post(f"decide?pair=2:1&at={passing[0]}", row=passing[0], seen=0, verdict=KEPT)
    assert shown(response) == [passing[1]]
    assert f"1 of {len(passing)} decided, filtered" in words(response)
    for row in passing[1:]:
        response = page.post(f"decide?pair=2:1&at={row}", row=row, seen=0, verdict=KEPT)
    assert tells(words(response), "All", len(passing), "are decided", "filters")


def test_search_finds_texts_whatever_the_case_and_marks_what_it_found(page: Client, own: Path, rows: pa.Table) -> None:
    texts = rows["text"].to_pylist()
    found = listed(page, "search=W5 w")
    assert found == [row for row in worst(own, TOP) if "w5 w" in texts[row]]
    assert found
    assert "<mark>w5 w</mark>" in page.get("./?search=W5 w").text


def test_next_and_previous_move_among_what_is_shown(page: Client, ranked: list[RankedRow]) -> None:
    passing = [row.row for row in ranked if row.label == 2]
    text = page.get(f"./?given=2&at={passing[1]}").text
    assert f'href="./?given=2&amp;at={passing[0]}" rel="prev"' in text
    assert f'href="./?given=2&amp;at={passing[2]}" rel="next"' in text
    assert 'rel="prev"' not in page.get(f"./?given=2&at={passing[0]}").text
    assert 'rel="next"' not in page.get(f"./?given=2&at={passing[-1]}").text


def test_an_address_that_makes_no_sense_shows_what_it_can(page: Client, ranked: list[RankedRow]) -> None:
    for query in ("at=-1", "at=x", "at=99999999", "at=²", "status=burnt", "view=round", "at=" + "9" * 5000):
        assert shown(page.get(f"./?{query}")) == [ranked[0].row], query


def test_marks_and_excerpts_lose_nothing() -> None:
    assert parts("a+b A+B c", "a+b") == [("a+b", True), (" ", False), ("A+B", True), (" c", False)]
    assert parts("abc", "") == [("abc", False)]
    long = "x" * 1000 + " needle " + "y" * 1000
    assert any(found and piece == "needle" for piece, found in excerpt(long, "needle"))
    assert excerpt("a\n b", "") == [("a b", False)]


def test_decided_rows_are_walked_through_one_after_the_other() -> None:
    scores = RankedRow(1, 0, None, 0, 1, 1.0, 0.1, 0.9, -0.8, 0.3, 3, False, "fp32", (0.1, 0.9), "a", "b")
    rows = [PageRow(RankedRow(**{**vars(scores), "rank": i + 1, "row": 10 * i}), {"text": "t"}, "a") for i in range(4)]
    chosen = Selection(status="decided", at=10)
    assert chosen.after(rows[1], rows, {0, 10, 30}).at == 30
    assert chosen.after(rows[3], rows, {0, 10, 30}).at == 0
    assert chosen.after(rows[1], rows, {10}).at is None


def test_search_ignores_the_case_of_every_script() -> None:
    scores = RankedRow(1, 0, None, 0, 1, 1.0, 0.1, 0.9, -0.8, 0.3, 3, False, "fp32", (0.1, 0.9), "a", "b")
    row = PageRow(scores, {"text": "die Straße, ΟΔΟΣ"}, "a")
    for search in ("STRASSE", "οδος", "οδοσ"):
        assert Selection(search=search).matching([row]) == [row]
