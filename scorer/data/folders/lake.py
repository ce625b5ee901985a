"""Refuse lake tables: a folder of files with a log that says which of the files' rows are the table's.

Delta, Iceberg and Hudi never delete a file at once: those of older versions lie beside the current ones, and deleted
rows are listed elsewhere. So the files by themselves have wrong rows. The tables' own libraries give the current rows,
but in no fixed order, so they must be written to a file first.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow.fs as pafs

from scorer.address import is_web
from scorer.data.filesystem import Place
from scorer.errors import SourceError

_DELTA, _HUDI, _ICEBERG = "_delta_log", ".hoodie", "metadata"
# v3.metadata.json, 00003-0a1b.metadata.json; the first number is the version.
_METADATA = re.compile(r"v?(\d+)[-.](.*\.)?metadata\.json(\.gz)?")
_LEVELS = 4  # folders above a remote file or folder in which a log is looked for, a request or two each
_LONGEST = 400  # characters of a message


def refuse_lake(place: Place, folder: str, listed: Iterable[str]) -> None:
    """Raise SourceError if files belong to a Delta, Iceberg or Hudi table.

    ``folder`` has all files of ``listed`` in it or in its subfolders. The table may begin at a subfolder, at
    ``folder``, or above it. In a remote store, ``listed`` is searched, and the nearest folders above are requested.

    Raises:
        SourceError: a file is part of such a table; the message has the Python that writes its current rows.
    """
    if place.is_remote:
        found = None if is_web(folder) else _remote_table(place, folder, listed)
    else:
        found = _local_table({Path(folder), *(Path(path).parent for path in listed)})
    if found is not None:
        table, kind, newest = found
        raise _refused(str(place.file(table)), kind, newest and str(place.file(newest)))


_Table = tuple[str, str, str | None]  # the table's folder, what marks it, and the newest metadata of an Iceberg table


def _local_table(folders: set[Path]) -> _Table | None:
    """Return the first table that holds one of the folders."""
    above: dict[Path, None] = {}
    for folder in sorted(folders):
        for start in dict.fromkeys((folder.absolute(), folder.resolve())):
            above.update(dict.fromkeys((start, *start.parents)))
    for folder in above:
        with contextlib.suppress(OSError):  # what lies above may be closed to the user
            for mark in (_DELTA, _HUDI):
                if (folder / mark).is_dir():
                    return str(folder), mark, None
            metadata = folder / _ICEBERG
            if metadata.is_dir() and (newest := _newest(file.name for file in metadata.iterdir())):
                return str(folder), _ICEBERG, str(metadata / newest)
    return None


def _remote_table(place: Place, folder: str, listed: Iterable[str]) -> _Table | None:
    metadata: dict[str, list[str]] = {}
    for path in listed:
        parts = path.split("/")
        for mark in (_DELTA, _HUDI):
            if mark in parts[:-1]:
                return "/".join(parts[: parts.index(mark)]), mark, None
        if parts[-2:-1] == [_ICEBERG] and _METADATA.fullmatch(parts[-1]):
            metadata.setdefault("/".join(parts[:-2]), []).append(parts[-1])
    for table, names in metadata.items():
        return table, _ICEBERG, f"{table}/{_ICEBERG}/{_newest(names)}"
    levels = 0 if place.prefix == "hf://" else _LEVELS  # the hub has no such tables, and is slow to ask
    for above in islice(_upwards(folder), levels):
        try:
            marks, names = _marks(place, above)
        except Exception:  # noqa: S112 - no permission to list what lies above is no reason to stop
            continue
        for mark in (_DELTA, _HUDI):
            if mark in marks:
                return above, mark, None
        if newest := _newest(names):
            return above, _ICEBERG, f"{above}/{_ICEBERG}/{newest}"
    return None


def _marks(place: Place, folder: str) -> tuple[list[str], list[str]]:
    """Return which of the marks lie in a remote folder, and the names in its folder ``metadata``."""
    marks = [_DELTA, _HUDI, _ICEBERG]
    if isinstance(place.fs, pafs.PyFileSystem):
        names = {str(path).rstrip("/").rpartition("/")[2] for path in place.fs.handler.fs.ls(folder, detail=False)}
        marks = [mark for mark in marks if mark in names]
    else:  # a folder may have a million files, so it is not listed
        found = place.fs.get_file_info([f"{folder}/{mark}" for mark in marks])
        marks = [mark for mark, info in zip(marks, found, strict=True) if info.type == pafs.FileType.Directory]
    if _ICEBERG not in marks:
        return marks, []
    return marks, [path.rpartition("/")[2] for path in place.below(f"{folder}/{_ICEBERG}", recursive=False)]


def _upwards(folder: str) -> Iterator[str]:
    """Yield a folder and the folders above it."""
    folder = folder.rstrip("/")
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _newest(names: Iterable[str]) -> str | None:
    """Return the name with the highest version among the metadata files of an Iceberg table; None if there is none."""
    found = [(int(match[1]), name) for name in names if (match := _METADATA.fullmatch(name))]
    return max(found)[1] if found else None


def _refused(table: str, kind: str, newest: str | None) -> SourceError:
    """Return the error for a table; its line of Python names the table again unless that makes it too long."""
    file = (newest or "").removeprefix(table)
    lines = []
    for shown, metadata in ((table, file), ("FOLDER", file), ("FOLDER", f"/{_ICEBERG}/NEWEST.metadata.json")):
        if kind == _HUDI:
            name, module = "a Hudi", "Spark"
            lines.append(f"spark.read.format('hudi').load({shown!r}).write.parquet('rows')")
            continue
        name, module, rows = "a Delta", "deltalake", f"deltalake.DeltaTable({shown!r}).to_pyarrow_table()"
        if kind == _ICEBERG:
            name, module = "an Iceberg", "pyiceberg.table"
            rows = f"pyiceberg.table.StaticTable.from_metadata({shown + metadata!r}).scan().to_arrow()"
        lines.append(f"import {module}, pyarrow.parquet as pq; pq.write_table({rows}, 'rows.parquet')")
    start = f"{table} is {name} table, whose files also hold deleted rows; score the file that "
    messages = [f"{start}this Python writes: {line}" for line in lines]
    short = [message for message in messages if len(message) <= _LONGEST]
    return SourceError(short[0] if short else f"{start}you write with {module}")
