"""The store of decisions: nothing lost, nobody's work overwritten, the latest holds."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lossrank.page.view import per_hour
from lossrank.review.database import FILE
from lossrank.review.decision import (
    DISCARDED,
    HERE,
    KEPT,
    RELABELLED,
    Answer,
    ConflictError,
    Decision,
    Place,
    now_text,
    utc_text,
)
from lossrank.review.store import Added, DecisionStore, read_decisions
from scorer import RunDirectory, RunError
from tests.support import ROOT

NOTHING = Added(new=0, older=0, ahead=0, taken_back=0)


def elsewhere(row: int, moment: str, label: str | None = "Sports") -> Decision:
    verdict = DISCARDED if label is None else RELABELLED
    return Decision(row, verdict, label, "ann", "argilla", utc_text(moment))


def said(row: int, *people: str, moment: str = "2020-01-01") -> list[Answer]:
    return [Answer(row, name, "World", utc_text(moment)) for name in people]


def test_what_was_decided_is_there_when_it_is_opened_again(fresh: RunDirectory) -> None:
    assert read_decisions(fresh) is None
    assert not (fresh.path / "review.sqlite").exists()
    with DecisionStore(fresh) as store:
        store.decide(7, RELABELLED, "World", annotator="ann")
        store.decide(3, KEPT, annotator="ann")
        store.decide(9, DISCARDED, annotator="bob")
    found = read_decisions(fresh)
    assert found is not None
    with DecisionStore(fresh) as store:
        assert store.current() == found
    assert [(one.row, one.verdict, one.label, one.annotator, one.source) for one in found.values()] == [
        (3, KEPT, None, "ann", HERE),
        (7, RELABELLED, "World", "ann", HERE),
        (9, DISCARDED, None, "bob", HERE),
    ]


def test_the_latest_decision_of_a_row_holds_and_the_earlier_ones_stay_in_the_journal(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.decide(7, KEPT, annotator="ann")
        store.decide(7, RELABELLED, "World", annotator="bob")
        now = store.get(7)
        assert now is not None
        assert (now.verdict, now.annotator) == (RELABELLED, "bob")
    with contextlib.closing(sqlite3.connect(fresh.path / FILE)) as journal:
        assert journal.execute("SELECT verdict FROM decisions ORDER BY number").fetchall() == [(KEPT,), (RELABELLED,)]


def test_undo_goes_back_one_decision_after_the_other_and_only_over_ones_own(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.decide(1, KEPT, annotator="ann")
        store.decide(2, KEPT, annotator="bob")
        store.decide(1, DISCARDED, annotator="ann")
        first = store.undo("ann")
        assert first is not None
        assert (first.row, first.verdict) == (1, DISCARDED)
        assert store.current()[1].verdict == KEPT
        store.undo("ann")
        assert list(store.current()) == [2]
        assert store.undo("ann") is None


def test_undo_passes_over_what_somebody_else_or_a_pull_has_replaced_since(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        first = store.decide(1, KEPT, annotator="ann")
        replaced = store.decide(2, KEPT, annotator="ann")
        store.decide(3, KEPT, annotator="ann")
        store.decide(2, DISCARDED, annotator="bob")
        store.add([elsewhere(3, now_text())])
        assert store.last("ann") == store.undo("ann") == first
        assert store.last("ann") is store.undo("ann") is None
        assert {row: one.annotator for row, one in store.current().items()} == {2: "bob", 3: "ann"}
        store.undo("bob")
        assert store.last("ann") == replaced


def test_undo_of_what_somebody_else_has_replaced_meanwhile_is_refused(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        first = store.decide(1, KEPT, annotator="ann")
        second = store.decide(2, KEPT, annotator="ann")
        store.decide(2, DISCARDED, annotator="bob")
        with pytest.raises(ConflictError, match="the latest decision of ann that holds is that of row 1") as caught:
            store.undo("ann", seen=second.number)
        assert caught.value.current == first
        assert {row: one.verdict for row, one in store.current().items()} == {1: KEPT, 2: DISCARDED}


def test_a_decision_on_a_row_that_changed_since_it_was_seen_is_refused(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store, DecisionStore(fresh) as other:
        other.decide(4, KEPT, annotator="bob", seen=0)
        with pytest.raises(ConflictError, match="row 4 was decided by bob meanwhile") as caught:
            store.decide(4, DISCARDED, annotator="ann", seen=0)
        assert caught.value.current is not None
        store.decide(4, DISCARDED, annotator="ann", seen=caught.value.current.number)
        assert other.current()[4].annotator == "ann"


def test_a_clock_that_was_set_back_does_not_let_the_older_decision_win(
    fresh: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DecisionStore(fresh) as store:
        store.decide(5, DISCARDED, annotator="ann")
        monkeypatch.setattr("lossrank.review.store.now_text", lambda: utc_text("2020-01-01"))
        store.decide(5, KEPT, annotator="ann")
        assert store.current()[5].verdict == KEPT


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
        with pytest.raises(RunError, match="there is no row 1000; the data has the rows 0 to 999"):
            store.add([elsewhere(5, "2020-01-01"), elsewhere(1000, "2020-01-01")])
        assert store.current() == {}


@pytest.mark.parametrize(
    ("row", "verdict", "label", "says"),
    [
        (-1, KEPT, None, "there is no row -1"),
        (0, "maybe", None, "no verdict 'maybe'; it must be one of: kept, relabelled, discarded"),
        (0, RELABELLED, "Weather", "no class 'Weather' for row 0; the classes are: World, Sports"),
        (0, KEPT, "World", "row 0 is kept, so it takes no label"),
    ],
)
def test_what_can_not_be_decided_is_refused(
    fresh: RunDirectory, row: int, verdict: str, label: str | None, says: str
) -> None:
    with DecisionStore(fresh) as store:
        with pytest.raises(RunError, match=says):
            store.decide(row, verdict, label, annotator="ann")
        assert store.current() == {}


def test_threads_and_stores_that_write_at_once_lose_nothing(fresh: RunDirectory) -> None:
    stores = [DecisionStore(fresh) for _ in range(3)]

    def work(who: int) -> None:
        for row in range(who, 120, 6):
            stores[who % 3].decide(row, KEPT, annotator=f"a{who}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(stores[0].current()) == list(range(120))
    for store in stores:
        store.close()


def test_a_decision_survives_kill_9(fresh: RunDirectory) -> None:
    code = (
        "import os, signal, sys\n"
        "from lossrank.review.store import DecisionStore\n"
        "from scorer import RunDirectory\n"
        "store = DecisionStore(RunDirectory.open(sys.argv[1]))\n"
        "store.decide(11, 'relabelled', 'Business', annotator='ann')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(fresh.path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    with DecisionStore(fresh) as store:
        assert store.current()[11].label == "Business"


def test_decisions_since_a_moment_are_those_made_here_and_not_undone(fresh: RunDirectory) -> None:
    now = datetime.now(UTC)
    hour_ago = now - timedelta(hours=1)
    with DecisionStore(fresh) as store:
        store.decide(1, KEPT, annotator="ann")
        store.undo("ann")
        assert store.decided_since(hour_ago) == []
        moments = [now - timedelta(minutes=minutes) for minutes in (90, 30, 20, 10, 0)]
        store.add([Decision(row, KEPT, None, "ann", HERE, utc_text(one)) for row, one in enumerate(moments)])
        store.add([elsewhere(9, now.isoformat())])
        assert store.decided_since(hour_ago) == moments[1:]


def test_decisions_an_hour_are_no_thousands_after_a_few_quick_ones() -> None:
    moment = datetime.now(UTC)
    assert [per_hour([moment] * count) for count in (0, 1, 5)] == [0.0, 1.0, 240.0]
    assert per_hour([moment - timedelta(minutes=minutes) for minutes in (30, 20, 10, 0)]) == pytest.approx(6.0)


def test_undo_takes_back_only_the_decision_that_was_seen_to_be_the_last(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        assert store.last("ann") is None
        assert store.undo("ann", seen=0) is None
        first = store.decide(1, KEPT, annotator="ann")
        store.decide(2, KEPT, annotator="bob")
        assert store.last("ann") == first
        second = store.decide(3, DISCARDED, annotator="ann")
        with pytest.raises(ConflictError, match="of ann that holds is that of row 3") as caught:
            store.undo("ann", seen=first.number)
        assert caught.value.current == second
        assert sorted(store.current()) == [1, 2, 3]
        assert store.undo("ann", seen=second.number) == second
        with pytest.raises(ConflictError, match="is that of row 1"):
            store.undo("ann", seen=second.number)
        store.undo("ann", seen=first.number)
        with pytest.raises(ConflictError, match="is none"):
            store.undo("ann", seen=first.number)


def test_places_are_remembered_the_latest_first(fresh: RunDirectory) -> None:
    one = Place("rubrix", "http://localhost:6900", None, "news")
    other = Place("argilla", "http://localhost:6901", "team", "news")
    with DecisionStore(fresh) as store:
        store.add_place(one)
        store.add_place(other)
        assert store.places() == [other, one]
        store.add_place(one)
    with DecisionStore(fresh) as store:
        assert store.places() == [one, other]


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
        assert store.first_said([Answer(5, "ana", "World", second)], "csv") == [Answer(5, "ana", "World", second)]
        again = [Answer(5, "ana", "World", third), Answer(5, "ben", "World", third), Answer(6, "ana", "World", third)]
        assert store.first_said(again, "csv") == [replace(again[0], answered_at=second), *again[1:]]
        assert store.first_said(again[:1], "jsonl") == again[:1]
        older = [Answer(5, "ana", "Sports", first)]  # in a copy that was saved before
        assert store.first_said(older, "csv") == [Answer(5, "ana", "World", second)]
        assert store.first_said(again[:1], "csv") == [replace(again[0], answered_at=second)]
        newer = [Answer(5, "ana", None, third)]
        assert store.first_said(newer, "csv") == newer
        assert store.first_said([replace(newer[0], answered_at=first)], "csv", {(5, "ana"): third}) == newer
        assert store.first_said(again[:1], "csv") == again[:1]


def test_a_name_that_is_no_text_is_refused_and_nothing_is_stored(fresh: RunDirectory) -> None:
    said = r"the annotator '\\ud800' holds half a character; write the name anew"
    with DecisionStore(fresh) as store:
        with pytest.raises(RunError, match=said):
            store.add([elsewhere(6, "2020-01-01"), replace(elsewhere(5, "2020-01-01"), annotator="\ud800")])
        with pytest.raises(RunError, match=said):
            store.first_said([Answer(5, "\ud800", None, "2020-01-01")], "csv")
        assert store.current() == {}
