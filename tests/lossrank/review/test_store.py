"""The store of decisions: nothing lost, nobody's work overwritten, the latest holds."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from lossrank.page.view import per_hour
from lossrank.review.database import FILE
from lossrank.review.decision import (
    DISCARDED,
    HERE,
    KEPT,
    RELABELLED,
    ConflictError,
    Decision,
    ServerDataset,
    now_text,
    utc_text,
)
from lossrank.review.store import DecisionStore, read_decisions
from scorer import RunDirectory, RunError
from tests.support import ROOT
from tests.support.facts import facts


def elsewhere(row: int, moment: str, label: str | None = "Sports") -> Decision:
    verdict = DISCARDED if label is None else RELABELLED
    return Decision(row, verdict, label, "ann", "argilla", utc_text(moment))


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
        with pytest.raises(ConflictError, match=facts("ann", "row 1")) as caught:
            store.undo("ann", seen=second.number)
        assert caught.value.current == first
        assert {row: one.verdict for row, one in store.current().items()} == {1: KEPT, 2: DISCARDED}


def test_a_decision_on_a_row_that_changed_since_it_was_seen_is_refused(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store, DecisionStore(fresh) as other:
        other.decide(4, KEPT, annotator="bob", seen=0)
        with pytest.raises(ConflictError, match=facts("row 4", "bob")) as caught:
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


@pytest.mark.parametrize(
    ("row", "verdict", "label", "named"),
    [
        (-1, KEPT, None, ["row -1"]),
        (0, "maybe", None, ["'maybe'", "kept", "relabelled", "discarded"]),
        (0, RELABELLED, "Weather", ["'Weather'", "row 0", "World, Sports"]),
        (0, KEPT, "World", ["row 0", "kept", "label"]),
    ],
)
def test_what_can_not_be_decided_is_refused(
    fresh: RunDirectory, row: int, verdict: str, label: str | None, named: list[str]
) -> None:
    with DecisionStore(fresh) as store:
        with pytest.raises(RunError, match=facts(*named)):
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
        with pytest.raises(ConflictError, match=facts("ann", "row 3")) as caught:
            store.undo("ann", seen=first.number)
        assert caught.value.current == second
        assert sorted(store.current()) == [1, 2, 3]
        assert store.undo("ann", seen=second.number) == second
        with pytest.raises(ConflictError, match=facts("ann", "row 1")):
            store.undo("ann", seen=second.number)
        store.undo("ann", seen=first.number)
        with pytest.raises(ConflictError, match=facts("ann")):
            store.undo("ann", seen=first.number)


def test_places_are_remembered_the_latest_first(fresh: RunDirectory) -> None:
    one = ServerDataset("rubrix", "http://localhost:6900", None, "news")
    other = ServerDataset("argilla", "http://localhost:6901", "team", "news")
    with DecisionStore(fresh) as store:
        store.add_dataset(one)
        store.add_dataset(other)
        assert store.datasets() == [other, one]
        store.add_dataset(one)
    with DecisionStore(fresh) as store:
        assert store.datasets() == [one, other]
