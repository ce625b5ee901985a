"""open_source(): a file, folder, glob, saved or named data set, or an Arrow table, as one stream of rows.

Rows are numbered from 0 in a fixed order (files by name); that number is the join key back to the data.
"""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.bundle import file_sha256
from scorer.errors import SourceError
from scorer.find import find_files
from scorer.formats import PROBLEM, Batches, Format, Wanted, format_of, known_suffixes, valid_text
from scorer.schemas import conform, decoded, joined, label_names, refuse_twins, restore_types, without_views

_FINGERPRINT_ROWS = 4096


@dataclass(frozen=True)
class Source:
    """Rows to score, in a fixed order.

    ``spec`` is what ``open_source`` needs to open it again; ``fingerprint`` is a SHA-256 of the content, whatever
    the place it lies in; ``label_names`` has the class names of each column that is a ClassLabel.
    """

    name: str
    spec: dict[str, Any]
    schema: pa.Schema
    num_rows: int
    fingerprint: str
    label_names: dict[str, tuple[str, ...]]
    parts: list["_Part"] = field(repr=False)

    def read(
        self, columns: list[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``start`` up to ``stop`` in order, reading only the parts that hold them.

        Text formats add the column ``formats.PROBLEM``.
        """
        end = self.num_rows if stop is None else stop
        for first, batch in self._batches(columns, lambda a, b: a < end and b > start):
            low, high = max(start, first), min(end, first + len(batch))
            if low < high:
                yield batch.slice(low - first, high - low)

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return all columns of the given rows, in the given order, as a table of ``len(rows)`` rows.

        Bytes of a text that aren't UTF-8 are U+FFFD in it.

        Raises:
            SourceError: a row is not in the data.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.num_rows:
            raise SourceError(
                f"rows run from {rows.min()} to {rows.max()}; {self.name} has rows 0 to {self.num_rows - 1}"
            )
        ordered = np.unique(rows)
        taken = []
        for first, batch in self._batches(None, lambda a, b: bool(np.diff(np.searchsorted(ordered, (a, b)))[0])):
            low, high = np.searchsorted(ordered, (first, first + len(batch)))
            if low < high:
                picked = batch.take(pa.array(ordered[low:high] - first))
                taken.append(pa.Table.from_batches([picked]))
        if not taken:
            return self.schema.empty_table()
        table = pa.concat_tables(taken, promote_options="permissive")
        table = pa.table([valid_text(column) for column in table.columns], schema=table.schema)
        if PROBLEM in table.column_names:
            table = restore_types(table.drop_columns([PROBLEM]), self.schema)
        return table.select(self.schema.names).take(pa.array(np.searchsorted(ordered, rows)))

    def refuse_change(self) -> None:
        """Make sure that the files are still those that were opened.

        Raises:
            SourceError: one was replaced, written to or removed.
        """
        for part in self.parts:
            if isinstance(part, _FilePart) and _stamp(part.path) != part.stamp:
                raise SourceError(f"{part.path} has changed while it was being scored; restore it, or score it again")

    def _batches(self, columns: list[str] | None, wanted: Wanted) -> Batches:
        """Yield ``(first row in the data set, batch)`` of the wanted parts."""
        start = 0
        for part in self.parts:
            if wanted(start, start + part.rows):
                for first, batch in part.batches(columns, _shifted(wanted, start)):
                    yield start + first, conform(batch, self.schema, self.name)
            start += part.rows


@dataclass(frozen=True)
class _FilePart:
    path: Path
    format: Format
    rows: int
    stamp: tuple[int, ...]

    def batches(self, columns: list[str] | None, wanted: Wanted) -> Batches:
        try:
            yield from self.format.batches(self.path, columns, wanted)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{self.path} can't be read as {self.format.name} ({_first_line(error)})") from error


@dataclass(frozen=True)
class _TablePart:
    table: pa.Table
    rows: int

    def batches(self, columns: list[str] | None, wanted: Wanted) -> Batches:
        start = 0
        for batch in (self.table.select(columns) if columns else self.table).to_batches():
            if wanted(start, start + len(batch)):
                yield start, batch
            start += len(batch)


_Part = _FilePart | _TablePart


def open_source(
    data: str | Path | pa.Table, *, config: str | None = None, split: str | None = None, name: str | None = None
) -> Source:
    """Open data to be scored.

    ``data`` is a file, a folder or a glob of Parquet, Arrow, CSV or JSON lines; a folder written by
    ``datasets.save_to_disk``; the name of a ``datasets`` data set, with ``config`` and ``split``; or a table.

    Raises:
        SourceError: nothing is there, it is empty or unreadable, its files differ in columns, or a split is missing.
    """
    if isinstance(data, pa.Table):
        source = _from_table(data, name or "table", {"kind": "table"})
    else:
        files = find_files(str(data), config, split)
        source = _from_files(str(data), files, split) if files else _from_hub(str(data), config, split)
    if source.num_rows == 0:
        raise SourceError(f"{source.name} is empty: it has columns {_listed(source.schema)} and no rows")
    return source


def reopen_source(spec: dict[str, Any], fingerprint: str, data: str | Path | pa.Table | None = None) -> Source:
    """Open the data of a finished run again, from its record or from where it lies now.

    Raises:
        SourceError: it is not there any more, or its content is not what was scored.
    """
    if data is None and spec["kind"] == "table":
        raise SourceError("the run scored a table in memory; pass that table as data")
    if data is None:
        data = spec["data"]
    source = open_source(data, config=spec.get("config"), split=spec.get("split"))
    if source.fingerprint != fingerprint:
        raise SourceError(
            f"{source.name} has changed since it was scored (fingerprint {source.fingerprint[:12]}..., the run has "
            f"{fingerprint[:12]}...); restore it, or score it again"
        )
    return source


def _shifted(wanted: Wanted, offset: int) -> Wanted:
    return lambda start, stop: wanted(offset + start, offset + stop)


def _from_files(data: str, files: list[Path], split: str | None) -> Source:
    parts: list[_Part] = []
    digest = hashlib.sha256()
    schema: pa.Schema | None = None
    listed = []
    for path in files:
        kind = format_of(path)
        if kind is None:
            raise SourceError(f"{path} is of no known kind; these are: {known_suffixes()}")
        try:
            stamp = _stamp(path)
            if path.stat().st_size == 0:
                raise SourceError(f"{path} is empty (0 bytes)")
            found, rows, sha256 = without_views(kind.schema(path)), kind.count(path), file_sha256(path)
        except FileNotFoundError:
            raise SourceError(f"{path} does not exist, though {data} lists it") from None
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path} can't be read as {kind.name} ({_first_line(error)})") from error
        refuse_twins(found, str(path))
        if schema is not None and set(found.names) != set(schema.names):
            raise SourceError(f"{path} has the columns {_listed(found)}; {files[0].name} has {_listed(schema)}")
        schema = found if schema is None else joined(schema, found, path, files[0])
        parts.append(_FilePart(path, kind, rows, stamp))
        digest.update(sha256.encode())
        listed.append({"name": path.name, "rows": rows, "sha256": sha256})
    if schema is None:
        raise SourceError(f"{data} holds no file of a known kind; these are: {known_suffixes()}")
    absolute = str(Path(data).absolute())
    return Source(
        name=Path(data).name,
        spec={"kind": "files", "data": absolute, "split": split, "files": listed},
        schema=schema,
        num_rows=sum(part.rows for part in parts),
        fingerprint=digest.hexdigest(),
        label_names=label_names(schema),
        parts=parts,
    )


def _from_hub(name: str, config: str | None, split: str | None) -> Source:
    try:
        import datasets
    except ImportError:
        raise SourceError(
            f"{name} is no file or folder here; to load it as a data set's name, run `pip install 'lossrank[datasets]'`"
        ) from None
    if split is None:
        raise SourceError(f"{name} is loaded by name: pick a split, for example --split test")
    try:
        with _quiet():
            loaded = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # the library's errors have no common root
        raise SourceError(
            f"{name} is no file or folder here, and `datasets` can't load it by name ({_first_line(error)})"
        ) from error
    if loaded._indices is not None:
        loaded = loaded.flatten_indices()
    spec = {"kind": "datasets", "data": name, "config": config, "split": split}
    # The features, not the cached table, are sure to carry the class names.
    return _from_table(loaded.data.table.replace_schema_metadata(loaded.features.arrow_schema.metadata), name, spec)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the retries that the hub's libraries log off the screen; what goes wrong comes as an exception."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _from_table(table: pa.Table, name: str, spec: dict[str, Any]) -> Source:
    refuse_twins(table.schema, name)
    if (schema := without_views(table.schema)) != table.schema:
        table = table.cast(schema)
    digest = hashlib.sha256(str(table.schema.remove_metadata()).encode())
    bare = table.replace_schema_metadata(None)
    for start in range(0, table.num_rows, _FINGERPRINT_ROWS):
        rows = bare.slice(start, _FINGERPRINT_ROWS).cast(decoded(bare.schema))
        # Taken rows have buffers of their own: the same bytes however the table is chunked or sliced.
        for batch in rows.take(pa.array(np.arange(len(rows)))).combine_chunks().to_batches():
            digest.update(batch.serialize())
    part = _TablePart(table, table.num_rows)
    return Source(name, spec, table.schema, table.num_rows, digest.hexdigest(), label_names(table.schema), [part])


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what tells one state of a file from another without reading it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _listed(schema: pa.Schema) -> str:
    return ", ".join(schema.names)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
