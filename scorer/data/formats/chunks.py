"""Make record batches of the rows of a text file, as many at a time as may be in memory."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa

from scorer.data.arrow import text_array
from scorer.data.formats.base import CHUNK, CHUNK_SIZE, NO_END, PROBLEM, Batches, Wanted

_Record = TypeVar("_Record")


def chunk_of(rows: Iterator[tuple[_Record, str | None, int]]) -> list[tuple[_Record, str | None, int]]:
    """Take the next ``(record, problem, characters)`` rows, as many as may be in memory at once."""
    chunk = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += row[2]
        if len(chunk) >= CHUNK or characters >= CHUNK_SIZE:
            break
    return chunk


def batches_of(
    rows: Iterator[tuple[_Record, str | None, int]],
    columns: list[str],
    values: Callable[[list[tuple[_Record, str | None, int]], str], list[str | None]],
    wanted: Wanted,
) -> Batches:
    """Yield the wanted rows in batches of ``columns``; ``values`` returns the texts of a column for some rows."""
    start = 0
    while wanted(start, NO_END) and (chunk := chunk_of(rows)):
        if wanted(start, start + len(chunk)):
            arrays = [text_array(values(chunk, name)) for name in columns]
            yield start, with_problems(arrays, columns, [problem for _, problem, _ in chunk])
        start += len(chunk)


def with_problems(arrays: list[pa.Array], names: list[str], problems: list[str | None]) -> pa.RecordBatch:
    """Return a batch of columns [n] with the column ``PROBLEM``: why a row could not be read, null if it could."""
    return pa.RecordBatch.from_arrays([*arrays, pa.array(problems, pa.string())], [*names, PROBLEM])
