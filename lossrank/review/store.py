"""DecisionStore: people's decisions on a run's rows, in ``review.sqlite`` of the run directory.

The store is a journal: a decision is never changed or removed, only marked as undone. The latest decision of a row is
in force, whether it was made on the page of `lossrank review` or pulled from elsewhere. A decision is on disk when
``decide`` returns. Several processes and threads may write at once.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from lossrank.review.database import FILE, open_to_read, open_to_write, reporting, transaction
from lossrank.review.decision import (
    HERE,
    RELABELLED,
    TOGETHER,
    VERDICTS,
    Added,
    Answer,
    ConflictError,
    Decision,
    ServerDataset,
    now_text,
    utc_text,
)
from lossrank.review.undated import dated, refuse_name
from scorer import RunDirectory, RunError
from scorer.text import some

_FIELDS = "row, verdict, label, annotator, source, decided_at, number"  # in the order of Decision's fields
# The decision in force of each row: the latest that is not undone.
_CURRENT = f"""
SELECT {_FIELDS} FROM decisions AS ours WHERE NOT undone AND NOT EXISTS (
    SELECT 1 FROM decisions AS other WHERE other.row = ours.row AND NOT other.undone
    AND (other.decided_at, other.number) > (ours.decided_at, ours.number))
"""  # noqa: S608  # made of constants

_THE_SAME = (
    f"SELECT {_FIELDS} FROM decisions WHERE row = ? AND verdict = ? AND label IS ? AND annotator = ? AND source = ? "  # noqa: S608
    "AND said_at = ?"
)


class DecisionStore:
    """The decisions on one run's rows, and the data sets on servers that rows were sent to."""

    def __init__(self, run: RunDirectory) -> None:
        """Open a run's store; create it if it is missing.

        Raises:
            RunError: the database is damaged or can't be written.
            RunError: the database belongs to another program or a newer lossrank.
            RunError: the decisions are for other data, columns or labels, or name a class that the model lacks.
        """
        self.path = run.path / FILE
        self._run = run
        self._lock = threading.RLock()
        self._db = open_to_write(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def current(self) -> dict[int, Decision]:
        """Return each decided row's decision in force, by row number, ascending."""
        return {decision.row: decision for decision in self._select(f"{_CURRENT} ORDER BY row")}

    def get(self, row: int) -> Decision | None:
        """Return the decision in force on a row, None if the row has no decision."""
        found = self._select(f"{_CURRENT} AND row = ?", row)
        return found[0] if found else None

    def decide(
        self, row: int, verdict: str, label: str | None = None, *, annotator: str, seen: int | None = None
    ) -> Decision:
        """Store and return a decision that a person just made on the page of `lossrank review`.

        ``seen`` is the ``number`` of the decision that the person saw on the row, 0 for no decision; None skips the
        check.

        Raises:
            ConflictError: the row's decision has changed since; nothing is written.
            RunError: the row, verdict or class does not exist.
            RunError: the store can't be written.
        """
        self._refuse(row, verdict, label)
        with self._writing():
            current = self.get(row)
            if seen is not None and seen != (current.number if current else 0):
                what = f"decided by {current.annotator}" if current else "left without a decision"
                raise ConflictError(f"row {row} was {what} meanwhile; look at the row again", current)
            return self._decide(row, verdict, label, annotator)

    def decide_all(self, made: Sequence[tuple[int, str, str | None]], *, annotator: str) -> None:
        """Store several decisions ``(row, verdict, label)`` of one person, all or none.

        Raises:
            RunError: a row, verdict or class does not exist.
            RunError: the store can't be written.
        """
        for decision in made:
            self._refuse(*decision)
        with self._writing():
            for decision in made:
                self._decide(*decision, annotator)

    def _decide(self, row: int, verdict: str, label: str | None, annotator: str) -> Decision:
        current, moment = self.get(row), now_text()
        if current:  # even if the clock was set back, the new decision must win
            moment = max(moment, current.decided_at)
        return self._insert(Decision(row, verdict, label, annotator, HERE, moment))

    def last(self, annotator: str) -> Decision | None:
        """Return the latest decision in force that the person made on the page, None if there is none."""
        query = f"{_CURRENT} AND annotator = ? AND source = ? ORDER BY number DESC LIMIT 1"
        found = self._select(query, annotator, HERE)
        return found[0] if found else None

    def undo(self, annotator: str, *, seen: int | None = None) -> Decision | None:
        """Undo the person's ``last`` decision and return it, or return None if there is none.

        The row's previous decision is in force again. ``seen`` is the ``number`` of the decision that the person wants
        to undo, 0 for no decision; None skips the check.

        Raises:
            ConflictError: the person has made another decision since, or somebody else has decided that row; nothing
                is written.
            RunError: the store can't be written.
        """
        with self._writing():
            latest = self.last(annotator)
            if seen is not None and seen != (latest.number if latest else 0):
                which = f"on row {latest.row}; look at that row again" if latest else "undone or replaced"
                raise ConflictError(f"the latest decision of {annotator} is now {which}", latest)
            if latest:
                self._db.execute("UPDATE decisions SET undone = 1 WHERE number = ?", (latest.number,))
            return latest

    def first_seen(
        self, answers: Iterable[Answer], source: str, emptied: Mapping[tuple[int, str], str] | None = None
    ) -> list[Answer]:
        """Return each annotator's latest answer per row in a source without dates, dated by when it was first seen.

        With these dates, saving a file again does not make its old answers newer than decisions made since. ``emptied``
        maps the (row, annotator) of each cleared answer to the time at which it was cleared. The answer before that
        time is forgotten, so the same answer counts as new if the person gives it again.

        Raises:
            RunError: the store can't be written, or an annotator's name can't be stored.
        """
        with self._writing():
            return dated(self._db, answers, source, emptied or {})

    def add(
        self,
        decisions: Iterable[Decision],
        answers: Mapping[int, Sequence[Answer]] | None = None,
        source: str = "",
    ) -> Added:
        """Store decisions from another source, all or none; decisions that are already stored stay unchanged.

        ``answers`` are people's answers in ``source``, by row. Earlier decisions from ``source`` that came only from
        these people are undone, because their answers now lead to the new decision, or to no decision. A decision dated
        in the future is stored as made now; otherwise a wrong clock would beat all later decisions. Its original date
        is stored too, so that the same decision is recognised next time.

        Raises:
            RunError: a row, verdict or class does not exist.
            RunError: the store can't be written, or an annotator's name can't be stored.
        """
        by_row = {decision.row: decision for decision in decisions}
        added, ahead, taken_back = [], 0, 0
        with self._writing():
            now = now_text()
            for row, of_row in (answers or {}).items():
                gone = self._take_back(of_row, source, but=by_row.get(row))
                taken_back += gone and row not in by_row
            for decision in by_row.values():
                self._refuse(decision.row, decision.verdict, decision.label)
                refuse_name(decision.annotator)
                if not self._select(f"{_THE_SAME} AND NOT undone", *_identity(decision)):
                    ahead += decision.decided_at > now
                    moment = min(decision.decided_at, now)
                    added.append(self._insert(replace(decision, decided_at=moment), decision.decided_at))
            in_force = self.current()
            older = sum(in_force[decision.row] != decision for decision in added)
            return Added(len(added), older, ahead, taken_back)

    def _take_back(self, answers: Sequence[Answer], source: str, but: Decision | None) -> bool:
        """Undo a row's earlier decisions made only by people who have answered since; return whether it had any.

        The decision ``but`` stays if it is already stored.
        """
        answered_at: dict[str, str] = {}  # each person's latest answer
        for answer in answers:
            for name in answer.annotator.split(TOGETHER):
                answered_at[name] = max(answer.answered_at, answered_at.get(name, ""))
        stays = {stored.number for stored in self._select(_THE_SAME, *_identity(but))} if but else set()
        found = self._select(
            f"SELECT {_FIELDS} FROM decisions WHERE row = ? AND source = ? AND NOT undone",  # noqa: S608
            *(answers[0].row, source),
        )
        numbers = [old.number for old in found if old.number not in stays and _is_before(old, answered_at)]
        self._db.executemany("UPDATE decisions SET undone = 1 WHERE number = ?", [(number,) for number in numbers])
        return bool(numbers)

    def decided_since(self, moment: datetime) -> list[datetime]:
        """Return the times, ascending, of the decisions that were made on the page since a moment and not undone."""
        since = utc_text(moment)
        found = self._select(
            f"SELECT {_FIELDS} FROM decisions WHERE source = ? AND decided_at >= ? AND NOT undone "  # noqa: S608
            "ORDER BY decided_at",
            HERE,
            since,
        )
        return [datetime.fromisoformat(decision.decided_at) for decision in found]

    def add_dataset(self, dataset: ServerDataset) -> None:
        """Store the name and address of a data set that rows were sent to; it becomes the latest one.

        Raises:
            RunError: the store can't be written.
        """
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)",
                (dataset.tool, dataset.url, dataset.workspace or "", dataset.name, now_text()),
            )

    def datasets(self) -> list[ServerDataset]:
        """Return the data sets that rows were sent to, the latest first."""
        with self._reporting():
            rows = self._db.execute("SELECT tool, url, workspace, name FROM places ORDER BY rowid DESC").fetchall()
        return [ServerDataset(tool, url, workspace or None, name) for tool, url, workspace, name in rows]

    def _refuse(self, row: int, verdict: str, label: str | None) -> None:
        if not 0 <= row < self._run.num_rows:
            raise RunError(f"there is no row {row}; the data has rows 0 to {self._run.num_rows - 1}")
        if verdict not in VERDICTS:
            raise RunError(f"there is no verdict {verdict!r}; it must be one of: {', '.join(VERDICTS)}")
        if verdict == RELABELLED and label not in self._run.class_names:
            raise RunError(f"row {row} can't get class {label!r}; the classes are: {some(self._run.class_names)}")
        if verdict != RELABELLED and label is not None:
            raise RunError(f"a {verdict} row takes no `label`, but {label!r} was given for row {row}; leave it out")

    def _insert(self, decision: Decision, said_at: str | None = None) -> Decision:
        values = (decision.row, decision.verdict, decision.label, decision.annotator, decision.source)
        number = self._db.execute(
            "INSERT INTO decisions (row, verdict, label, annotator, source, decided_at, said_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*values, decision.decided_at, said_at or decision.decided_at),
        ).lastrowid
        return replace(decision, number=int(number or 0))

    def _select(self, query: str, *values: object) -> list[Decision]:
        with self._reporting():
            rows = self._db.execute(query, values).fetchall()
        return [Decision(*fields) for fields in rows]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reporting(), transaction(self._db):
            yield

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        with reporting(self.path), self._lock:
            yield


def _identity(decision: Decision) -> tuple[object, ...]:
    """Return the values for the query ``_THE_SAME``, which finds a decision that is already stored."""
    whose = (decision.annotator, decision.source, decision.decided_at)
    return decision.row, decision.verdict, decision.label, *whose


def _is_before(decision: Decision, answered_at: Mapping[str, str]) -> bool:
    """Return whether all people who made a decision have answered, at least one of them since the decision."""
    people = decision.annotator.split(TOGETHER)
    return answered_at.keys() >= set(people) and decision.decided_at <= max(answered_at[name] for name in people)


def read_decisions(run: RunDirectory) -> dict[int, Decision] | None:
    """Return each decided row's decision in force, by row number, ascending; None if there is no store.

    The run's folder may be read-only; a missing store is not created.

    Raises:
        RunError: as for ``DecisionStore``.
        RunError: the folder is read-only, and the latest decisions can't be read without writing.
    """
    db = open_to_read(run)
    if db is None:
        return None
    with contextlib.closing(db), reporting(run.path / FILE):
        found = [Decision(*fields) for fields in db.execute(f"{_CURRENT} ORDER BY row")]
        return {decision.row: decision for decision in found}
