"""A run that can't be written to is read all the same, with all that was decided of its rows."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from lossrank.review.decision import KEPT, RELABELLED, Decision, utc_text
from lossrank.review.store import DecisionStore, read_decisions
from scorer import RunDirectory, RunError
from tests.support.commands import error_line
from tests.support.facts import facts, tells
from tests.support.manifests import altered
from tests.support.publishing import decide

Lossrank = Callable[..., click.testing.Result]
Freeze = Callable[[Path], None]


@pytest.fixture
def copy(fresh: RunDirectory, tmp_path: Path) -> RunDirectory:
    return RunDirectory.open(shutil.copytree(fresh.path, tmp_path / "run"))


def as_killed(run: RunDirectory, place: Path) -> RunDirectory:
    """Return a copy of a run as a `review` leaves it that is killed when it has stored a decision."""
    with DecisionStore(run) as store:
        store.decide(3, RELABELLED, "World", annotator="ann")
        killed = RunDirectory.open(shutil.copytree(run.path, place))
    with sqlite3.connect(f"{(place / 'review.sqlite').as_uri()}?immutable=1", uri=True) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)  # all of it is in the -wal
    return killed


def test_report_apply_and_diff_read_a_run_that_can_not_be_written_to(
    copy: RunDirectory, lossrank: Lossrank, freeze: Freeze, tmp_path: Path
) -> None:
    decide(copy.path, {3: "World", 4: KEPT})
    before = sorted(copy.path.iterdir())
    freeze(copy.path)
    report = json.loads(lossrank("report", copy.path, "--format", "json", "--top", 1).stdout)
    assert (report["review"]["relabelled"], report["review"]["kept"]) == (1, 1)
    assert "1 relabelled, 1 kept" in lossrank("apply", copy.path, "-o", tmp_path / "out.parquet").stdout
    assert lossrank("diff", copy.path, copy.path).exit_code == 0
    assert sorted(copy.path.iterdir()) == before


def test_what_was_decided_before_a_kill_is_read_where_nothing_can_be_written(
    copy: RunDirectory, freeze: Freeze, tmp_path: Path
) -> None:
    killed = as_killed(copy, tmp_path / "killed")
    freeze(killed.path)
    found = read_decisions(killed)
    assert found is not None
    assert found[3].label == "World"
    with pytest.raises(RunError, match=r"review\.sqlite can't be used: attempt to write a readonly database"):
        DecisionStore(killed)


def test_decisions_that_can_not_be_read_without_writing_are_not_passed_over(
    copy: RunDirectory, freeze: Freeze, tmp_path: Path
) -> None:
    killed = as_killed(copy, tmp_path / "killed")
    (killed.path / "review.sqlite-shm").unlink()
    freeze(killed.path)
    with pytest.raises(RunError, match=facts("review.sqlite", "review.sqlite-wal")):
        read_decisions(killed)


def test_a_write_that_a_kill_cut_off_is_not_read_as_done_where_nothing_can_be_written(
    copy: RunDirectory, freeze: Freeze, tmp_path: Path
) -> None:
    with DecisionStore(copy) as store:
        store.add([Decision(row, KEPT, None, "ann", "argilla", utc_text("2020-01-01")) for row in range(200)])
        store._db.execute("PRAGMA journal_mode = DELETE")  # as where a file system has no memory to share
        store._db.execute("PRAGMA cache_size = 1")  # pages are in the file before the COMMIT
        store._db.execute("BEGIN IMMEDIATE")
        store._db.execute("UPDATE decisions SET undone = 1")
        killed = RunDirectory.open(shutil.copytree(copy.path, tmp_path / "killed"))
        store._db.execute("ROLLBACK")
    freeze(killed.path)
    with pytest.raises(RunError, match=facts("review.sqlite-journal", "copy")):
        read_decisions(killed)


def test_decisions_that_another_process_has_locked_are_not_read_past_its_lock(
    copy: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossrank.review.database._PATIENCE", 0.0)
    with DecisionStore(copy) as store:
        store._db.execute("PRAGMA journal_mode = DELETE")  # with WAL, readers wait for nobody
        store._db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match=r"review\.sqlite can't be used: database is locked"):
            read_decisions(copy)
        store._db.execute("ROLLBACK")
    assert read_decisions(copy) == {}


def test_an_empty_journal_beside_the_decisions_hides_none(copy: RunDirectory, freeze: Freeze) -> None:
    decide(copy.path, {3: "World"})
    (copy.path / "review.sqlite-wal").touch()
    freeze(copy.path)
    assert read_decisions(copy)


def test_faults_of_the_decisions_are_told_where_nothing_can_be_written_too(copy: RunDirectory, freeze: Freeze) -> None:
    decide(copy.path, {3: "World"})
    freeze(copy.path)
    other = altered(copy, data={"fingerprint": "0" * 64})
    with pytest.raises(RunError, match=facts("review.sqlite", "other data")):
        read_decisions(other)
    with pytest.raises(RunError, match=r"review\.sqlite can't be used: "):
        DecisionStore(copy)


def test_an_empty_file_of_a_review_that_a_full_disk_ended_is_no_decision_and_made_anew(
    copy: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    (copy.path / "review.sqlite").touch()
    assert read_decisions(copy) is None
    assert lossrank("report", copy.path, "-o", tmp_path / "report.md").exit_code == 0
    said = error_line(lossrank("apply", copy.path, "-o", tmp_path / "out.parquet"))
    assert tells(said, "Error", copy.path, "decision")
    assert (copy.path / "review.sqlite").stat().st_size == 0
    decide(copy.path, {3: "World"})
    assert lossrank("apply", copy.path, "-o", tmp_path / "out.parquet").exit_code == 0
