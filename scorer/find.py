"""Which files a data argument means: a file, a glob, a folder, or one that ``datasets.save_to_disk`` wrote."""

import glob
import json
from pathlib import Path

from scorer.errors import SourceError, nearest
from scorer.formats import format_of, known_suffixes


def find_files(data: str, config: str | None, split: str | None) -> list[Path]:
    """Return the files that a path, folder or glob means, in a fixed order; none when it can only be a hub's name.

    Raises:
        SourceError: nothing is there, the files are of several kinds or none that can be read, or there is no such
            split.
    """
    path = Path(data)
    if config is not None and (path.exists() or glob.has_magic(data)):
        raise SourceError(f"--config {config} goes with the name of a data set on the hub, and {data} is here")
    if path.is_dir():
        return _folder(path, split)
    if path.is_file():
        if format_of(path) is None:
            raise SourceError(f"{path} is of no known kind; these are: {known_suffixes()}")
        _refuse_split(data, split)
        return [path]
    if glob.has_magic(data):
        _refuse_split(data, split)
        names = glob.glob(data, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
        found = sorted(file for file in map(Path, names) if file.is_file())
        if not found:
            raise SourceError(f"no file matches {data}")
        return _same_format(found, data)
    if path.suffix or path.is_absolute() or data.startswith(("./", "../", "~")) or data.count("/") > 1:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise SourceError(f"{data} does not exist{nearest(path.name, siblings)}")
    return []


def _folder(path: Path, split: str | None) -> list[Path]:
    try:
        if (path / "dataset_dict.json").is_file():
            splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
            if split not in splits:
                raise SourceError(f"{path} has the splits {', '.join(splits)}; pick one with --split (got {split!r})")
            path = path / str(split)
        if (path / "state.json").is_file():
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            if not state["_data_files"]:
                raise SourceError(f"{path} is empty: its state.json lists no file")
            if split not in (None, state.get("_split"), path.name):
                _refuse_split(str(path), split)
            names = [file["filename"] for file in state["_data_files"]]
            if any(Path(name).name != name for name in names):
                raise ValueError(f"state.json lists files outside the folder: {names}")
            return [path / name for name in names]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(f"{path} is a damaged save_to_disk folder ({error!r}); save the data set again") from error
    _refuse_split(str(path), split)
    found = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    )
    return _same_format([file for file in found if format_of(file)], str(path))


def _refuse_split(data: str, split: str | None) -> None:
    if split is not None:
        raise SourceError(
            f"--split {split} picks from a data set's name or a saved DatasetDict, and {data} is neither; name the "
            f"split's files, for example with a glob such as 'FOLDER/{split}-*.parquet'"
        )


def _same_format(files: list[Path], data: str) -> list[Path]:
    kinds = {kind.name for file in files if (kind := format_of(file))}
    if len(kinds) != 1 or not all(format_of(file) for file in files):
        what = f"files of several kinds ({', '.join(sorted(kinds))})" if kinds else "no file of a known kind"
        raise SourceError(
            f"{data} holds {what}; name one kind with a glob such as 'FOLDER/*.parquet'; known: {known_suffixes()}"
        )
    return files
