"""The parts of which a Source consists: files or a table in memory; ``hf_datasets`` adds a stream of rows."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from scorer.data.arrow import is_text
from scorer.data.filesystem import DataFile, forget_listings
from scorer.data.formats.base import PROBLEM, Batches, Format, Inspected, Wanted
from scorer.data.read_options import ReadOptions
from scorer.data.remote_errors import at_fault, why
from scorer.errors import LossrankError, SourceError, shortage

_AT_ONCE = 8  # files inspected at the same time
_POINTER = b"version https://git-lfs.github.com/spec/v1"  # how the file of a clone without Git LFS begins
_POINTER_SIZE = 1024  # bytes; a pointer is always shorter
GO_ON = "restore the file and try again, or score the data again"


class Part(Protocol):
    """A range of consecutive rows."""

    @property
    def rows(self) -> int: ...

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        """Yield ``(number of the batch's first row in the part, batch)``, with at least the wanted rows.

        Raises:
            SourceError: the part can't be read.
        """
        ...

    def refuse_change(self) -> None:
        """Raise SourceError if the part has changed since it was opened; a remote version may come from a cache.

        Raises:
            SourceError: the part is gone, has changed, or can't be inspected.
        """
        ...


@dataclass(frozen=True)
class FilePart:
    """A file, with its version at the time of opening, and what was found in it.

    ``constants`` are columns that the file itself lacks, with the one value that all its rows have.
    """

    file: DataFile
    format: Format
    version: dict[str, Any]
    found: Inspected
    constants: tuple[tuple[str, str | None], ...] = ()

    @property
    def rows(self) -> int:
        return self.found.rows

    @property
    def schema(self) -> pa.Schema:
        schema = self.found.schema
        for name, _ in self.constants:
            schema = schema.append(pa.field(name, pa.string()))
        return schema

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        there = set(self.found.schema.names)
        own = [name for name in columns if name in there]
        try:
            # A format reads at least one column, since its batches must have rows.
            for start, batch in self.format.batches(self.file, self.found, own or [self._cheapest()], wanted):
                yield start, batch if len(own) == len(columns) else self._completed(batch, columns)
        except LossrankError:
            raise
        except Exception as error:  # the errors of the stores' libraries have no common root
            _not_ours(self.file, error)
            forget_listings([self.file])
            self.refuse_change()
            raise _unreadable(self.file, self.format, error) from error

    def _cheapest(self) -> str:
        """Return a column that is no text, if there is one: a batch has no rows without any column."""
        schema = self.found.schema
        return str(min(schema, key=lambda field: pa.types.is_nested(field.type) or is_text(field.type)).name)

    def _completed(self, batch: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
        """Add the columns that the file lacks: those of its folders' names, and nulls for what other files have."""
        added, rows = dict(self.constants), len(batch)
        kind = pa.string() if self.format.is_text else pa.null()
        names = [*columns, *(name for name in batch.schema.names if name == PROBLEM)]
        arrays = []
        for name in names:
            if name in added:
                arrays.append(pa.repeat(pa.scalar(added[name], pa.string()), rows))
            else:
                arrays.append(batch.column(name) if name in batch.schema.names else pa.nulls(rows, kind))
        return pa.RecordBatch.from_arrays(arrays, names)

    def refuse_change(self) -> None:
        try:
            version = self.file.version()
        except FileNotFoundError:
            raise SourceError(f"{self.file} was removed while it was being read; {GO_ON}") from None
        except OSError as error:
            raise at_fault(error)(f"{self.file} can't be inspected: {why(error, self.file.path)}") from error
        if version != self.version:
            raise SourceError(f"{self.file} has changed while it was being read; {GO_ON}")

    def identity(self, *, hashed: bool) -> dict[str, Any]:
        """Return the hash of the file's content or, unless ``hashed``, the version of a remote file in its store.

        Raises:
            SourceError: the file can't be read.
            UnreachableError: its store failed.
        """
        if self.file.is_remote and not hashed and len(self.version) > 1:
            return {"version": self.version}
        try:
            return {"sha256": self.file.sha256()}
        except OSError as error:
            raise at_fault(error)(f"{self.file} can't be read ({why(error, self.file.path)})") from error


@dataclass(frozen=True)
class TablePart:
    """A table in memory."""

    table: pa.Table

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        start = 0
        for batch in self.table.select(columns).to_batches():
            if wanted(start, start + len(batch)):
                yield start, batch
            start += len(batch)

    def refuse_change(self) -> None:
        """Return without a check, because a table in memory can't change."""


@contextlib.contextmanager
def at_once() -> Iterator[ThreadPoolExecutor]:
    """Yield a thread pool for inspecting files; work that has not begun when the block ends or fails is dropped."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inspect") as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def inspected(file: DataFile, kind: Format, options: ReadOptions, data: str) -> FilePart:
    """Return the part that reads a file of ``data``, after a first pass over the file.

    Raises:
        SourceError: the file is missing, empty or unreadable.
        UnreachableError: its store failed.
    """
    if useless := [name for name in options.given if name not in kind.options]:
        raise SourceError(f"`{useless[0]}` does nothing for a {kind.name} file such as {file}; leave it out")
    try:
        version = file.version()
        if version["size"] == 0:
            raise SourceError(f"{file} is empty (0 bytes)")
        if not file.is_remote and version["size"] < _POINTER_SIZE:
            _refuse_pointer(file)
        return FilePart(file, kind, version, kind.inspect(file, options))
    except LossrankError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{file} does not exist, though {data} lists it; restore the file") from error
    except UnicodeError as error:
        raise SourceError(f"{file} can't be read as {options.encoding} ({error}); give another `encoding`") from error
    except Exception as error:  # the errors of the stores' libraries have no common root
        _not_ours(file, error)
        raise _unreadable(file, kind, error) from error


def _refuse_pointer(file: DataFile) -> None:
    """Raise SourceError if Git LFS has left a file's address in its place, as a clone without LFS does."""
    with Path(file.path).open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise SourceError(f"{file} is a pointer of Git LFS, not the data; run `git lfs pull` in its repository")


def _unreadable(file: DataFile, kind: Format, error: Exception) -> SourceError:
    message = f"{file} can't be read as {kind.name} ({why(error, file.path)})"
    return at_fault(error)(message, quotes_data=isinstance(error, pa.ArrowException))


def _not_ours(file: DataFile, error: Exception) -> None:
    """Raise the error again if it was caused by a shortage of memory or a bug, not by the file."""
    if shortage(error) or not (file.is_remote or isinstance(error, OSError | pa.ArrowException)):
        raise error
