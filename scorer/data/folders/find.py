"""find_files(): list the files of a data argument: a file, folder, glob or ``datasets.save_to_disk`` folder."""

import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from scorer.address import Address, has_magic, is_web
from scorer.data.filesystem import DataFile, Place, local_place, matches, remote_place
from scorer.data.folders.archive import is_zip, named_in_zip, split_zip, unzipped, without_copies
from scorer.data.folders.folder import (
    folder_files,
    of_no_run,
    refuse_compressed_copies,
    refuse_split,
    without_descriptions,
)
from scorer.data.folders.hive import have_same_keys, partition_notes, with_partitions
from scorer.data.folders.lake import refuse_lake
from scorer.data.folders.names import is_hidden
from scorer.data.folders.splits import split_note
from scorer.data.folders.walk import Enter, below, sound
from scorer.data.formats.fasttext import FASTTEXT, starts_with_label
from scorer.data.formats.known import format_of, known_suffixes
from scorer.data.remote_errors import why
from scorer.errors import NotThereError, SourceError, UnreachableError
from scorer.text import is_utf8, nearest


@dataclass(frozen=True)
class Found:
    """The files of a data argument, in their order, and notes for the user on how they were found.

    ``base`` is the folder below which the names of folders may be partitions.
    """

    files: list[DataFile]
    notes: tuple[str, ...] = ()
    base: str = ""


def find_files(address: Address, config: str | None, split: str | None) -> Found:
    """Return the files of a path, an address, a folder or a glob; no files for a data set's name on the hub.

    The files are sorted by name, folder by folder, both on this machine and in a store. They may have several formats.
    Files in a local run directory are left out. A zip archive stands for the data file in it.

    Raises:
        SourceError: a folder has no readable file, or the split is missing.
        SourceError: a folder has several splits, or an archive several files, and none is chosen.
        SourceError: the files belong to a lake table, or have different partition keys.
        SourceError: ``config`` is given with a path or address, or a local path is not UTF-8.
        NotThereError: nothing lies at the path or address.
        UnreachableError: the store failed.
    """
    return _partitioned([_found(address, config, split)])


def find_several(addresses: list[Address], split: str | None) -> Found:
    """Return the files of several paths or addresses, in the order of ``addresses``.

    Raises:
        SourceError, NotThereError, UnreachableError: as for ``find_files``.
        SourceError: an address is no file, folder or glob, or two addresses lead to the same file.
    """
    each: list[Found] = []
    seen: set[str] = set()
    for address in addresses:
        found = _found(address, None, split)
        if not found.files:
            raise SourceError(
                f"{address.shown} does not exist; each of several paths must be a file, a folder or a glob"
            )
        # A remote file's key has its query, which may choose the file; on this machine many names may lead to one file.
        by_place = {
            f"{file}\0{file.path}" if file.is_remote else f"{Path(file.path).resolve()}{file.identity}": file
            for file in found.files
        }
        if twice := [place for place in by_place if place in seen]:
            file = by_place[twice[0]]
            raise SourceError(
                f"{file if file.is_remote else Path(file.path).resolve()} is given twice, so its rows would be scored "
                "twice; give the file once"
            )
        seen.update(by_place)
        each.append(found)
    return _partitioned(each)


def same_format(files: list[DataFile], data: str) -> list[DataFile]:
    """Return the files unchanged if all have one format; a single file is checked when it is opened.

    Raises:
        SourceError: the files have several formats, or one has an unknown format.
    """
    if len(files) == 1:
        return files
    kinds = {kind.name for file in files if (kind := format_of(file.name))}
    if len(kinds) != 1 or not all(format_of(file.name) for file in files):
        what = f"files of several kinds ({', '.join(sorted(kinds))})" if kinds else "no file of a known kind"
        raise SourceError(
            f"{data} holds {what}; choose one kind with a glob such as 'FOLDER/*.parquet'; the known kinds "
            f"are: {known_suffixes()}"
        )
    return files


def would_read(address: Address, file: Path) -> bool:
    """Return whether opening a local data argument would read a file, which need not exist yet."""
    if address.is_remote:
        return False
    place, file = local_place(address.path), file.resolve()
    path = Path(place.path)
    if path.is_file() or not (path.is_dir() or has_magic(place.path)):
        archive = split_zip(place.path)
        return file in (path.resolve(), Path(archive[0]).resolve() if archive else None)
    folder = _fixed(path) if not path.is_dir() else path
    if not file.is_relative_to(folder.resolve()):
        return False
    below = str(file.relative_to(folder.resolve()))
    if not path.is_dir():
        return Place(place.fs, str(path.relative_to(folder)), "").means(below)
    saved = any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))
    return not saved and not is_hidden(below) and would_be_data(file)


def would_be_data(file: Path) -> bool:
    """Return whether a file in a folder of data, which need not exist yet, would be read as data."""
    kind = format_of(file.name)
    if kind is FASTTEXT:  # a log or a note does not begin as a file of fastText
        return file.is_file() and starts_with_label(local_place(str(file)).file(str(file)))
    return kind is not None or is_zip(file.name)


def _partitioned(each: list[Found]) -> Found:
    """Return the files of all arguments, with the partitions that their folders give below what the arguments share."""
    files = [file for found in each for file in found.files]
    notes = [note for found in each for note in found.notes]
    if any(is_web(file.path) for file in files) or len({file.is_remote for file in files}) != 1:
        return Found(files, tuple(notes))
    # Absolute paths on this machine; in a store, paths begin with the bucket.
    bases = [found.base if files[0].is_remote else _absolute(found.base) for found in each]
    base = os.path.commonpath(bases) if len({found.split("/")[0] for found in bases}) == 1 else ""
    paths = [file.path if file.is_remote else _absolute(file.path) for file in files]
    below_base = [path.removeprefix(base).lstrip("/") for path in paths]
    if len(each) > 1:
        notes += split_note(below_base)
        if not have_same_keys(below_base):  # paths that have nothing to do with each other: each has its own base
            own = [bases[i] for i, found in enumerate(each) for _ in found.files]
            below_base = [path.removeprefix(at).lstrip("/") for path, at in zip(paths, own, strict=True)]
            base = bases[0]
    files = with_partitions(files, below_base)
    return Found(files, tuple(notes + partition_notes(files, base)), base)


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, whose names may be partitions


def _found(address: Address, config: str | None, split: str | None) -> Found:
    if not address.is_remote and not is_utf8(address.absolute):
        raise SourceError(f"{address.absolute!r} is not UTF-8; rename the file or its folders")
    if config is not None and (address.is_remote or address.is_glob or Path(address.path).exists()):
        raise SourceError(
            f"`config={config!r}` only goes with the name of a data set on the hub, but {address.shown} is a path; "
            "leave `config` out"
        )
    if not address.is_remote:
        return _local_files(local_place(address.path), split)
    place = remote_place(address)
    try:
        return _remote_files(place, address, split)
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # the errors of the stores' libraries have no common root
        kind = SourceError if isinstance(error, pa.ArrowInvalid) else UnreachableError  # pyarrow's for a bad path
        raise kind(f"{address.shown} can't be opened: {why(error, address.given)}") from error


def _local_files(place: Place, split: str | None) -> Found:
    data, path = place.path, Path(place.path)
    if path.is_dir():
        files, notes = folder_files(place, data, split)
        return Found(files, tuple(notes), data)
    if path.is_file():
        return _one(place, split)
    if has_magic(data):
        refuse_split(data, split)
        folder = _fixed(path)
        pattern = list(path.parts[len(folder.parts) :])
        there = below(folder, _reach(pattern)) if folder.is_dir() else []
        found = [file for file in there if matches(list(file.relative_to(folder).parts), pattern)]
        if not (kept := of_no_run(found, folder)):
            raise NotThereError(f"no file matches {data}")
        refuse_lake(place, str(folder), map(str, kept))
        return _matched(place, [str(file) for file in sound(kept)], str(folder))
    if (file := named_in_zip(place, data)) is not None:
        refuse_split(str(file), split)
        refuse_lake(place, file.folder, ())
        return Found([file], base=file.folder)
    if path.suffix or path.is_absolute() or data.startswith(("./", "../", "~")) or data.count("/") > 1:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotThereError(f"{data} does not exist{nearest(path.name, siblings)}")
    return Found([])


def _remote_files(place: Place, address: Address, split: str | None) -> Found:
    if has_magic(place.path):
        refuse_split(address.shown, split)
        folder, listed, found = place.matching()
        if not found:
            raise NotThereError(f"no file matches {address.shown}{_missing_bucket(place)}")
        refuse_lake(place, folder, listed)
        return _matched(place, found, folder)
    kind = place.kind(place.path)
    # The web has no folders: a page that is no data file is read as a list of links.
    name = place.file(place.path).name
    if kind == pafs.FileType.File and (format_of(name) or is_zip(name) or not address.is_web):
        return _one(place, split)
    if kind == pafs.FileType.NotFound:
        if (file := named_in_zip(place, place.path)) is not None:
            refuse_split(str(file), split)
            return Found([file], base=file.folder)
        raise NotThereError(f"{address.shown} does not exist{_missing_bucket(place) or _nearest(place)}")
    folder = place.path.rstrip("/")
    files, notes = folder_files(place, folder, split)
    return Found(files, tuple(notes), folder)


def _matched(place: Place, paths: list[str], folder: str) -> Found:
    """Return the files that match a glob, whose leading folders are ``folder``."""
    files, notes = without_descriptions([place.file(path) for path in paths])
    notes += split_note([file.path.removeprefix(folder).strip("/") for file in files])
    refuse_compressed_copies(files)
    files, more = without_copies(files)
    return Found(list(map(unzipped, files)), tuple(notes + more), folder)


def _missing_bucket(place: Place) -> str:
    """Return a clause for an error message that names a missing bucket; empty if the bucket exists."""
    bucket = place.path.partition("/")[0]
    if isinstance(place.fs, pafs.PyFileSystem) or place.kind(bucket) != pafs.FileType.NotFound:
        return ""
    return f": there is no bucket {bucket}, or you lack the permission to see it"


def _nearest(place: Place) -> str:
    if isinstance(place.fs, pafs.PyFileSystem):
        return ""
    folder, _, name = place.path.rpartition("/")
    names = [path.rpartition("/")[2] for path in place.below(folder, recursive=False)]
    return nearest(name, names)


def _one(place: Place, split: str | None) -> Found:
    file = place.file(place.path)
    if format_of(file.name) is None and not is_zip(file.name):
        raise SourceError(f"{file} is of no known kind; the known kinds are: {known_suffixes()}")
    refuse_split(str(file), split)
    refuse_lake(place, file.folder, ())
    return Found([unzipped(file)], base=file.folder)


def _fixed(pattern: Path) -> Path:
    """Return the leading folders of a glob, up to its first wildcard."""
    return Path(*takewhile(lambda part: not has_magic(part), pattern.parts))


def _reach(pattern: list[str]) -> Enter:
    """Return a test of whether a folder below a glob's leading folders can contain files that match the glob."""
    first = list(takewhile(lambda part: part != "**", pattern))
    deep = len(first) < len(pattern)

    def enter(parts: list[str]) -> bool:
        if len(parts) > len(first):
            return deep and not parts[-1].startswith(".")
        return (deep or len(parts) < len(pattern)) and matches(parts, first[: len(parts)])

    return enter
