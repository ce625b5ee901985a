"""load() and stream(): read a data set with the `datasets` library, from its cache or without a download."""

import contextlib
import gzip
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.data.arrow import hash_rows
from scorer.data.formats import NO_END, Batches, Wanted
from scorer.data.parts import GO_ON
from scorer.errors import SourceError, UnreachableError, first_line

_CHUNK = 4096


@dataclass(frozen=True)
class StreamPart:
    """A streamed split; it is always read from its first row, whichever rows are wanted."""

    name: str
    stream: Any  # datasets.IterableDataset
    rows: int
    files: dict[str, float]  # the split's local files, with their modification times

    def batches(self, columns: list[str], wanted: Wanted) -> Batches:
        try:
            yield from self._counted(columns, wanted)
        except SourceError:
            self.refuse_change()
            raise

    def _counted(self, columns: list[str], wanted: Wanted) -> Batches:
        start = 0
        batches = _batches(self.stream, self.name)
        for batch in batches:
            stop = start + len(batch)
            # The last rows are held back until the stream has ended, so that extra rows are noticed first.
            if stop > self.rows or (stop == self.rows and next(batches, None) is not None):
                raise SourceError(
                    f"{self.name} has more rows than the {self.rows:,} it declares; score it without `streaming=True`"
                )
            if wanted(start, stop):
                yield start, batch.select(columns)
            start = stop
            if not wanted(start, NO_END):
                return
        if start < self.rows:
            raise SourceError(
                f"{self.name} ended after {start:,} of the {self.rows:,} rows it declares; score it without "
                "`streaming=True`"
            )

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


def load(name: str, config: str | None, split: str | None) -> pa.Table:
    """Download a split, or take it from the cache, and return it as a memory-mapped table.

    Raises:
        SourceError: no split is named, or the split can't be loaded.
        UnreachableError: the hub failed, or `datasets` is not installed.
    """
    with _library(name, split) as datasets:
        loaded = datasets.load_dataset(name, config, split=split)
    if loaded._indices is not None:
        loaded = loaded.flatten_indices()
    # The class names are taken from the features, because the cached table may lack them.
    return loaded.data.table.replace_schema_metadata(loaded.features.arrow_schema.metadata)


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


def _batches(rows: Any, name: str) -> Iterator[pa.RecordBatch]:
    try:
        for table in rows.with_format("arrow").iter(batch_size=_CHUNK):
            yield from table.replace_schema_metadata(None).combine_chunks().to_batches()
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # the library's errors have no common root
        raise _at_fault(name, error)(
            f"`datasets` can't stream {name} ({first_line(error)})", quotes_data=not isinstance(error, OSError)
        ) from error


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
