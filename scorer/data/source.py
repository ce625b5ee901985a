"""open_source(): open files, folders, globs, saved and named data sets, or an Arrow table, as one stream of rows.

Rows are numbered from 0 in a fixed order: paths in the order given, the files of a folder or glob by name. A score is
joined back to its row by this number.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from msgspec import UNSET
from numpy.typing import NDArray

from scorer.address import Address
from scorer.data import hf_datasets as hub
from scorer.data.arrow import decoded, hash_rows, readable, row_array, valid_text, without_dictionaries
from scorer.data.filesystem import DataFile, forget_listings
from scorer.data.find import find_files, find_several, same_format
from scorer.data.formats import PROBLEM, Batches, Wanted, format_of, known_suffixes
from scorer.data.parts import FilePart, Part, TablePart, at_once, inspected
from scorer.data.schemas import conform, joined, label_names, refuse_twins, restore_types
from scorer.data.spec import DatasetsSpec, FileRecord, FilesSpec, Spec, TableSpec
from scorer.errors import SourceError

Data: TypeAlias = str | Path | Sequence[str | Path] | pa.Table
Find: TypeAlias = Callable[[], list[DataFile]]
_TOGETHER = 1 << 30  # bytes of rows that are ordered by copying: an Arrow array of text is limited to 2 GiB


@dataclass(frozen=True)
class Source:
    """Rows to score, in a fixed order.

    ``spec`` is the record from which ``reopen_data`` opens the data again; ``fingerprint`` is a SHA-256 of the
    content, whatever its location (for a remote file that wasn't hashed, of its version in its store); ``label_names``
    has the class names of each ClassLabel column; ``notes`` tell the user how the data was opened; ``find`` lists the
    files again, None if the data isn't made of files.
    """

    name: str
    spec: Spec
    schema: pa.Schema
    num_rows: int
    fingerprint: str
    label_names: dict[str, tuple[str, ...]]
    parts: list[Part] = field(repr=False)
    notes: tuple[str, ...] = ()
    find: Find | None = field(default=None, repr=False)

    def read(
        self, columns: list[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``start`` up to ``stop`` in order; only parts with such rows are read.

        Text formats add the column ``formats.PROBLEM``.
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
            return decoded(self.schema).empty_table().select(columns or self.schema.names)
        table = pa.concat_tables(taken, promote_options="permissive")
        table = pa.table([valid_text(column) for column in table.columns], schema=table.schema)
        if PROBLEM in table.column_names:
            table = restore_types(table.drop_columns([PROBLEM]), self.schema)
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
    hashed: bool = False,
) -> Source:
    """Open the data to score.

    ``data`` is a file, folder or glob of Parquet, Arrow, CSV or JSON lines, on this machine or in a remote store
    (``s3://bucket/folder``), or several of them; a folder written by ``datasets.save_to_disk``; the name of a
    ``datasets`` data set, with ``config`` and ``split``; or a table, called ``name`` in messages.
    ``streaming`` reads a `datasets` data set (a name, or a folder in the library's layout) without downloading it
    first. ``hashed`` reads remote files to hash their content, instead of using the version from their store.

    Raises:
        SourceError: the data is empty or unreadable, its files differ in columns, or a split is missing.
        NotThereError: nothing lies at the path or address.
        UnreachableError: the store or the hub failed.
    """
    if isinstance(data, pa.Table):
        source = _from_table(data, name or "table", TableSpec())
    elif isinstance(data, str | Path):
        source = _from_one(Address.parse(str(data)), config, split, streaming, hashed)
    else:
        source = _from_several([Address.parse(str(path)) for path in data], config, split, streaming, hashed)
    if source.num_rows == 0:
        raise SourceError(
            f"{source.name} is empty: it has columns {_listed(source.schema)} and no rows", quotes_data=True
        )
    return source


def _shifted(wanted: Wanted, offset: int) -> Wanted:
    return lambda start, stop: wanted(offset + start, offset + stop)


def _from_one(address: Address, config: str | None, split: str | None, streaming: bool, hashed: bool) -> Source:
    shown = address.shown
    if streaming:
        is_folder = Path(address.given).is_dir()
        if not is_folder and (address.is_remote or find_files(address, config, split)):
            raise SourceError(
                f"`streaming=True` only goes with a `datasets` data set; leave it out: {shown} is a file, "
                "which is never read whole"
            )
        return _from_stream(address.given, config, split, address.absolute if is_folder else address.given)
    files = find_files(address, config, split)
    if files:
        find = partial(find_files, address, config, split)
        return _from_files([address], Path(shown).name or shown, same_format(files, shown), split, hashed, find)
    spec = DatasetsSpec(data=address.given, config=config, split=split)
    return _from_table(hub.load(address.given, config, split), address.given, spec)


def _from_several(
    addresses: list[Address], config: str | None, split: str | None, streaming: bool, hashed: bool
) -> Source:
    """Open several paths as one data set, in the order of ``addresses``."""
    if len(addresses) == 1:
        return _from_one(addresses[0], config, split, streaming, hashed)
    if not addresses or streaming or config is not None:
        raise SourceError(
            f"{len(addresses)} paths were given; give at least one, and use `streaming=True` or `config` only with a "
            "single data set's name"
        )
    find = partial(find_several, addresses, split)
    name = f"{Path(addresses[0].shown).name} and {len(addresses) - 1} more"
    return _from_files(addresses, name, same_format(find(), name), split, hashed, find)


def _from_files(
    addresses: list[Address], name: str, files: list[DataFile], split: str | None, hashed: bool, find: Find
) -> Source:
    parts: list[FilePart] = []
    schema: pa.Schema | None = None
    with at_once() as pool:
        # Every file is inspected before any is hashed, so that an unreadable file is reported at once.
        for file, (part, found) in zip(files, pool.map(partial(_described, data=name), files), strict=True):
            refuse_twins(found, str(file))
            if schema is not None and set(found.names) != set(schema.names):
                raise SourceError(
                    f"{file} has the columns {_listed(found)}; {files[0].name} has {_listed(schema)}", quotes_data=True
                )
            schema = found if schema is None else joined(schema, found, file, files[0])
            parts.append(part)
        identities = list(pool.map(partial(FilePart.identity, hashed=hashed), parts))
    if schema is None:
        raise SourceError(f"{name} holds no file of a known kind; the known kinds are: {known_suffixes()}")
    where = tuple(address.absolute for address in addresses)
    # A relative path is recorded as given: the user named its folders, but not those of the working directory.
    relative = tuple(address.given for address in addresses if address.is_relative)
    left_out = any(address.has_secret for address in addresses)
    digest = hashlib.sha256()
    for identity in identities:
        digest.update(str(identity.get("sha256", identity)).encode())
    records = tuple(
        FileRecord(part.file.absolute, part.rows, **identity) for part, identity in zip(parts, identities, strict=True)
    )
    return Source(
        name=name,
        spec=FilesSpec(
            data=where if len(where) > 1 else where[0],
            split=split,
            relative=relative or UNSET,
            left_out=left_out or UNSET,
            files=records,
        ),
        schema=schema,
        num_rows=sum(part.rows for part in parts),
        fingerprint=digest.hexdigest(),
        label_names=label_names(schema),
        parts=list(parts),
        find=find,
    )


def _described(file: DataFile, data: str) -> tuple[FilePart, pa.Schema]:
    """Return the part that reads a file, and the file's schema."""
    kind = format_of(file.name)
    if kind is None:
        raise SourceError(f"{file} is of no known kind; the known kinds are: {known_suffixes()}")
    version, schema, rows = inspected(file, kind, data)
    return FilePart(file, kind, rows, version), readable(schema)


def _from_stream(data: str, config: str | None, split: str | None, where: str) -> Source:
    found = hub.stream(data, config, split)
    refuse_twins(found.schema, data)
    return Source(
        name=Path(data).name if Path(data).is_dir() else data,
        spec=DatasetsSpec(data=where, config=config, split=split, streaming=True),
        schema=found.schema,
        num_rows=found.part.rows,
        fingerprint=found.fingerprint,
        label_names=label_names(found.schema),
        parts=[found.part],
        notes=found.notes,
    )


def _from_table(table: pa.Table, name: str, spec: Spec) -> Source:
    refuse_twins(table.schema, name)
    if (schema := readable(table.schema)) != table.schema:
        table = pa.Table.from_batches([conform(batch, schema, name) for batch in table.to_batches()], schema)
    digest = hashlib.sha256(str(table.schema.remove_metadata()).encode())
    hash_rows(digest, table)
    return Source(
        name, spec, table.schema, table.num_rows, digest.hexdigest(), label_names(table.schema), [TablePart(table)]
    )


def _listed(schema: pa.Schema) -> str:
    return ", ".join(schema.names)
