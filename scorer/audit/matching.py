"""matched(): pair the rows of two runs by row number or by id, in bounded memory."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.arrow import Pieces
from scorer.errors import RunError
from scorer.run.directory import RunDirectory
from scorer.run.reopened import same_data

BY_ROW, BY_ID = "row", "id"
Losses = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Rows that both runs have: their row numbers [n] and losses [n] in each run; NaN for a row without a loss."""

    row_a: NDArray[np.int64]
    row_b: NDArray[np.int64]
    loss_a: Losses
    loss_b: Losses


def how_to_match(a: RunDirectory, b: RunDirectory) -> str:
    """Return ``BY_ROW`` if rows with the same number are the same row in both runs, otherwise ``BY_ID``.

    Raises:
        RunError: the runs have different numbers of rows, and a run has no id column.
    """
    if same_data(a, b) or (a.num_rows == b.num_rows and not (have_ids(a, b) and _ids_differ(a, b))):
        return BY_ROW
    if not have_ids(a, b):
        lacking = " and ".join(str(run.path) for run in (a, b) if not run.columns.id)
        raise RunError(
            f"{a.path} has {a.num_rows:,} rows and {b.path} has {b.num_rows:,}, so they can only be matched by id, but "
            f"there is no id column in {lacking}; score both with `id_column`"
        )
    return BY_ID


def have_ids(a: RunDirectory, b: RunDirectory) -> bool:
    """Return whether both runs have an id column."""
    return all(run.columns.id for run in (a, b))


def matched(a: RunDirectory, b: RunDirectory, by: str) -> Iterator[Pairs]:
    """Yield the rows that both runs have, in the row order of ``b``.

    Raises:
        RunError: two rows of a run have the same id.
        RunError: a shard can't be read.
    """
    return _by_row(a, b) if by == BY_ROW else _by_id(a, b)


def _by_row(a: RunDirectory, b: RunDirectory) -> Iterator[Pairs]:
    other = Pieces(a.batches(["row", "loss"]))
    for batch in b.batches(["row", "loss"]):
        piece = other.take(len(batch))
        yield Pairs(
            piece["row"].to_numpy().astype(np.int64),
            batch["row"].to_numpy().astype(np.int64),
            _losses(piece["loss"]),
            _losses(batch["loss"]),
        )


def _by_id(a: RunDirectory, b: RunDirectory) -> Iterator[Pairs]:
    """Look up the ids of ``b`` in a table of the ids of ``a``; SQLite keeps a large table on disk."""
    with contextlib.closing(sqlite3.connect("")) as database:
        database.execute("CREATE TABLE a (id TEXT PRIMARY KEY, row INTEGER, loss REAL, seen INTEGER) WITHOUT ROWID")
        for batch in a.batches(["row", "id", "loss"]):
            values = zip(*(batch[name].to_pylist() for name in ("id", "row", "loss")), strict=True)
            try:
                database.executemany(
                    "INSERT INTO a VALUES (?, ?, ?, 0)", (record for record in values if record[0] is not None)
                )
            except sqlite3.IntegrityError:
                raise _twice(a) from None
        for batch in b.batches(["row", "id", "loss"]):
            rows_a, losses_a, keep = [], [], []
            for place, key in enumerate(batch["id"].to_pylist()):
                found = database.execute("SELECT row, loss, seen FROM a WHERE id = ?", (key,)).fetchone()
                if found is None:
                    continue
                row, loss, seen = found
                if seen:
                    raise _twice(b)
                database.execute("UPDATE a SET seen = 1 WHERE id = ?", (key,))
                rows_a.append(row)
                losses_a.append(np.nan if loss is None else loss)
                keep.append(place)
            kept = batch.take(pa.array(keep, pa.int64()))
            yield Pairs(
                np.array(rows_a, dtype=np.int64),
                kept["row"].to_numpy().astype(np.int64),
                np.array(losses_a, dtype=np.float64),
                _losses(kept["loss"]),
            )


def _ids_differ(a: RunDirectory, b: RunDirectory) -> bool:
    other = Pieces(a.batches(["id"]))
    pairs = ((other.take(len(batch))["id"], batch["id"]) for batch in b.batches(["id"]))
    return any(not theirs.combine_chunks().equals(own) for theirs, own in pairs)


def _losses(column: pa.Array | pa.ChunkedArray) -> Losses:
    found: Losses = column.fill_null(float("nan")).to_numpy().astype(np.float64)
    return found


def _twice(run: RunDirectory) -> RunError:
    return RunError(
        f"{run.path} has rows with the same id in column {run.columns.id!r}, so its rows can't be matched by "
        "that column; score both runs with an `id_column` that has a different value in every row"
    )
