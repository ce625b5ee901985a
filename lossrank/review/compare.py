"""compare(): how the worst rows and the rows that people decided differ between two runs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lossrank.results import Result, TableResult
from lossrank.review.decided_rows import STATUSES, decided_rows
from lossrank.review.decision import UNREVIEWED
from scorer import RankedRow, RunDirectory, rank
from scorer.audit.matching import BY_ROW, Pairs, have_ids, how_to_match, matched
from scorer.run.reopened import same_data

ENTERED, LEFT, STAYED = "entered", "left", "stayed"
MOST_MOVED = 10
_SCHEMA = pa.schema(
    [
        ("what", pa.string()),
        ("row_a", pa.int64()),
        ("row_b", pa.int64()),
        ("id", pa.string()),
        ("status", pa.string()),
        ("loss_a", pa.float64()),
        ("loss_b", pa.float64()),
        ("rank_a", pa.int64()),
        ("rank_b", pa.int64()),
    ]
)
_ROUNDING = 1e-4  # nats: a different batch changes a loss by no more


@dataclass(frozen=True)
class Group:
    """The rows that have one review status and a loss in both runs.

    The mean losses are in nats, None if there are no such rows. ``fell`` counts the rows whose loss is lower in the
    second run.
    """

    rows: int
    mean_loss_before: float | None
    mean_loss_after: float | None
    fell: int


@dataclass(frozen=True)
class Moved:
    """A row's number, loss [nats] and rank in both runs; a value is None if the run lacks it.

    ``what`` is ``entered``, ``left`` or ``stayed`` if a run has the row among its worst rows, otherwise None. Rank 1 is
    the worst.
    """

    row_a: int | None
    row_b: int | None
    id: str | None
    status: str
    loss_a: float | None
    loss_b: float | None
    what: str | None = None
    rank_a: int | None = None
    rank_b: int | None = None


@dataclass(frozen=True)
class Comparison(Result, TableResult):
    """The differences between two runs; the table of ``to_pandas`` has a row for each row in ``worst``.

    ``groups`` tells how the mean loss changed of the rows that people kept, relabelled, discarded or did not review. It
    is keyed by the rows' review status in the first run. ``worst`` lists the rows among the worst ``top`` of
    either run: ``stayed`` of them are among the worst of both runs, ``left`` only of the first, ``entered`` only of the
    second. ``moved`` lists the rows whose loss changed most. ``only_a`` counts the rows that only the first run has,
    ``only_b`` the rows that only the second run has.
    """

    run_a: str
    run_b: str
    by: str
    top: int
    matched_by: str
    matched: int
    only_a: int
    only_b: int
    entered: int
    left: int
    stayed: int
    groups: dict[str, Group]
    worst: tuple[Moved, ...] = field(repr=False)
    moved: tuple[Moved, ...] = field(repr=False)
    notes: tuple[str, ...]

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table of the rows that are among the worst of either run.

        Its columns are ``what`` (``entered``, ``left`` or ``stayed``), ``row_a`` and ``row_b`` (the row's number in
        each run), ``id``, ``status`` (``kept``, ``relabelled``, ``discarded`` or ``unreviewed``), ``loss_a`` and
        ``loss_b`` (nats), ``rank_a`` and ``rank_b``; a value is null if the run lacks it.
        """
        return pa.Table.from_pylist([asdict(row) for row in self.worst], schema=_SCHEMA)


def compare(a: RunDirectory, b: RunDirectory, top: int, by: str = "loss") -> Comparison:
    """Compare two finished runs over the same rows, such as the runs before and after ``apply``.

    Raises:
        RunError: the rows of the runs can't be matched.
        RunError: a run has no row with a value of the measure ``by``.
        RunError: a run can't be read.
    """
    how = how_to_match(a, b)
    decided = decided_rows(a, required=False)
    worst_a, worst_b = ({row.row: row for row in rank(run, top, by=by)} for run in (a, b))
    groups = {status: _Sums() for status in STATUSES}
    pairs_of_worst: list[tuple[int, int, float, float]] = []
    most = _Most(MOST_MOVED)
    count = 0
    for pairs in matched(a, b, how):
        count += len(pairs.row_a)
        status = _codes(pairs.row_a, decided.rows, decided.codes)
        for code, name in enumerate(STATUSES):
            groups[name].add(pairs, status == code)
        most.add(pairs)
        is_worst = np.isin(pairs.row_a, list(worst_a)) | np.isin(pairs.row_b, list(worst_b))
        pairs_of_worst += _tuples(pairs, is_worst)
    statuses = dict(zip(decided.rows.tolist(), (decision.verdict for decision in decided.decisions), strict=True))
    found = [_moved(pair, statuses, worst_a, worst_b) for pair in pairs_of_worst]
    found += _unmatched(found, statuses, worst_a, worst_b)
    found.sort(key=lambda row: (row.what or "", row.rank_b or row.rank_a or 0))
    counts = {what: sum(row.what == what for row in found) for what in (ENTERED, LEFT, STAYED)}
    return Comparison(
        run_a=str(a.path),
        run_b=str(b.path),
        by=by,
        top=top,
        matched_by=how,
        matched=count,
        only_a=a.num_rows - count,
        only_b=b.num_rows - count,
        **counts,
        groups={name: sums.group() for name, sums in groups.items()},
        worst=tuple(found),
        moved=tuple(_moved(pair, statuses, worst_a, worst_b) for pair in most.pairs()),
        notes=_notes(a, b, how),
    )


class _Sums:
    """Sums up the losses before and after, over the rows with one review status."""

    def __init__(self) -> None:
        self.rows = self.fell = 0
        self.before = self.after = 0.0

    def add(self, pairs: Pairs, which: NDArray[np.bool_]) -> None:
        both = which & np.isfinite(pairs.loss_a) & np.isfinite(pairs.loss_b)
        self.rows += int(both.sum())
        self.fell += int((pairs.loss_b[both] < pairs.loss_a[both] - _ROUNDING).sum())
        self.before += float(pairs.loss_a[both].sum())
        self.after += float(pairs.loss_b[both].sum())

    def group(self) -> Group:
        if not self.rows:
            return Group(0, None, None, 0)
        return Group(self.rows, self.before / self.rows, self.after / self.rows, self.fell)


class _Most:
    """Keeps the rows whose loss changed most."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._held: list[tuple[int, int, float, float]] = []

    def add(self, pairs: Pairs) -> None:
        change = np.abs(np.nan_to_num(pairs.loss_b - pairs.loss_a))
        largest = np.argsort(-change, kind="stable")[: self._count]
        held = self._held + _tuples(pairs, np.isin(np.arange(len(change)), largest) & (change > _ROUNDING))
        self._held = sorted(held, key=lambda pair: (-abs(pair[3] - pair[2]), pair[0]))[: self._count]

    def pairs(self) -> list[tuple[int, int, float, float]]:
        return self._held


def _tuples(pairs: Pairs, which: NDArray[np.bool_]) -> list[tuple[int, int, float, float]]:
    columns = (pairs.row_a, pairs.row_b, pairs.loss_a, pairs.loss_b)
    return list(zip(*(column[which].tolist() for column in columns), strict=True))


def _codes(rows: NDArray[np.int64], decided: NDArray[np.int64], codes: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the index in ``STATUSES`` of each row's status [n]."""
    found = np.zeros(len(rows), dtype=np.int8)
    if len(decided):
        position = np.minimum(np.searchsorted(decided, rows), len(decided) - 1)
        found = np.where(decided[position] == rows, codes[position], found)
    return found


def _moved(
    pair: tuple[int, int, float, float],
    statuses: dict[int, str],
    worst_a: dict[int, RankedRow],
    worst_b: dict[int, RankedRow],
) -> Moved:
    row_a, row_b, *losses = pair
    in_a, in_b = worst_a.get(row_a), worst_b.get(row_b)
    loss_a, loss_b = (loss if np.isfinite(loss) else None for loss in losses)
    return _of_worst(in_a, in_b, row_a, row_b, statuses.get(row_a, UNREVIEWED), loss_a, loss_b)


def _unmatched(
    found: Iterable[Moved],
    statuses: dict[int, str],
    worst_a: dict[int, RankedRow],
    worst_b: dict[int, RankedRow],
) -> list[Moved]:
    """Return each run's worst rows that have no match in the other run."""
    seen_a, seen_b = {row.row_a for row in found}, {row.row_b for row in found}
    gone = [
        _of_worst(row, None, row.row, None, statuses.get(row.row, UNREVIEWED), row.loss, None)
        for row in worst_a.values()
        if row.row not in seen_a
    ]
    new = [
        _of_worst(None, row, None, row.row, UNREVIEWED, None, row.loss)
        for row in worst_b.values()
        if row.row not in seen_b
    ]
    return gone + new


def _of_worst(
    in_a: RankedRow | None,
    in_b: RankedRow | None,
    row_a: int | None,
    row_b: int | None,
    status: str,
    loss_a: float | None,
    loss_b: float | None,
) -> Moved:
    what = None
    if in_a or in_b:
        what = STAYED if in_a and in_b else LEFT if in_a else ENTERED
    ranked = in_a or in_b
    return Moved(
        row_a,
        row_b,
        ranked.id if ranked else None,
        status,
        loss_a,
        loss_b,
        what,
        in_a.rank if in_a else None,
        in_b.rank if in_b else None,
    )


def _notes(a: RunDirectory, b: RunDirectory, how: str) -> tuple[str, ...]:
    notes = []
    if not same_data(a, b):
        if how != BY_ROW:
            by = "id"
        elif have_ids(a, b):
            by = "number, because both runs have the same ids in the same order"
        else:
            by = (
                "number, and only the equal row counts suggest that this is right; to match rows by id, score both "
                "runs with `id_column`"
            )
        notes.append(f"the runs are over different data; rows are matched by their {by}")
    elif how == BY_ROW:
        notes.append("the runs are over the same data")
    if a.manifest.origin.sha256 != b.manifest.origin.sha256:
        notes.append(f"the runs are of different models: {a.model_name} and {b.model_name}")
    return tuple(notes)
