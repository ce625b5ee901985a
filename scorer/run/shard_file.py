"""Reading a shard's rows a batch at a time, so that ranking holds as little of a large shard as of a small one."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scorer.data.arrow import row_array
from scorer.errors import RunError, shortage

BATCH_ROWS = 65_536  # of a shard, held at a time
_AGAIN = "run the same `lossrank score` command again to have it made anew"


@contextlib.contextmanager
def open_shard(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a shard by its path, which pyarrow would take for an address where a colon is in it."""
    with pa.OSFile(str(file)) as stream, pq.ParquetFile(stream) as shard:
        yield shard


@contextlib.contextmanager
def reading(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a shard, and say in one line why it can't be read.

    Raises:
        RunError: the shard is missing, can't be read or hasn't the rows that were asked for.
    """
    try:
        with open_shard(file) as shard:
            yield shard
    except (OSError, IndexError, pa.ArrowException) as error:
        if shortage(error):
            raise  # the shard is whole
        raise unreadable(file, error) from error


def read_batches(file: Path, rows: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the columns of a shard of so many rows, in order.

    Raises:
        RunError: the shard is missing, can't be read or hasn't the rows it should have.
    """
    found = 0
    with reading(file) as shard:
        for batch in shard.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            found += len(batch)
            yield batch
    refuse_size(file, found, rows)


def take_rows(file: Path, places: NDArray[np.int64]) -> pa.Table:
    """Return all columns of some rows of a shard, by their ascending places in it, a table of ``len(places)`` rows.

    Raises:
        RunError: the shard is missing, can't be read or hasn't the rows.
    """
    taken = []
    with reading(file) as shard:
        sizes = [shard.metadata.row_group(group).num_rows for group in range(shard.num_row_groups)]
        ends = np.cumsum(sizes)
        for group in np.unique(np.searchsorted(ends, places, side="right")).tolist():
            at = int(ends[group]) - sizes[group]
            for batch in shard.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
                low, high = np.searchsorted(places, (at, at + len(batch)))
                if low < high:
                    taken.append(pa.Table.from_batches([batch.take(row_array(places[low:high] - at))]))
                at += len(batch)
    return pa.concat_tables(taken)


def count_words(column: pa.Array | pa.ChunkedArray) -> Counter[str]:
    """Return how many rows have each word of a column [n], nulls aside."""
    return Counter({str(each["values"]): int(each["counts"]) for each in column.drop_null().value_counts().to_pylist()})


def unreadable(file: Path, error: Exception | str) -> RunError:
    """Return the error of a shard that can't be read."""
    return RunError(f"{file} can't be read ({error}); {_AGAIN}")


def refuse_size(file: Path, found: int, rows: int) -> None:
    """Pass a shard that has its rows.

    Raises:
        RunError: it has more or fewer.
    """
    if found != rows:
        raise RunError(f"{file} has {found} rows, not {rows}; {_AGAIN}")
