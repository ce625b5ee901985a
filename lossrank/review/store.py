"""DecisionStore: what people decided of a run's rows, in ``review.sqlite`` of the run directory.

A journal: nothing is ever changed or removed but for the mark of what was undone. Of a row's decisions the latest
holds, wherever it was made: on this machine's page, or on a server and pulled from there. A decision is on disk when
``decide`` returns; several processes and threads may write at once.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from lossrank.review.database import FILE, open_to_read, open_to_write, reporting, transaction
from lossrank.review.decision import (
    HERE,
    RELABELLED,
    TOGETHER,
    VERDICTS,
    Answer,
    ConflictError,
    Decision,
    ServerDataset,
    now_text,
    utc_text,
)
from lossrank.review.undated import dated, refuse_name
from scorer import RunDirectory, RunError

_FIELDS = "row, verdict, label, annotator, source, decided_at, number"  # as Decision has them
# Of each row's decisions that still stand, the one that no later one replaces.
_CURRENT = f"""
SELECT {_FIELDS} FROM decisions AS one WHERE NOT undone AND NOT EXISTS (
    SELECT 1 FROM decisions AS other WHERE other.row = one.row AND NOT other.undone
    AND (other.decided_at, other.number) > (one.decided_at, one.number))
"""  # noqa: S608  # made of constants

_THE_SAME = (
    f"SELECT {_FIELDS} FROM decisions WHERE row = ? AND verdict = ? AND label IS ? AND annotator = ? AND source = ? "  # noqa: S608
    "AND said_at = ?"
)


@dataclass(frozen=True)
class Added:
    """What came of decisions that were made elsewhere.

    ``new`` were not here; of them, ``older`` don't hold because a later decision of their row does, and ``ahead`` are
    dated later than now. Of ``taken_back`` rows an earlier decision holds no more, and no new one came.
    """

    new: int
    older: int
    ahead: int
    taken_back: int


class DecisionStore:
    """The decisions of one run's rows and the places that the rows were logged to."""

    def __init__(self, run: RunDirectory) -> None:
        """Open a run's store, which is made where it is missing.

        Raises:
            RunError: it is damaged, somebody else's, of a newer lossrank, can't be written, or its decisions are of
                other data or of classes that the run's model doesn't have.
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
        """Return the decision that holds, of every row that has one, by row ascending."""
        return {decision.row: decision for decision in self._select(f"{_CURRENT} ORDER BY row")}

    def get(self, row: int) -> Decision | None:
        """Return the decision that holds of a row."""
        found = self._select(f"{_CURRENT} AND row = ?", row)
        return found[0] if found else None

    def decide(
        self, row: int, verdict: str, label: str | None = None, *, annotator: str, seen: int | None = None
    ) -> Decision:
        """Decide of a row, here and now.

        ``seen`` is the ``number`` of the decision that the person saw of the row, 0 for none; None to decide whatever
        is there.

        Raises:
            ConflictError: the row's decision is another one by now; nothing is written.
            RunError: no such row, verdict or class, or the store can't be written.
        """
        self._refuse(row, verdict, label)
        with self._writing():
            current = self.get(row)
            if seen is not None and seen != (current.number if current else 0):
                by = f"decided by {current.annotator}" if current else "undone"
                raise ConflictError(f"row {row} was {by} meanwhile; look at it again", current)
            moment = now_text()
            if current:  # a clock that was set back must not let the older decision win
                moment = max(moment, current.decided_at)
            return self._insert(Decision(row, verdict, label, annotator, HERE, moment))

    def last(self, annotator: str) -> Decision | None:
        """Return the person's latest decision that was made here and holds, whatever has replaced later ones."""
        query = f"{_CURRENT} AND annotator = ? AND source = ? ORDER BY number DESC LIMIT 1"
        found = self._select(query, annotator, HERE)
        return found[0] if found else None

    def undo(self, annotator: str, *, seen: int | None = None) -> Decision | None:
        """Take back the decision that is the person's ``last``; return it, None if there is none to take back.

        What the row's decision was before holds again. ``seen`` is the ``number`` of the decision that the person wants
        to take back, 0 for none; None for whatever is the latest.

        Raises:
            ConflictError: the person has decided once more since, or somebody else has decided of that row; nothing is
                written.
            RunError: the store can't be written.
        """
        with self._writing():
            latest = self.last(annotator)
            if seen is not None and seen != (latest.number if latest else 0):
                which = f"that of row {latest.row}; look at it again" if latest else "none"
                raise ConflictError(f"by now the latest decision of {annotator} that holds is {which}", latest)
            if latest:
                self._db.execute("UPDATE decisions SET undone = 1 WHERE number = ?", (latest.number,))
            return latest

    def first_seen(
        self, answers: Iterable[Answer], source: str, emptied: Mapping[tuple[int, str], str] | None = None
    ) -> list[Answer]:
        """Return each person's latest answer to each row, as old as when it first came, of a source that dates none.

        So one that was pulled before does not become newer than what was decided of its row since. What a person said
        of a row before they ``emptied`` it, at the moment given, is forgotten: said once more, it is new.

        Raises:
            RunError: the store can't be written.
        """
        with self._writing():
            return dated(self._db, answers, source, emptied or {})

    def add(
        self,
        decisions: Iterable[Decision],
        answers: Mapping[int, Sequence[Answer]] | None = None,
        source: str = "",
    ) -> Added:
        """Add decisions that were made elsewhere, all or none; those that are here already are left as they are.

        ``answers`` are what people said in ``source``, by row. What they alone decided of it until they said that is
        taken back, since the new decision, or that there is none, is what they come to now. A decision dated later than
        now is taken as made now, lest a wrong clock wins over all that comes after; its own date is kept, so that it is
        known when it comes again.

        Raises:
            RunError: a decision has no such row, verdict or class, or the store can't be written.
        """
        by_row = {decision.row: decision for decision in decisions}
        added, ahead, taken_back = [], 0, 0
        with self._writing():
            now = now_text()
            for row, said in (answers or {}).items():
                gone = self._take_back(said, source, but=by_row.get(row))
                taken_back += gone and row not in by_row
            for decision in by_row.values():
                self._refuse(decision.row, decision.verdict, decision.label)
                refuse_name(decision.annotator)
                if not self._select(f"{_THE_SAME} AND NOT undone", *_identity(decision)):
                    ahead += decision.decided_at > now
                    moment = min(decision.decided_at, now)
                    added.append(self._insert(replace(decision, decided_at=moment), decision.decided_at))
            held = self.current()
            older = sum(held[decision.row] != decision for decision in added)
            return Added(len(added), older, ahead, taken_back)

    def _take_back(self, answers: Sequence[Answer], source: str, but: Decision | None) -> bool:
        """Take back what those who answered of a row, or some of them, decided of it before, but for one decision.

        Returns whether there was any.
        """
        said_at: dict[str, str] = {}  # when each person last said something
        for one in answers:
            for name in one.annotator.split(TOGETHER):
                said_at[name] = max(one.answered_at, said_at.get(name, ""))
        stays = {one.number for one in self._select(_THE_SAME, *_identity(but))} if but else set()
        found = self._select(
            f"SELECT {_FIELDS} FROM decisions WHERE row = ? AND source = ? AND NOT undone",  # noqa: S608
            *(answers[0].row, source),
        )
        theirs = [one for one in found if one.number not in stays and _is_before(one, said_at)]
        self._db.executemany("UPDATE decisions SET undone = 1 WHERE number = ?", [(one.number,) for one in theirs])
        return bool(theirs)

    def decided_since(self, moment: datetime) -> list[datetime]:
        """Return when the decisions were made that were made here since a moment, ascending."""
        since = utc_text(moment)
        found = self._select(
            f"SELECT {_FIELDS} FROM decisions WHERE source = ? AND decided_at >= ? AND NOT undone "  # noqa: S608
            "ORDER BY decided_at",
            HERE,
            since,
        )
        return [datetime.fromisoformat(decision.decided_at) for decision in found]

    def add_dataset(self, dataset: ServerDataset) -> None:
        """Remember that rows were logged to a place, the latest of all.

        Raises:
            RunError: the store can't be written.
        """
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)",
                (dataset.tool, dataset.url, dataset.workspace or "", dataset.name, now_text()),
            )

    def datasets(self) -> list[ServerDataset]:
        """Return where rows were logged to, the latest first."""
        with self._reporting():
            rows = self._db.execute("SELECT tool, url, workspace, name FROM places ORDER BY rowid DESC").fetchall()
        return [ServerDataset(tool, url, workspace or None, name) for tool, url, workspace, name in rows]

    def _refuse(self, row: int, verdict: str, label: str | None) -> None:
        if not 0 <= row < self._run.num_rows:
            raise RunError(f"there is no row {row}; the data has the rows 0 to {self._run.num_rows - 1}")
        if verdict not in VERDICTS:
            raise RunError(f"no verdict {verdict!r}; it must be one of: {', '.join(VERDICTS)}")
        if verdict == RELABELLED and label not in self._run.class_names:
            raise RunError(f"no class {label!r} for row {row}; the classes are: {', '.join(self._run.class_names)}")
        if verdict != RELABELLED and label is not None:
            raise RunError(f"row {row} is {verdict}, so it takes no label, and {label!r} was given")

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
    """Return what makes a decision from elsewhere the same as one that is here, as ``_THE_SAME`` asks for it."""
    one = decision
    return one.row, one.verdict, one.label, one.annotator, one.source, one.decided_at


def _is_before(decision: Decision, said_at: Mapping[str, str]) -> bool:
    """Say whether all who made a decision said something, and one of them since."""
    people = decision.annotator.split(TOGETHER)
    return said_at.keys() >= set(people) and decision.decided_at <= max(said_at[name] for name in people)


def read_decisions(run: RunDirectory) -> dict[int, Decision] | None:
    """Return the decision that holds, of every row that has one, by row ascending; None where nobody began to decide.

    No store is made, and none has to be writable.

    Raises:
        RunError: as for ``DecisionStore``, or what was decided last can't be read without writing.
    """
    db = open_to_read(run)
    if db is None:
        return None
    with contextlib.closing(db), reporting(run.path / FILE):
        found = [Decision(*fields) for fields in db.execute(f"{_CURRENT} ORDER BY row")]
        return {decision.row: decision for decision in found}
