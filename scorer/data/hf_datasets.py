"""Read data of the `datasets` library: a Dataset in batches, a stream from its start, or either by name."""

import contextlib
import gzip
import hashlib
import itertools
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.data.arrow import hash_rows, readable
from scorer.data.formats.base import NO_END, Batches, Wanted
from scorer.data.parts import GO_ON
from scorer.data.schemas import conform
from scorer.errors import SourceError, UnreachableError, first_line

_CHUNK = 4096
_GATHERED = 512  # rows that are copied together: those of a shuffled Dataset lie far apart
_ASKED = 64  # rows of a Dataset that are wanted or left out together
_DECLARED = "it declares; score it without `streaming=True`"
_REPEATABLE = "make it give the same rows each time, or pass a Dataset"
_COUNTED = f"of its first pass; {_REPEATABLE}"


@dataclass(frozen=True)
class DatasetPart:
    """A Dataset, in memory or in memory-mapped files; only the wanted rows are read."""

    name: str
    dataset: Any  # datasets.Dataset with the format "arrow" and no hidden columns

    @property
    def rows(self) -> int:
        return len(self.dataset)

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        is_whole = columns == self.dataset.column_names
        shown = self.dataset if is_whole else self.dataset.select_columns(columns)
        size = _CHUNK if shown._indices is None else _GATHERED
        try:
            for start in range(0, self.rows, size):
                for low, high in _runs(wanted, start, min(start + size, self.rows)):
                    table = shown[low:high].select(columns).replace_schema_metadata(None)
                    # Behind indices each row is a chunk of its own.
                    for batch in (table if shown._indices is None else table.combine_chunks()).to_batches():
                        yield low, batch
                        low += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"`datasets` can't read {self.name} ({first_line(error)})", quotes_data=not isinstance(error, OSError)
            ) from error

    def refuse_change(self) -> None:
        """Return without a check, because a Dataset can't change."""


def _runs(wanted: Wanted, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges from ``start`` up to ``stop`` that are wanted, in steps of ``_ASKED`` rows."""
    low = None
    for at in range(start, stop, _ASKED):
        if not wanted(at, min(at + _ASKED, stop)):
            if low is not None:
                yield low, at
            low = None
        elif low is None:
            low = at
    if low is not None:
        yield low, stop


@dataclass(frozen=True)
class StreamPart:
    """A streamed split; it is always read from its first row, whichever rows are wanted.

    ``files`` has the split's local files, with their modification times. ``promise`` says where ``rows`` comes from,
    and what to do if it is wrong. ``digests`` has the hash of each batch in the first pass, for a stream that nothing
    else can identify; empty for a split by name.
    """

    name: str
    stream: Any  # datasets.IterableDataset
    rows: int
    files: dict[str, float]
    promise: str = _DECLARED
    digests: tuple[bytes, ...] = ()

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        try:
            yield from self._counted(columns, wanted)
        except SourceError:
            self.refuse_change()
            raise

    def _counted(self, columns: list[str], wanted: Wanted) -> Batches:
        start = 0
        batches = _batches(self.stream, self.name)
        for number, batch in enumerate(batches):
            stop = start + len(batch)
            if self.digests and self.digests[number : number + 1] != (_digest(batch),):
                raise SourceError(f"{self.name} gives other rows than those {_COUNTED}")
            # The last rows are held back until the stream has ended, so that extra rows are noticed first.
            if stop > self.rows or (stop == self.rows and next(batches, None) is not None):
                raise SourceError(f"{self.name} has more rows than the {self.rows:,} {self.promise}")
            if wanted(start, stop):
                yield start, batch.select(columns)
            start = stop
            if not wanted(start, NO_END):
                return
        if start < self.rows:
            raise SourceError(f"{self.name} ended after {start:,} of the {self.rows:,} rows {self.promise}")

    def refuse_change(self) -> None:
        """Raise SourceError if a local file has changed; files on the hub are read from one commit and can't change."""
        for file, written in self.files.items():
            try:
                if Path(file).stat().st_mtime == written:
                    continue
            except FileNotFoundError:
                pass
            raise SourceError(f"{file} has changed or was removed while it was being read; {GO_ON}")


@dataclass(frozen=True)
class Stream:
    """A streamed split with its schema, its fingerprint and notes for the user."""

    part: StreamPart
    schema: pa.Schema
    fingerprint: str
    notes: tuple[str, ...]


def load(name: str, config: str | None, split: str | None) -> Any:
    """Download a split, or take it from the cache, and return it as a Dataset.

    Raises:
        SourceError: no split is named, or the split can't be loaded.
        UnreachableError: the hub failed, or `datasets` is not installed.
    """
    with _library(name, split) as datasets:
        return datasets.load_dataset(name, config, split=split)


def stream(name: str, config: str | None, split: str | None) -> Stream:
    """Open a split to be streamed, without downloading it whole.

    A first pass counts and hashes the rows if the data set does not declare its columns, its number of rows, or its
    files with their versions (a commit, an ETag, the time of writing).

    Raises:
        SourceError, UnreachableError: as for ``load``.
    """
    with _library(name, split) as datasets:
        builder = datasets.load_dataset_builder(name, config)
        rows = builder.as_streaming_dataset(split=split)
        known = (builder.info.splits or {}).get(split)
        files = (builder.config.data_files or {}).get(split) or []
    count = None if known is None else known.num_examples
    states = [list(map(str, state)) for state in getattr(files, "origin_metadata", [])]
    are_known = bool(files) and len(states) == len(files) and all(states)
    named = [str(rows.info.features), [Path(file).name for file in files], states]
    digest = hashlib.sha256(json.dumps(named).encode())
    schema = None if rows.features is None else rows.features.arrow_schema
    notes = []
    if not count or not are_known or schema is None:
        found = 0
        for batch in _batches(rows, name):
            schema = batch.schema if schema is None else schema
            hash_rows(digest, batch)
            found += len(batch)
        if not count:
            notes.append(f"{name} declares no number of rows for split {split}; a first pass counted the rows")
        count = found
    if schema is None:
        raise SourceError(f"{name} has no rows in split {split}; name another one with `split`")
    part = StreamPart(name, rows, count, {file: Path(file).stat().st_mtime for file in files if Path(file).is_file()})
    return Stream(part, schema, digest.hexdigest(), tuple(notes))


def count(stream: Any, name: str) -> Stream:
    """Count and hash the rows of an IterableDataset in a first pass.

    The number of rows that its ``info`` declares is not used: ``filter`` and ``take`` leave it as it was.

    Raises:
        SourceError: the stream has no rows, gives other rows the second time, or can't be read.
        UnreachableError: its store failed.
    """
    schema = None if stream.features is None else readable(stream.features.arrow_schema)
    content = hashlib.sha256()
    digests: list[bytes] = []
    rows = 0
    for batch in _batches(stream, name):
        schema = readable(batch.schema) if schema is None else schema
        if not digests:
            content.update(str(schema.remove_metadata()).encode())
        hash_rows(content, conform(batch, schema, name))
        digests.append(_digest(batch))
        rows += len(batch)
    if schema is None or not rows:
        raise SourceError(f"{name} is empty: it gives no rows")
    again = next(_batches(stream, name), None)
    if again is None or _digest(again) != digests[0]:
        found = "no rows" if again is None else "other rows"
        raise SourceError(
            f"{name} gives {found} the second time; make it give the same rows each time, or pass a Dataset"
        )
    part = StreamPart(name, stream, rows, {}, _COUNTED, tuple(digests))
    return Stream(part, schema, content.hexdigest(), (f"{name} is a stream; a first pass counted the rows",))


def _digest(batch: pa.RecordBatch) -> bytes:
    digest = hashlib.sha256()
    hash_rows(digest, batch)
    return digest.digest()


def _batches(rows: Any, name: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an IterableDataset in batches of ``_CHUNK``, of which only the last is shorter."""
    try:
        for table in _tables(rows.with_format("arrow")):
            yield from table.replace_schema_metadata(None).combine_chunks().to_batches()
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # the library's errors have no common root
        fix = "; give the stream `features`" if isinstance(error, pa.ArrowException) and rows.features is None else ""
        raise _at_fault(name, error)(
            f"`datasets` can't stream {name} ({first_line(error)}){fix}", quotes_data=not isinstance(error, OSError)
        ) from error


def _tables(rows: Any) -> Iterator[pa.Table]:
    read = 0
    try:
        for table in rows.iter(batch_size=_CHUNK):
            yield table
            read += len(table)
    except pa.ArrowInvalid:
        if rows.features is None:
            raise
        # The library joins what is left of several batches after a filter, and fails if a column of one has nothing but
        # nulls. Single rows are not joined.
        left = itertools.islice(rows.iter(batch_size=1), read, None)
        while single := list(itertools.islice(left, _CHUNK)):
            yield pa.concat_tables(single)


@contextlib.contextmanager
def _library(name: str, split: str | None) -> Iterator[Any]:
    """Yield the `datasets` library, and turn its exceptions into errors of one line.

    The library's log messages about retries are not shown, because a failure raises an exception too.

    Raises:
        SourceError: no split is named, or the data set can't be loaded.
        UnreachableError: the hub failed, or the library is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise UnreachableError(
            f"{name} is no file or folder here; to load it by name from the hub, run `pip install 'lossrank[datasets]'`"
        ) from None
    if split is None:
        raise SourceError(f"{name} is loaded by name, so it needs a split; give one, for example `split='test'`")
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield datasets
    except MemoryError:
        raise
    except Exception as error:  # the library's errors have no common root
        raise _at_fault(name, error)(
            f"{name} is no file or folder here, and `datasets` can't load it by name ({first_line(error)})",
            quotes_data=not isinstance(error, OSError),
        ) from error
    finally:
        logging.disable(before)


def _at_fault(name: str, error: Exception) -> type[SourceError]:
    """Return SourceError for an exception that the data set's content caused, UnreachableError if the hub caused it."""
    # Connection and HTTP failures raise subclasses of OSError; decompression raises one of these two classes.
    of_content = not isinstance(error, OSError) or type(error) in (OSError, gzip.BadGzipFile)
    return SourceError if of_content or Path(name).exists() else UnreachableError
