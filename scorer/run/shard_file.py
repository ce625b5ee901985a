"""Read a shard's rows batch by batch, so that memory does not grow with the shard."""

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

BATCH_ROWS = 65_536  # rows of a shard held in memory at a time
RESCORE = "score again with the same arguments to write it again"


@contextlib.contextmanager
def open_shard(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a shard as a stream, because pyarrow takes a path with a colon for an address."""
    with pa.OSFile(str(file)) as stream, pq.ParquetFile(stream) as shard:
        yield shard


@contextlib.contextmanager
def reading(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a shard; an error while the shard is read becomes a RunError of one line.

    Raises:
        RunError: the shard is missing or can't be read.
        RunError: the shard lacks rows that were requested.
    """
    try:
        with open_shard(file) as shard:
            yield shard
    except (OSError, IndexError, pa.ArrowException) as error:
        if shortage(error):
            raise  # full memory or disk is no fault of the shard
        raise unreadable(file, error) from error


def read_batches(file: Path, rows: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of a shard that has ``rows`` rows, in order.

    Raises:
        RunError: the shard is missing or can't be read.
        RunError: the shard has more or fewer rows than ``rows``.
    """
    found = 0
    with reading(file) as shard:
        for batch in shard.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            found += len(batch)
            yield batch
    refuse_size(file, found, rows)


def take_rows(file: Path, places: NDArray[np.int64]) -> pa.Table:
    """Return the rows at ``places`` [n] of a shard, with all columns; places are counted from 0 and must ascend.

    Raises:
        RunError: the shard is missing or can't be read.
        RunError: the shard lacks some of the rows.
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
    """Return how often each word occurs in a column [n]; nulls are left out."""
    found = column.drop_null().value_counts()
    return Counter(dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)))


def unreadable(file: Path, error: Exception | str) -> RunError:
    """Return the error for a shard that can't be read."""
    return RunError(f"{file} can't be read ({error}); {RESCORE}")


def refuse_size(file: Path, found: int, rows: int) -> None:
    """Raise RunError if a shard has more or fewer rows than it should have.

    Raises:
        RunError: ``found`` is not ``rows``.
    """
    if found != rows:
        raise RunError(f"{file} has {found} rows, not {rows}; {RESCORE}")
