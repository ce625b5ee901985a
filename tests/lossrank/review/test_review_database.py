"""review.sqlite: what is no store of the run is refused and left as it is, and a write is on disk or not done."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from lossrank.review.decision import KEPT, RELABELLED, Decision, utc_text
from lossrank.review.store import DecisionStore, read_decisions
from scorer import RunDirectory, RunError
from tests.support.facts import facts
from tests.support.manifests import altered


def test_the_decisions_of_other_data_are_refused(fresh: RunDirectory) -> None:
    DecisionStore(fresh).close()
    other = altered(fresh, data={"fingerprint": "0" * 64})
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=facts("review.sqlite", "other data")):
            opening(other)


def test_labels_that_the_runs_model_does_not_have_are_refused(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sports", annotator="ann")
    with pytest.raises(RunError, match=facts("'Sports'", "a, b")):
        DecisionStore(altered(fresh, bundle={"class_names": ["a", "b"]}))


def test_a_store_that_does_not_say_of_which_data_it_is_is_refused(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store._db.execute("DELETE FROM about")
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=facts("review.sqlite", "other data")):
            opening(fresh)


@pytest.mark.parametrize(
    ("version", "table", "named"),
    [
        (0, "contacts", ["review.sqlite", "database"]),
        (1, "contacts", ["review.sqlite", "database"]),
        (99, "about", ["review.sqlite", "format 99"]),
    ],
)
def test_what_is_not_ours_to_write_is_refused_and_stays_as_it_is(
    fresh: RunDirectory, version: int, table: str, named: list[str]
) -> None:
    file = fresh.path / "review.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {version}")
        database.execute(f"CREATE TABLE {table} (key TEXT)")
    before = file.read_bytes()
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=facts(*named)):
            opening(fresh)
    assert file.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(fresh: RunDirectory) -> None:
    file = fresh.path / "review.sqlite"
    file.write_text("no database, and longer than a header would be" * 10)
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=facts("review.sqlite", "file is not a database")):
            opening(fresh)


def test_another_process_that_opens_a_new_store_at_the_same_time_is_waited_for(
    fresh: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = fresh.path / "review.sqlite"
    file.touch()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("lossrank.review.database.time.sleep", lambda _: other.execute("COMMIT"))
        with DecisionStore(fresh) as store:
            assert store.decide(1, KEPT, annotator="ann").number == 1
            assert not other.in_transaction


def test_what_can_not_be_committed_is_not_held_and_stands_in_the_way_of_nothing(
    fresh: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossrank.review.database._PATIENCE", 0.0)
    file = fresh.path / "review.sqlite"
    with DecisionStore(fresh) as store, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as reader:
        store._db.execute("PRAGMA journal_mode = DELETE")  # there a reader is in the way of a COMMIT
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM decisions").fetchone()
        with pytest.raises(RunError, match="database is locked"):
            store.decide(1, KEPT, annotator="ann")
        assert store.get(1) is None
        reader.execute("COMMIT")
        store.decide(2, KEPT, annotator="ann")
    found = read_decisions(fresh)
    assert found is not None
    assert list(found) == [2]


def test_a_ctrl_c_among_decisions_adds_none_and_the_next_ones_are_added(fresh: RunDirectory) -> None:
    brought = Decision(5, KEPT, None, "ann", "argilla", utc_text("2020-01-01"))

    def cut_off() -> Iterator[Decision]:
        yield brought
        raise KeyboardInterrupt

    with DecisionStore(fresh) as store:
        with pytest.raises(KeyboardInterrupt):
            store.add(cut_off())
        assert store.current() == {}
        store.add([brought])
        assert list(store.current()) == [5]


def test_a_decision_is_synced_to_the_disk_before_the_next_row_is_shown(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"columns": {"label": "topic"}}, ["label column", "'label'", "'topic'"]),
        ({"columns": {"text": "body"}}, ["text column", "'text'", "'body'"]),
        ({"labels": {"map": {"world": 1}}}, ["'world'", "World", "Sports"]),
        ({"labels": {"map": {"world": -2}}}, ["'world'", "World", "none"]),
    ],
)
def test_the_decisions_about_other_columns_or_labels_are_refused(
    fresh: RunDirectory, change: dict[str, dict[str, object]], named: list[str]
) -> None:
    with DecisionStore(fresh) as store:
        store.decide(1, KEPT, annotator="ann")
    ((part, new),) = change.items()
    other = altered(fresh, **{part: new})
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=facts("review.sqlite", *named)) as caught:
            opening(other)
        assert caught.value.quotes_data


def test_a_label_that_only_one_of_two_models_knows_is_no_other_one(fresh: RunDirectory) -> None:
    DecisionStore(fresh).close()
    labels = {"how": "by name", "map": {"world": 0, "weather": 1}}
    DecisionStore(altered(fresh, labels=labels)).close()
