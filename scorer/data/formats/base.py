"""Format: the reader of one file format, as a pair of functions, and what they have in common.

``inspect`` reads a file once: it returns the schema, counts the rows and finds out how the file is to be read.
``batches`` yields ``(first row, batch)`` in row order. It asks ``wanted(start, stop)`` before it reads a part, so that
a resumed run or a join reads only the row groups it needs, and reads a text file only up to the last wanted row.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from scorer.data.filesystem import DataFile
from scorer.data.read_options import ReadOptions

PROBLEM = "__lossrank_problem__"  # column that text formats add: why the row could not be read, null if it could
CHUNK = 4096  # rows read at once
CHUNK_SIZE = 1 << 26  # bytes of Parquet or characters of text read at once; long rows come a few at a time
NO_END = 2**62  # more rows than any data has

Wanted = Callable[[int, int], bool]
Batches = Iterator[tuple[int, pa.RecordBatch]]


@dataclass(frozen=True)
class Inspected:
    """What one pass over a file has found.

    ``lines`` is the number of lines of a text file, 0 for other formats. ``notes`` tell the user how the file is read.
    ``repeated`` has the names that several columns have, of which the first keeps it in the schema. ``counts``
    counts the values of columns that are called like labels, nulls left out; a column with many values is left out.
    ``how`` is the format's own: how ``batches`` reads the file.
    """

    schema: pa.Schema
    rows: int
    lines: int = 0
    notes: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict, repr=False)
    how: Any = None


class Format(NamedTuple):
    """The reader of one file format, with the read options that it has; a text format reads every column as text."""

    name: str
    inspect: Callable[[DataFile, ReadOptions], Inspected]
    batches: Callable[[DataFile, Inspected, list[str], Wanted], Batches]
    is_text: bool = False
    options: tuple[str, ...] = ()
