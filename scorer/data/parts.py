"""The parts that a source is made of, in order: files, a table, a stream of `datasets`."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from scorer.data.filesystem import DataFile, forget_listings
from scorer.data.formats import Batches, Format, Wanted
from scorer.data.remote_errors import at_fault, why
from scorer.errors import LossrankError, SourceError, shortage

_AT_ONCE = 8  # files that are looked at
GO_ON = "put back what it was and give the same command again, or score it again"


class Part(Protocol):
    """Rows that follow one another."""

    @property
    def rows(self) -> int: ...

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        """Yield ``(first row in the part, batch)``, at least of the rows that are wanted.

        Raises:
            SourceError: the part can't be read.
        """
        ...

    def refuse_change(self) -> None:
        """Make sure that the part is what it was when it was opened; listings that are kept may answer.

        Raises:
            SourceError: it is gone, has changed, or can't be asked.
        """
        ...


@dataclass(frozen=True)
class FilePart:
    """A file, and the version it had when it was opened."""

    file: DataFile
    format: Format
    rows: int
    version: dict[str, Any]

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        try:
            yield from self.format.batches(self.file, columns, wanted)
        except LossrankError:
            raise
        except Exception as error:  # the errors of the stores' libraries have no common root
            _not_ours(self.file, error)
            forget_listings([self.file])
            self.refuse_change()
            raise _unreadable(self.file, self.format, error) from error

    def refuse_change(self) -> None:
        try:
            version = self.file.version()
        except FileNotFoundError:
            raise SourceError(f"{self.file} is gone, while it was being read; {GO_ON}") from None
        except OSError as error:
            said = f"{self.file} can't be asked for its version: {why(error, self.file.path)}"
            raise at_fault(error)(said) from error
        if version != self.version:
            raise SourceError(f"{self.file} has changed while it was being read; {GO_ON}")

    def identity(self, *, hashed: bool) -> dict[str, Any]:
        """Return what tells the file's content from another: its hash, or unless ``hashed`` the version in its store.

        Raises:
            SourceError: it can't be read.
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
        """A table can't change."""


@contextlib.contextmanager
def at_once() -> Iterator[ThreadPoolExecutor]:
    """Yield threads that look at files; what has not begun when the block ends, as by an error, never does."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inspect") as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def inspected(file: DataFile, kind: Format, data: str) -> tuple[dict[str, Any], pa.Schema, int]:
    """Return the version, the schema and the number of rows of a file that ``data`` stands for.

    Raises:
        SourceError: it is not there, is empty or can't be read.
        UnreachableError: its store failed.
    """
    try:
        version = file.version()
        if version["size"] == 0:
            raise SourceError(f"{file} is empty (0 bytes)")
        return version, *kind.inspect(file)
    except LossrankError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{file} does not exist, though {data} lists it") from error
    except Exception as error:  # the errors of the stores' libraries have no common root
        _not_ours(file, error)
        raise _unreadable(file, kind, error) from error


def _unreadable(file: DataFile, kind: Format, error: Exception) -> SourceError:
    said = f"{file} can't be read as {kind.name} ({why(error, file.path)})"
    return at_fault(error)(said, quotes_data=isinstance(error, pa.ArrowException))


def _not_ours(file: DataFile, error: Exception) -> None:
    """Pass an error on as it is that isn't the file's: a shortage, or a mistake of the program."""
    if shortage(error) or not (file.is_remote or isinstance(error, OSError | pa.ArrowException)):
        raise error
