"""review.sqlite: what is no store of the run is refused and left as it is, and a write is on disk or not done."""

import contextlib
import sqlite3

import pytest

from cli.review.decision import KEPT, RELABELLED
from cli.review.store import DecisionStore, read_decisions
from scorer import RunDirectory, RunError


def test_the_decisions_of_other_data_are_refused(fresh: RunDirectory) -> None:
    DecisionStore(fresh).close()
    other = RunDirectory(fresh.path, {**fresh.manifest, "data": {**fresh.manifest["data"], "fingerprint": "x"}})
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match="are of other data than the run's"):
            opening(other)


def test_labels_that_the_runs_model_does_not_have_are_refused(fresh: RunDirectory) -> None:
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sports", annotator="ann")
    bundle = {**fresh.manifest["bundle"], "class_names": ["a", "b"]}
    with pytest.raises(RunError, match="have the labels 'Sports', and the classes are a, b"):
        DecisionStore(RunDirectory(fresh.path, {**fresh.manifest, "bundle": bundle}))


def test_a_file_that_is_no_database_and_one_of_a_newer_version_are_refused(fresh: RunDirectory) -> None:
    file = fresh.path / "review.sqlite"
    file.write_text("no database, and longer than a header would be" * 10)
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=r"review\.sqlite can't be used: file is not a database"):
            opening(fresh)
    file.unlink()
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match="newer lossrank \\(format 99\\)"):
            opening(fresh)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 0")
        database.execute("CREATE TABLE contacts (name TEXT)")
    for opening in (DecisionStore, read_decisions):
        with pytest.raises(RunError, match=r"review\.sqlite is a database of something else; move it away"):
            opening(fresh)


def test_what_can_not_be_committed_is_not_held_and_stands_in_the_way_of_nothing(
    fresh: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.review.database._PATIENCE", 0.0)
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
