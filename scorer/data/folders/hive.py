"""Hive partitions: columns in the names of folders, ``label=World/part-0.parquet``, as Spark and pandas write them."""

import contextlib
import re
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow as pa

from scorer.data.arrow import valid_text
from scorer.data.filesystem import DataFile
from scorer.data.formats.base import PROBLEM
from scorer.data.parts import FilePart
from scorer.errors import SourceError
from scorer.text import short

_NULL = "__HIVE_DEFAULT_PARTITION__"
_FOLDER = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_Constants = tuple[tuple[str, str | None], ...]


def have_same_keys(below: list[str]) -> bool:
    """Return whether the folders in all paths have the same partition keys in the same order."""
    keys = ([match[1] for folder in path.split("/")[:-1] if (match := _FOLDER.fullmatch(folder))] for path in below)
    return len(set(map(tuple, keys))) < 2


def with_partitions(files: list[DataFile], below: list[str]) -> list[DataFile]:
    """Return the files with the partitions that the folders in their paths ``below`` the data give.

    Raises:
        SourceError: not all files have the same partition keys in the same order, or a name is not UTF-8.
    """
    found = [_partitions(file, path) for file, path in zip(files, below, strict=True)]
    for file, partitions in zip(files, found, strict=True):
        keys, first = [name for name, _ in partitions], [name for name, _ in found[0]]
        if keys != first:
            raise SourceError(
                f"{_keys(file, keys)}, but {_keys(files[0], first)}; all files of one data set need the same, in the "
                "same order: name the files to read"
            )
    return (
        [replace(file, partitions=values) for file, values in zip(files, found, strict=True)] if any(found) else files
    )


def partition_notes(files: list[DataFile], above: str) -> list[str]:
    """Return what to tell the user about partitions: those that are columns, and those in the path ``above`` the data.

    Only folders below the data's path are read as columns, as pandas, polars, Spark and pyarrow do.
    """
    notes = []
    if files and (keys := [name for name, _ in files[0].partitions]):
        sample = "/".join(f"{name}={_NULL if value is None else value}" for name, value in files[0].partitions)
        notes.append(f"{' and '.join(map(short, keys))} from the names of folders, such as {short(sample)}")
    names = []
    for name in reversed(PurePosixPath(above).parts):
        if not _FOLDER.fullmatch(name):
            break
        names.append(name)
    if names:
        notes.append(
            f"{short('/'.join(reversed(names)))} is part of the given path, so it is no column; give the folder above "
            "to have it as one"
        )
    return notes


def constants_of(part: FilePart) -> _Constants:
    """Return the columns to add to a file: its partitions, except those that the file has as columns of its own.

    Raises:
        SourceError: the file's own column has another value than the name of its folder.
    """
    own = part.found.schema.names
    for name, value in part.file.partitions:
        if own.count(name) > 1:
            raise SourceError(f"{part.file} has two columns named {short(name)}, like its folder; rename one of them")
        if name in own:
            _refuse_difference(part, name, value)
    return tuple((name, value) for name, value in part.file.partitions if name not in own)


def _partitions(file: DataFile, below: str) -> _Constants:
    found: dict[str, str | None] = {}
    for folder in below.split("/")[:-1]:
        if match := _FOLDER.fullmatch(folder):
            try:
                name, value = (unquote(text, errors="strict") for text in match.groups())
            except UnicodeDecodeError as error:
                raise SourceError(f"{file} lies in {folder!r}, which isn't percent-encoded UTF-8; rename it") from error
            if name in found:
                raise SourceError(f"{file} lies in two folders that give {name!r} a value; rename one of them")
            found[name] = None if value == _NULL else value
    return tuple(found.items())


def _keys(file: DataFile, keys: list[str]) -> str:
    if not keys:
        return f"{file} lies in no folder such as KEY=VALUE"
    return f"{file} lies in folders of {short(', '.join(keys))}"


def _refuse_difference(part: FilePart, name: str, value: str | None) -> None:
    for _, batch in part.batches([name], lambda start, stop: True):
        column = valid_text(batch.column(name))
        if PROBLEM in batch.schema.names:
            column = column.filter(batch.column(PROBLEM).is_null())
        try:
            values = column.cast(pa.string()).unique().to_pylist()
        except pa.ArrowException:
            values = column.to_pylist()[:1]
        for other in values:
            if not _agree(other, value):
                raise SourceError(
                    f"{part.file} has the value {short(str(other))!r} in its column {name!r}, but lies in the folder "
                    f"{name}={short(str(value))}; only one can be right: rename the column or the folders",
                    quotes_data=True,
                )


def _agree(own: str | None, given: str | None) -> bool:
    """Return whether a file's value is what its folder says; both may spell a number in different ways."""
    if (own or None) == (given or None):
        return True
    with contextlib.suppress(InvalidOperation, TypeError):
        return Decimal(own or "") == Decimal(given or "")
    return False
