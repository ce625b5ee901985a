"""open_source(): files, folders, globs, saved and named data sets, or an Arrow table, as one stream of rows.

Rows are numbered from 0 in a fixed order (paths as given, files of one by name); that number is the join key back to
the data.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer import hub
from scorer.errors import SourceError
from scorer.find import find_files, same_format
from scorer.formats import PROBLEM, Batches, Wanted, format_of, known_suffixes, valid_text
from scorer.parts import FilePart, Part, TablePart, inspected
from scorer.schemas import conform, hash_rows, joined, label_names, refuse_twins, restore_types, without_views
from scorer.store import DataFile, is_remote, why

Data: TypeAlias = str | Path | Sequence[str | Path] | pa.Table
_AT_ONCE = 8  # files that are inspected


@dataclass(frozen=True)
class Source:
    """Rows to score, in a fixed order.

    ``spec`` is what ``open_source`` needs to open it again; ``fingerprint`` is a SHA-256 of the content, whatever
    the place it lies in (of a remote file: of its version in its store); ``label_names`` has the class names of each
    column that is a ClassLabel; ``notes`` is what a user should know of how it was opened.
    """

    name: str
    spec: dict[str, Any]
    schema: pa.Schema
    num_rows: int
    fingerprint: str
    label_names: dict[str, tuple[str, ...]]
    parts: list[Part] = field(repr=False)
    notes: tuple[str, ...] = ()

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

    def refuse_change(self, start: int = 0, stop: int | None = None) -> None:
        """Make sure that what holds the rows from ``start`` up to ``stop`` is still what was opened.

        Raises:
            SourceError: a file was replaced, written to or removed.
        """
        end = self.num_rows if stop is None else stop
        first = 0
        for part in self.parts:
            if first < end and first + part.rows > start:
                part.refuse_change()
            first += part.rows

    def place_of(self, row: int) -> str:
        """Say where a row is, for a person to find it."""
        for part in self.parts:
            if row < part.rows:
                return f"row {row} of {part.file}" if isinstance(part, FilePart) else f"row {row} of {self.name}"
            row -= part.rows
        raise SourceError(f"{self.name} has {self.num_rows} rows, and no row {self.num_rows + row}")

    def _batches(self, columns: list[str] | None, wanted: Wanted) -> Batches:
        """Yield ``(first row in the data set, batch)`` of the wanted parts."""
        start = 0
        for part in self.parts:
            if wanted(start, start + part.rows):
                for first, batch in part.batches(columns or self.schema.names, _shifted(wanted, start)):
                    yield start + first, conform(batch, self.schema, self.name)
            start += part.rows


def open_source(
    data: Data,
    *,
    config: str | None = None,
    split: str | None = None,
    name: str | None = None,
    streaming: bool = False,
) -> Source:
    """Open data to be scored.

    ``data`` is a file, a folder or a glob of Parquet, Arrow, CSV or JSON lines, here or in a remote store
    (``s3://bucket/folder``), or several of them; a folder written by ``datasets.save_to_disk``; the name of a
    ``datasets`` data set, with ``config`` and ``split``; or a table. ``streaming`` reads a `datasets` data set (a name,
    or a folder in the library's layout) as it lies, without downloading it.

    Raises:
        SourceError: nothing is there, it is empty or unreadable, its files differ in columns, or a split is missing.
    """
    return _open(data, config, split, name, streaming, hashed=False)


def _open(
    data: Data, config: str | None, split: str | None, name: str | None, streaming: bool, *, hashed: bool
) -> Source:
    if isinstance(data, pa.Table):
        source = _from_table(data, name or "table", {"kind": "table"})
    elif isinstance(data, str | Path):
        source = _from_one(str(data), config, split, streaming, hashed)
    else:
        source = _from_several([str(each) for each in data], config, split, streaming, hashed)
    if source.num_rows == 0:
        raise SourceError(f"{source.name} is empty: it has columns {_listed(source.schema)} and no rows")
    return source


def reopen_source(spec: dict[str, Any], fingerprint: str, data: Data | None = None) -> Source:
    """Open the data of a finished run again, from its record or from where it lies now.

    Raises:
        SourceError: it is not there any more, its content is not what was scored, or it can't be compared.
    """
    if data is None and spec["kind"] == "table":
        raise SourceError("the run scored a table in memory; pass that table as data")
    if data is None:
        data = spec["data"]
    files = spec.get("files", [])
    hashed = bool(files) and all("sha256" in file for file in files)
    source = _open(data, spec.get("config"), spec.get("split"), None, spec.get("streaming", False), hashed=hashed)
    if source.fingerprint != fingerprint:
        if any("sha256" not in file for file in files) and all(
            "sha256" in file for file in source.spec.get("files", [])
        ):
            raise SourceError(
                f"{source.name} can't be compared with what was scored: of remote files the run knows the version, not "
                "the content; give their address"
            )
        raise SourceError(
            f"{source.name} has changed since it was scored (fingerprint {source.fingerprint[:12]}..., the run has "
            f"{fingerprint[:12]}...); restore it, or score it again"
        )
    return source


def _shifted(wanted: Wanted, offset: int) -> Wanted:
    return lambda start, stop: wanted(offset + start, offset + stop)


def _from_one(data: str, config: str | None, split: str | None, streaming: bool, hashed: bool) -> Source:
    is_folder = Path(data).is_dir()
    if streaming and not is_folder and (is_remote(data) or find_files(data, config, split)):
        raise SourceError(f"--streaming goes with a `datasets` data set; {data} is a file, and read as a stream anyway")
    if streaming:
        return _from_stream(data, config, split, str(Path(data).absolute()) if is_folder else data)
    files = find_files(data, config, split)
    if files:
        return _from_files(data, Path(data).name or data, files, split, hashed)
    spec = {"kind": "datasets", "data": data, "config": config, "split": split}
    return _from_table(hub.load(data, config, split), data, spec)


def _from_several(paths: list[str], config: str | None, split: str | None, streaming: bool, hashed: bool) -> Source:
    """Open several paths as one data set, in the order they are given."""
    if len(paths) == 1:
        return _from_one(paths[0], config, split, streaming, hashed)
    if not paths or streaming or config is not None:
        raise SourceError(f"{len(paths)} paths were given; --streaming and --config go with one name of a data set")
    files: list[DataFile] = []
    for path in paths:
        found = find_files(path, None, split)
        if not found:
            raise SourceError(f"{path} does not exist; of several paths each must be a file, a folder or a glob")
        files += found
    places = [str(Path(str(file)).absolute()) if not file.is_remote else str(file) for file in files]
    if twice := [place for i, place in enumerate(places) if place in places[:i]]:
        raise SourceError(f"{twice[0]} is given twice, so that its rows would be scored twice; give it once")
    name = f"{Path(paths[0]).name} and {len(paths) - 1} more"
    return _from_files(paths, name, same_format(files, name), split, hashed)


def _from_files(data: str | list[str], name: str, files: list[DataFile], split: str | None, hashed: bool) -> Source:
    parts: list[Part] = []
    digest = hashlib.sha256()
    schema: pa.Schema | None = None
    listed = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="inspect") as pool:
        described = pool.map(lambda file: _described(file, hashed, name), files)
        for file, (part, found, identity) in zip(files, described, strict=True):
            refuse_twins(found, str(file))
            if schema is not None and set(found.names) != set(schema.names):
                raise SourceError(f"{file} has the columns {_listed(found)}; {files[0].name} has {_listed(schema)}")
            schema = found if schema is None else joined(schema, found, file, files[0])
            parts.append(part)
            digest.update(str(identity.get("sha256", identity)).encode())
            listed.append({"file": _absolute(str(file)), "rows": part.rows, **identity})
    if schema is None:
        raise SourceError(f"{data} holds no file of a known kind; these are: {known_suffixes()}")
    where = _absolute(data) if isinstance(data, str) else [_absolute(each) for each in data]
    return Source(
        name=name,
        spec={"kind": "files", "data": where, "split": split, "files": listed},
        schema=schema,
        num_rows=sum(part.rows for part in parts),
        fingerprint=digest.hexdigest(),
        label_names=label_names(schema),
        parts=parts,
    )


def _described(file: DataFile, hashed: bool, data: str) -> tuple[FilePart, pa.Schema, dict[str, Any]]:
    """Return a file as a part, its schema, and what tells its content from another: a hash, or a store's version."""
    kind = format_of(file.name)
    if kind is None:
        raise SourceError(f"{file} is of no known kind; these are: {known_suffixes()}")
    version, schema, rows = inspected(file, kind, data)
    part = FilePart(file, kind, rows, version)
    if file.is_remote and not hashed and len(version) > 1:
        return part, without_views(schema), {"version": version}
    try:
        return part, without_views(schema), {"sha256": file.sha256()}
    except Exception as error:  # the errors of the stores' libraries have no common root
        raise SourceError(f"{file} can't be read ({why(error)})") from error


def _absolute(data: str) -> str:
    return data if is_remote(data) else str(Path(data.removeprefix("file://")).absolute())


def _from_stream(data: str, config: str | None, split: str | None, where: str) -> Source:
    found = hub.stream(data, config, split)
    refuse_twins(found.schema, data)
    return Source(
        name=Path(data).name if Path(data).is_dir() else data,
        spec={"kind": "datasets", "data": where, "config": config, "split": split, "streaming": True},
        schema=found.schema,
        num_rows=found.part.rows,
        fingerprint=found.fingerprint,
        label_names=label_names(found.schema),
        parts=[found.part],
        notes=found.notes,
    )


def _from_table(table: pa.Table, name: str, spec: dict[str, Any]) -> Source:
    refuse_twins(table.schema, name)
    if (schema := without_views(table.schema)) != table.schema:
        table = table.cast(schema)
    digest = hashlib.sha256(str(table.schema.remove_metadata()).encode())
    hash_rows(digest, table)
    return Source(
        name, spec, table.schema, table.num_rows, digest.hexdigest(), label_names(table.schema), [TablePart(table)]
    )


def _listed(schema: pa.Schema) -> str:
    return ", ".join(schema.names)
