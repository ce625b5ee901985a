"""Make record batches of the rows of a text file, as many at a time as may be in memory."""

from collections.abc import Iterator
from typing import TypeVar

import pyarrow as pa

from scorer.data.formats.base import CHUNK, CHUNK_SIZE, PROBLEM

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


def with_problems(arrays: list[pa.Array], names: list[str], problems: list[str | None]) -> pa.RecordBatch:
    """Return a batch of columns [n] with the column ``PROBLEM``: why a row could not be read, null if it could."""
    return pa.RecordBatch.from_arrays([*arrays, pa.array(problems, pa.string())], [*names, PROBLEM])
