"""folder_files(): the data files of a folder, on this machine or in a store, or of one of its splits."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from scorer.address import is_web
from scorer.data.filesystem import COMPRESSION, DataFile, Place
from scorer.data.folders.archive import is_zip, unzipped, without_copies
from scorer.data.folders.lake import refuse_lake
from scorer.data.folders.names import DESCRIPTIONS, is_hidden
from scorer.data.folders.splits import chosen, listed, split_note
from scorer.data.folders.walk import below, sound
from scorer.data.formats.fasttext import FASTTEXT, starts_with_label
from scorer.data.formats.known import format_of, is_packed, known_suffixes
from scorer.data.remote_errors import StoreError
from scorer.errors import SourceError
from scorer.layout import is_run

_README_SIZE = 1 << 20  # bytes of a README that are read for its head


def folder_files(place: Place, folder: str, split: str | None) -> tuple[list[DataFile], list[str]]:
    """Return the data files of a folder, or of one of its splits, in the order of their paths, and notes for the user.

    Raises:
        SourceError: the folder has no data file, has no such split, or several splits of which none is chosen.
        SourceError: the folder is a lake table, or a file's rows would be missing or be read twice.
    """
    if (saved := _saved_files(place, folder, split)) is not None:
        return saved, []
    address = str(place.file(folder))
    if place.is_remote:
        listed = place.below(folder)
        refuse_lake(place, folder, listed)
        paths = [path for path in listed if not is_hidden(path.removeprefix(folder))]
    else:
        here = below(Path(folder), lambda parts: not is_hidden(parts[-1]))
        paths = [str(file) for file in of_no_run([file for file in here if not is_hidden(file.name)], Path(folder))]
        refuse_lake(place, folder, paths)
    files, notes = _data(list(map(place.file, paths)))
    files, more = without_copies(files)
    if files and is_web(folder):  # the links of a page, which may lead anywhere
        refuse_split(address, split)
        notes += split_note([file.name for file in files])
    elif files:
        by_path = {_relative(place, folder, file): file for file in files}
        files = [by_path[path] for path in chosen(list(by_path), split, address, lambda: _readme(place, folder))]
    if not place.is_remote:
        sound(Path(file.path) for file in files)
    _refuse_packed(files)
    refuse_compressed_copies(files)
    files = list(map(unzipped, files))
    if not files:
        refuse_split(address, split)
        raise SourceError(f"{address} holds no file of a known kind; the known kinds are: {known_suffixes()}")
    return files, notes + more


def without_descriptions(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    """Return the files without those that only describe a data set, unless there are no others, and a note of them."""
    left_out = [file.name for file in files if file.name in DESCRIPTIONS]
    if not left_out or len(left_out) == len(files):
        return files, []
    names = ", ".join(dict.fromkeys(left_out))
    return [file for file in files if file.name not in DESCRIPTIONS], [f"{names} left out, because it is no data"]


def refuse_compressed_copies(files: list[DataFile]) -> None:
    """Raise SourceError if a compressed file lies beside a file of its name, since its rows may be the same.

    Raises:
        SourceError: there are such files.
    """
    paths = {file.path for file in files}
    for file in files:
        stem, _, ending = file.path.rpartition(".")
        if f".{ending.lower()}" in COMPRESSION and stem in paths:
            raise SourceError(
                f"{file} lies beside a file of the same name that is not compressed, so rows may be read twice; move "
                "one of the two away, or name the files to read"
            )


def of_no_run(files: Iterable[Path], folder: Path) -> list[Path]:
    """Return the files outside run directories below ``folder``, so that a run beside the data is not read as data."""
    files = list(files)
    above = {
        parent: [place for place in (parent, *parent.parents) if place != folder and place.is_relative_to(folder)]
        for parent in {file.parent for file in files}
    }
    runs = {place for folders in above.values() for place in folders if is_run(place)}
    return [file for file in files if runs.isdisjoint(above[file.parent])]


def refuse_split(data: str, split: str | None) -> None:
    """Raise SourceError if a split is given for data that has no splits.

    Raises:
        SourceError: a split is given.
    """
    if split is not None:
        raise SourceError(
            f"`split={split!r}` only goes with a data set's name, a saved DatasetDict or a folder of files named by "
            f"split, and {data} is none; leave `split` out and name the split's files, for example with the glob "
            f"'FOLDER/{split}-*.parquet'"
        )


def _saved_files(place: Place, folder: str, split: str | None) -> list[DataFile] | None:
    """Return the files of a folder that ``save_to_disk`` wrote, in its order; None for other folders."""
    address = str(place.file(folder))
    try:
        if (saved := _json(place, f"{folder}/dataset_dict.json")) is not None:
            splits = saved["splits"]
            if split not in splits:
                raise SourceError(f"{address} has the splits {listed(splits)}; pick one with `split` (got {split!r})")
            folder = f"{folder}/{split}"
            address = str(place.file(folder))
        if (state := _json(place, f"{folder}/state.json")) is None:
            return None
        if not state["_data_files"]:
            raise SourceError(f"{address} is empty: its state.json lists no file")
        if split not in (None, state.get("_split"), Path(folder).name):
            refuse_split(address, split)
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


def _data(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    """Return the files that are data by their names, packed ones included, and a note of those that are left out.

    A .txt file is data if it begins as fastText's do; others are notes and licences.
    """
    names = {str(file) for file in files}
    found, notes = without_descriptions([file for file in files if _is_data(file, names)])
    return found, notes


def _is_data(file: DataFile, names: set[str]) -> bool:
    if is_packed(file.name) or is_zip(file.name):
        return str(file).rpartition(".")[0] not in names  # an unpacked copy lies beside it
    kind = format_of(file.name)
    return kind is not None and (kind is not FASTTEXT or _is_fasttext(file))


def _is_fasttext(file: DataFile) -> bool:
    try:
        return starts_with_label(file)
    except StoreError:
        raise
    except (OSError, UnicodeError):
        return False


def _refuse_packed(files: list[DataFile]) -> None:
    """Raise SourceError if a file has a compression that can't be read, so its rows would be missing."""
    for file in files:
        if is_packed(file.name):
            raise SourceError(
                f"{file} has a compression that can't be read; decompress it, move it out of the folder, or "
                f"name the files to read; the known kinds are: {known_suffixes()}"
            )


def _relative(place: Place, folder: str, file: DataFile) -> str:
    if place.is_remote:
        return file.path.removeprefix(folder).strip("/")
    return Path(file.path).relative_to(folder).as_posix()


def _readme(place: Place, folder: str) -> str | None:
    path = f"{folder}/README.md"
    if place.kind(path) != pafs.FileType.File:
        return None
    with place.fs.open_input_stream(path) as stream:
        return bytes(stream.read(_README_SIZE)).decode(errors="replace")


def _json(place: Place, path: str) -> dict[str, Any] | None:
    """Return the content of a JSON file, or None if there is no such file."""
    if is_web(path) or place.kind(path) != pafs.FileType.File:
        return None  # many web servers have a page for every address, so no such file is looked for
    with place.fs.open_input_stream(path) as stream:
        found: dict[str, Any] = json.loads(stream.read())
        return found
