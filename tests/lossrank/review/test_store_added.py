"""Decisions from elsewhere: added once, taken back by their own people, and dated by when they came."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lossrank.review.decision import (
    DISCARDED,
    KEPT,
    RELABELLED,
    Added,
    Answer,
    Decision,
    now_text,
    utc_text,
)
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, RunError
from tests.support.facts import facts

NOTHING = Added(new=0, older=0, ahead=0, taken_back=0)


def elsewhere(row: int, moment: str, label: str | None = "Sports") -> Decision:
    verdict = DISCARDED if label is None else RELABELLED
    return Decision(row, verdict, label, "ann", "argilla", utc_text(moment))


def said(row: int, *people: str, moment: str = "2020-01-01") -> list[Answer]:
    return [Answer(row, name, "World", utc_text(moment)) for name in people]


def test_a_decision_from_elsewhere_that_is_dated_later_than_now_is_made_now_and_known_again(
    fresh: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomorrow, later = (utc_text(datetime.now(UTC) + timedelta(days=days)) for days in (1, 2))
    brought = [elsewhere(5, tomorrow), elsewhere(6, tomorrow)]
    with DecisionStore(fresh) as store:
        store.decide(5, KEPT, annotator="me")
        assert store.add(brought) == Added(new=2, older=0, ahead=2, taken_back=0)
        assert store.current()[5].label == "Sports"
        assert store.current()[5].decided_at <= now_text()
        store.decide(5, KEPT, annotator="me")
        assert store.add([elsewhere(6, now_text(), "World")]).new == 1
        assert store.add(brought) == NOTHING
        monkeypatch.setattr("lossrank.review.store.now_text", lambda: later)  # its own date has come
        assert store.add(brought) == NOTHING
        assert [one.label for one in store.current().values()] == [None, "World"]
        assert store.add([elsewhere(5, later)]).new == 1  # said once more
        assert store.current()[5].label == "Sports"


def test_decisions_from_elsewhere_are_added_once_and_an_older_one_does_not_replace_a_later_one(
    fresh: RunDirectory,
) -> None:
    with DecisionStore(fresh) as store:
        store.decide(5, KEPT, annotator="ann")
        brought = [elsewhere(5, "2020-01-01T00:00:00"), elsewhere(6, "2020-01-01T00:00:00+01:00", None)]
        assert store.add(brought) == Added(new=2, older=1, ahead=0, taken_back=0)
        assert store.add(brought) == NOTHING
        assert store.current()[5].verdict == KEPT
        assert store.current()[6].decided_at == "2019-12-31T23:00:00.000000+00:00"


def test_of_decisions_from_elsewhere_all_are_added_or_none(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        with pytest.raises(RunError, match=facts("row 1000", 999)):
            store.add([elsewhere(5, "2020-01-01"), elsewhere(1000, "2020-01-01")])
        assert store.current() == {}


def test_a_decision_of_people_who_disagree_by_now_holds_no_more_and_may_come_back(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        one = elsewhere(5, "2020-01-01")
        store.decide(6, KEPT, annotator="me")
        store.add([one, elsewhere(6, "2020-01-01")])
        disagreed = {row: said(row, "ben", one.annotator) for row in (5, 6)} | {7: said(7, "ben")}
        assert store.add([], disagreed, "argilla") == Added(new=0, older=0, ahead=0, taken_back=2)
        assert [(each.row, each.annotator) for each in store.current().values()] == [(6, "me")]
        assert store.add([one]).new == 1
        assert store.current()[5].label == "Sports"


@pytest.mark.parametrize(
    ("people", "source", "moment"),
    [
        (["ben", "cy"], "argilla", "2020-01-02"),
        (["ann", "ben", "cy"], "csv", "2020-01-02"),
        (["ann", "ben"], "argilla", "2019-12-31"),  # what they said before
    ],
)
def test_what_others_decided_or_elsewhere_is_not_taken_back(
    fresh: RunDirectory, people: list[str], source: str, moment: str
) -> None:
    with DecisionStore(fresh) as store:
        together = replace(elsewhere(5, "2020-01-01"), annotator="ann; ben")
        store.add([together])
        assert store.add([], {5: said(5, *people, moment=moment)}, source) == NOTHING
        assert store.current()[5].annotator == "ann; ben"
        assert store.add([], {5: said(5, "ben", "cy", "ann")}, "argilla").taken_back == 1


def test_what_people_decided_together_they_take_back_together(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.add([replace(elsewhere(row, "2020-01-01"), annotator="ann; ben") for row in (5, 6)])
        assert store.add([], {5: said(5, "ann; ben"), 6: said(6, "ann")}, "argilla").taken_back == 1
        assert list(store.current()) == [6]


def test_a_decision_dated_later_than_now_is_taken_back_by_what_is_said_since_it_came(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.add([elsewhere(5, "2999-01-01")])
        assert store.add([], {5: said(5, "ann", moment="2020-01-01")}, "argilla").taken_back == 0
        assert store.add([], {5: said(5, "ann", moment="2998-01-01")}, "argilla").taken_back == 1


def test_of_people_who_answered_only_the_own_answers_take_a_decision_back(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.add([elsewhere(5, "2020-01-02")])
        answers = [*said(5, "ann", moment="2020-01-01"), *said(5, "ben", moment="2020-01-03")]
        assert store.add([], {5: answers}, "argilla").taken_back == 0
        assert store.add([], {5: [*said(5, "ann", moment="2020-01-03"), *answers]}, "argilla").taken_back == 1


def test_an_undated_answer_is_as_old_as_when_it_first_came(fresh: RunDirectory) -> None:
    first, second, third = (f"2020-01-0{day}" for day in (1, 2, 3))
    with DecisionStore(fresh) as store:
        assert store.first_seen([Answer(5, "ana", "World", second)], "csv") == [Answer(5, "ana", "World", second)]
        again = [Answer(5, "ana", "World", third), Answer(5, "ben", "World", third), Answer(6, "ana", "World", third)]
        assert store.first_seen(again, "csv") == [replace(again[0], answered_at=second), *again[1:]]
        assert store.first_seen(again[:1], "jsonl") == again[:1]
        older = [Answer(5, "ana", "Sports", first)]  # in a copy that was saved before
        assert store.first_seen(older, "csv") == [Answer(5, "ana", "World", second)]
        assert store.first_seen(again[:1], "csv") == [replace(again[0], answered_at=second)]
        newer = [Answer(5, "ana", None, third)]
        assert store.first_seen(newer, "csv") == newer
        assert store.first_seen([replace(newer[0], answered_at=first)], "csv", {(5, "ana"): third}) == newer
        assert store.first_seen(again[:1], "csv") == again[:1]


def test_a_name_that_is_no_text_is_refused_and_nothing_is_stored(fresh: RunDirectory) -> None:
    said = facts("annotator", r"\ud800")
    with DecisionStore(fresh) as store:
        with pytest.raises(RunError, match=said):
            store.add([elsewhere(6, "2020-01-01"), replace(elsewhere(5, "2020-01-01"), annotator="\ud800")])
        with pytest.raises(RunError, match=said):
            store.first_seen([Answer(5, "\ud800", None, "2020-01-01")], "csv")
        assert store.current() == {}
