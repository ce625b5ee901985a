"""Source: the rows to score, in a fixed order, whatever they were opened from.

``scorer/data/opening`` opens data as a Source; ``Data`` is all that can be opened.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.arrow import decoded, row_array, valid_text, without_dictionaries
from scorer.data.filesystem import DataFile, forget_listings
from scorer.data.formats.base import PROBLEM, Batches, Wanted
from scorer.data.joined import JoinedText, joined_text, with_joined
from scorer.data.parts import FilePart, Part, at_once
from scorer.data.schemas import conform, restore_types
from scorer.data.spec import Spec
from scorer.errors import SourceError
from scorer.text import short


class Frame(Protocol):
    """A DataFrame of pandas or polars."""

    @property
    def columns(self) -> Any: ...
    @property
    def shape(self) -> tuple[int, int]: ...


class ArrowData(Protocol):
    """A Table, RecordBatch or RecordBatchReader of pyarrow."""

    @property
    def schema(self) -> Any: ...


class HuggingFaceData(Protocol):
    """A Dataset, IterableDataset, DatasetDict or IterableDatasetDict of `datasets`."""

    def with_format(self, type: str | None = None) -> Any: ...


# Protocols, because a type checker takes a library without types for anything, and so would accept any data.
Data: TypeAlias = str | Path | Sequence[str | Path] | Sequence[Mapping[str, Any]] | Frame | ArrowData | HuggingFaceData
Find: TypeAlias = Callable[[], list[DataFile]]
_TOGETHER = 1 << 30  # bytes of rows that are ordered by copying: an Arrow array of text is limited to 2 GiB


@dataclass(frozen=True)
class Source:
    """Rows to score, in a fixed order.

    ``spec`` is the record from which ``reopen_data`` opens the data again; ``fingerprint`` is a SHA-256 of the
    content, whatever its location (for a remote file that wasn't hashed, of its version in its store); ``label_names``
    has the class names of each ClassLabel column; ``notes`` tell the user how the data was opened; ``find`` lists the
    files again, None if the data isn't made of files. ``unusable`` tells by name why a column can't be the text, the
    label or the id. ``joined`` is a column that is made of several text columns; it is read when its name is asked for.
    """

    name: str
    spec: Spec
    schema: pa.Schema
    num_rows: int
    fingerprint: str
    label_names: dict[str, tuple[str, ...]]
    parts: list[Part] = field(repr=False)
    notes: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict, repr=False)
    joined: JoinedText | None = None
    find: Find | None = field(default=None, repr=False)

    @property
    def lines(self) -> int:
        """The number of lines of CSV and fastText files, headers included; 0 for other data."""
        return sum(part.found.lines for part in self.parts if isinstance(part, FilePart))

    @property
    def readable_schema(self) -> pa.Schema:
        """The schema, with the joined column if there is one."""
        return self.schema if self.joined is None else self.schema.append(pa.field(self.joined.name, pa.large_string()))

    def joining(self, parts: Sequence[str], separator: str) -> "Source":
        """Return this data with a column that joins several text columns.

        Raises:
            SourceError: a part is no text column, or can't be used.
        """
        for name in parts:
            if name in self.unusable:
                raise SourceError(f"column {short(name)!r} can't be used: {self.unusable[name]}", quotes_data=True)
        return replace(self, joined=joined_text(self.schema, parts, separator))

    def read(
        self, columns: list[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``start`` up to ``stop`` in order; only parts with such rows are read.

        Text formats add the column ``formats.base.PROBLEM``.
        """
        end = self.num_rows if stop is None else stop
        for first, batch in self._batches(columns, lambda a, b: a < end and b > start):
            low, high = max(start, first), min(end, first + len(batch))
            if low < high:
                yield batch.slice(low - first, high - low)

    def take(self, rows: NDArray[np.int64], columns: list[str] | None = None) -> pa.Table:
        """Return the rows with the given numbers [n], in the given order, as a table of all columns or of ``columns``.

        Bytes that aren't UTF-8 become U+FFFD; dictionary-encoded columns become plain ones.

        Raises:
            SourceError: a row number is out of range.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.num_rows:
            raise SourceError(
                f"row numbers go from {rows.min()} to {rows.max()}, but {self.name} only has rows 0 to "
                f"{self.num_rows - 1}"
            )
        ordered = np.unique(rows)
        taken = []
        for first, batch in self._batches(columns, lambda a, b: bool(np.diff(np.searchsorted(ordered, (a, b)))[0])):
            low, high = np.searchsorted(ordered, (first, first + len(batch)))
            if low < high:
                picked = without_dictionaries(batch.take(row_array(ordered[low:high] - first)))
                taken.append(pa.Table.from_batches([picked]))
        if not taken:
            return decoded(self.readable_schema).empty_table().select(columns or self.schema.names)
        table = pa.concat_tables(taken, promote_options="permissive")
        table = pa.table([valid_text(column) for column in table.columns], schema=table.schema)
        if PROBLEM in table.column_names:
            table = restore_types(table.drop_columns([PROBLEM]), self.readable_schema)
        table, order = table.select(columns or self.schema.names), np.searchsorted(ordered, rows)
        if table.nbytes < _TOGETHER:
            return table.take(row_array(order))
        return pa.concat_tables([table.slice(i, 1) for i in order])

    def refuse_change(self, start: int = 0, stop: int | None = None) -> None:
        """Raise SourceError if a file with rows from ``start`` up to ``stop`` has changed since it was opened.

        Raises:
            SourceError: a file was replaced, written to or removed.
        """
        end = self.num_rows if stop is None else stop
        first = 0
        checked = []
        for part in self.parts:
            if first < end and first + part.rows > start:
                checked.append(part)
            first += part.rows
        forget_listings(part.file for part in checked if isinstance(part, FilePart))
        with at_once() as pool:
            list(pool.map(lambda part: part.refuse_change(), checked))

    def refuse_added(self) -> None:
        """Raise SourceError if a file was added to the folders and globs since they were opened.

        Raises:
            SourceError: a file was added, or the files can't be listed.
        """
        if self.find is None:
            return
        known = {str(part.file) for part in self.parts if isinstance(part, FilePart)}
        if added := [str(file) for file in self.find() if str(file) not in known]:
            more = f" and {len(added) - 1} more were" if len(added) > 1 else " was"
            raise SourceError(
                f"{added[0]}{more} added to the data while it was being read; the scores of the other files are kept. "
                "To finish, move the new files out of the data, or list only the other files, then score again with "
                "the same arguments"
            )

    def place_of(self, row: int) -> str:
        """Return a row's number in its file, and the file, as a clause for an error message.

        Raises:
            SourceError: the row number is out of range."""
        for part in self.parts:
            if row < part.rows:
                return f"row {row} of {part.file}" if isinstance(part, FilePart) else f"row {row} of {self.name}"
            row -= part.rows
        raise SourceError(f"there is no row {self.num_rows + row}: {self.name} has rows 0 to {self.num_rows - 1}")

    def _batches(self, columns: list[str] | None, wanted: Wanted) -> Batches:
        """Yield ``(first row in the data set, batch)`` from the wanted parts."""
        start = 0
        names = columns or self.schema.names
        joined = self.joined if self.joined is not None and self.joined.name in names else None
        read = names if joined is None else joined.columns_for(names)
        if unknown := set(read) - set(self.schema.names):
            raise KeyError(f"{self.name} has no column {min(unknown)!r}")
        for part in self.parts:
            if wanted(start, start + part.rows):
                for first, batch in part.batches(read, _shifted(wanted, start)):
                    rows = conform(batch, self.schema, self.name)
                    yield start + first, rows if joined is None else with_joined(rows, names, joined)
            start += part.rows


def paths_of(data: Data | None) -> list[str] | None:
    """Return the paths, addresses or name by which the data is given; None if it is in memory, or none is given."""
    if isinstance(data, str | Path):
        return [str(data)]
    if isinstance(data, list | tuple) and data and all(isinstance(path, str | Path) for path in data):
        return [str(path) for path in data]
    return None


def _shifted(wanted: Wanted, offset: int) -> Wanted:
    return lambda start, stop: wanted(offset + start, offset + stop)
