"""find_files(): list the files of a data argument: a file, folder, glob or ``datasets.save_to_disk`` folder."""

import json
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from scorer.address import Address, has_magic, is_web
from scorer.data.filesystem import DataFile, Place, local_place, matches, remote_place
from scorer.data.formats.known import format_of, is_packed, known_suffixes
from scorer.data.remote_errors import why
from scorer.data.walk import Enter, below, sound
from scorer.errors import NotThereError, SourceError, UnreachableError
from scorer.layout import is_run
from scorer.text import is_utf8, nearest

_File = TypeVar("_File", DataFile, Path)


def find_files(address: Address, config: str | None, split: str | None) -> list[DataFile]:
    """Return the files of a path, an address, a folder or a glob; an empty list for a data set's name on the hub.

    The files are sorted by name, folder by folder, both on this machine and in a store. They may have several formats.
    Files in a local run directory are left out.

    Raises:
        SourceError: a folder has no readable file, or the split is missing.
        SourceError: ``config`` is given with a path or address, or a local path is not UTF-8.
        NotThereError: nothing lies at the path or address.
        UnreachableError: the store failed.
    """
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


def find_several(addresses: list[Address], split: str | None) -> list[DataFile]:
    """Return the files of several paths or addresses, in the order of ``addresses``.

    Raises:
        SourceError, NotThereError, UnreachableError: as for ``find_files``.
        SourceError: an address is no file, folder or glob, or two addresses lead to the same file.
    """
    files: list[DataFile] = []
    seen: set[str] = set()
    for address in addresses:
        found = find_files(address, None, split)
        if not found:
            raise SourceError(
                f"{address.shown} does not exist; each of several paths must be a file, a folder or a glob"
            )
        # A remote file's key has its query, which may choose the file; on this machine many names may lead to one file.
        by_place = {
            f"{file}\0{file.path}" if file.is_remote else str(Path(file.path).resolve()): file for file in found
        }
        if twice := [place for place in by_place if place in seen]:
            file = by_place[twice[0]]
            raise SourceError(
                f"{file if file.is_remote else twice[0]} is given twice, so its rows would be scored twice; give "
                "the file once"
            )
        seen.update(by_place)
        files += found
    return files


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
        return path.resolve() == file
    folder = _fixed(path) if not path.is_dir() else path
    if not file.is_relative_to(folder.resolve()):
        return False
    below = str(file.relative_to(folder.resolve()))
    if not path.is_dir():
        return Place(place.fs, str(path.relative_to(folder)), "").means(below)
    saved = any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))
    return not (saved or _is_hidden(below) or format_of(file.name) is None)


def _local_files(place: Place, split: str | None) -> list[DataFile]:
    data, path = place.path, Path(place.path)
    if path.is_dir():
        return _folder(place, data, split)
    if path.is_file():
        return _one(place, split)
    if has_magic(data):
        _refuse_split(data, split)
        folder = _fixed(path)
        pattern = list(path.parts[len(folder.parts) :])
        there = below(folder, _reach(pattern)) if folder.is_dir() else []
        found = [file for file in there if matches(list(file.relative_to(folder).parts), pattern)]
        if not (kept := _of_no_run(found, folder)):
            raise NotThereError(f"no file matches {data}")
        return [place.file(str(file)) for file in sound(kept)]
    if path.suffix or path.is_absolute() or data.startswith(("./", "../", "~")) or data.count("/") > 1:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotThereError(f"{data} does not exist{nearest(path.name, siblings)}")
    return []


def _remote_files(place: Place, address: Address, split: str | None) -> list[DataFile]:
    if has_magic(place.path):
        _refuse_split(address.shown, split)
        found = place.matching()
        if not found:
            raise NotThereError(f"no file matches {address.shown}{_missing_bucket(place)}")
        return [place.file(path) for path in found]
    kind = place.kind(place.path)
    # The web has no folders: a page that is no data file is read as a list of links.
    if kind == pafs.FileType.File and (format_of(place.file(place.path).name) or not address.is_web):
        return _one(place, split)
    if kind == pafs.FileType.NotFound:
        raise NotThereError(f"{address.shown} does not exist{_missing_bucket(place) or _nearest(place)}")
    return _folder(place, place.path.rstrip("/"), split)


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


def _one(place: Place, split: str | None) -> list[DataFile]:
    file = place.file(place.path)
    if format_of(file.name) is None:
        raise SourceError(f"{file} is of no known kind; the known kinds are: {known_suffixes()}")
    _refuse_split(str(file), split)
    return [file]


def _folder(place: Place, folder: str, split: str | None) -> list[DataFile]:
    address = str(place.file(folder))
    try:
        if (saved := _json(place, f"{folder}/dataset_dict.json")) is not None:
            splits = saved["splits"]
            if split not in splits:
                raise SourceError(
                    f"{address} has the splits {', '.join(splits)}; pick one with `split` (got {split!r})"
                )
            folder = f"{folder}/{split}"
            address = str(place.file(folder))
        if (state := _json(place, f"{folder}/state.json")) is not None:
            if not state["_data_files"]:
                raise SourceError(f"{address} is empty: its state.json lists no file")
            if split not in (None, state.get("_split"), Path(folder).name):
                _refuse_split(address, split)
            names = [file["filename"] for file in state["_data_files"]]
            if any(Path(name).name != name for name in names):
                raise ValueError(f"state.json lists files outside the folder: {names}")
            return [place.file(f"{folder}/{name}") for name in names]
    except (OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, OSError) and place.is_remote:
            raise  # the store failed
        raise SourceError(
            f"{address} is a damaged save_to_disk folder ({repr(error)[:200]}); save the data set again"
        ) from error
    _refuse_split(address, split)
    if place.is_remote:
        there = [path for path in place.below(folder) if not _is_hidden(path.removeprefix(folder))]
        files = _data([place.file(path) for path in there])
    else:
        here = below(Path(folder), lambda parts: not _is_hidden(parts[-1]))
        named = _of_no_run([file for file in here if not _is_hidden(file.name)], Path(folder))
        files = [place.file(str(file)) for file in sound(_data(named))]
    if not files:
        raise SourceError(f"{address} holds no file of a known kind; the known kinds are: {known_suffixes()}")
    return files


def _data(files: list[_File]) -> list[_File]:
    """Return the files of a folder that have a known format.

    Raises:
        SourceError: a file has a compression that can't be read, and no decompressed copy lies beside the file, so its
            rows would be missing.
    """
    names = {str(file) for file in files}
    for file in files:
        if is_packed(file.name) and str(file).rpartition(".")[0] not in names:
            raise SourceError(
                f"{file} has a compression that can't be read; decompress it, move it out of the folder, or "
                f"name the files to read; the known kinds are: {known_suffixes()}"
            )
    return [file for file in files if format_of(file.name)]


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


def _of_no_run(files: Iterable[Path], folder: Path) -> list[Path]:
    """Return the files outside run directories below ``folder``, so that a run beside the data is not read as data."""
    files = list(files)
    above = {
        parent: [place for place in (parent, *parent.parents) if place != folder and place.is_relative_to(folder)]
        for parent in {file.parent for file in files}
    }
    runs = {place for folders in above.values() for place in folders if is_run(place)}
    return [file for file in files if runs.isdisjoint(above[file.parent])]


def _json(place: Place, path: str) -> dict[str, Any] | None:
    """Return the content of a JSON file, or None if there is no such file."""
    if is_web(path) or place.kind(path) != pafs.FileType.File:
        return None  # many web servers have a page for every address, so no such file is looked for
    with place.fs.open_input_stream(path) as stream:
        found: dict[str, Any] = json.loads(stream.read())
        return found


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


def _refuse_split(data: str, split: str | None) -> None:
    if split is not None:
        raise SourceError(
            f"`split={split!r}` only goes with a data set's name or a saved DatasetDict, and {data} is neither; leave "
            f"`split` out and name the split's files, for example with the glob 'FOLDER/{split}-*.parquet'"
        )
