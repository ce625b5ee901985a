"""The splits of a folder by the hub's rules: its README's ``configs``, else the names of folders and files.

The rules are those of ``datasets`` (``data_files.py``), except that they ignore case.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

from scorer.data.filesystem import matches
from scorer.errors import SourceError
from scorer.text import nearest, short

_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SEPARATOR = r"[-._ 0-9]"
_IN_FILE = {
    split: re.compile(rf"(.*{_SEPARATOR})?({'|'.join(words)}){_SEPARATOR}.*", re.IGNORECASE | re.DOTALL)
    for split, words in _KEYWORDS.items()
}
_IN_FOLDER = {
    split: re.compile(rf"(.*{_SEPARATOR})?({'|'.join(words)})({_SEPARATOR}.*)?", re.IGNORECASE | re.DOTALL)
    for split, words in _KEYWORDS.items()
}
_SHARD = r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*\.[^/]*"
_SHARDS = (re.compile("data/" + _SHARD), re.compile(_SHARD))  # the hub knows only the first
_HEAD = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?\n)---[ \t]*(\r?\n|$)", re.DOTALL)
Splits = dict[str, list[str]]
ReadText = Callable[[], str | None]


def chosen(paths: list[str], split: str | None, folder: str, readme: ReadText) -> list[str]:
    """Return the paths of the files of a split, or all if ``split`` is None and they are of one split or of none.

    ``paths`` are relative to the folder; ``readme`` returns its README.md, None if there is none.

    Raises:
        SourceError: ``split`` is None and the files belong to several splits, or some to one and others to none.
        SourceError: the folder has no such split.
        SourceError: the README has several configurations, none of which is the default.
    """
    found = splits_of(paths, folder, readme)
    if split is not None:
        if split not in found:
            raise SourceError(_no_such_split(split, found, folder))
        return found[split]
    groups = {tuple(files) for files in found.values()}
    if not found or (len(groups) == 1 and set(paths) <= set(*groups)):
        return paths
    if len(found) > 1:
        raise SourceError(
            f"{folder} has files of the splits {listed(found)}; choose one with `split`, or name the files to read"
        )
    ((name, files),) = found.items()
    other = next(path for path in paths if path not in set(files))
    raise SourceError(
        f"{folder} has files of the split {short(name)} ({short(files[0])}) and others ({short(other)}); choose "
        f"`split={short(name)!r}`, or name the files to read, for example with a glob"
    )


def splits_of(paths: list[str], folder: str, readme: ReadText) -> Splits:
    """Return the paths of each split, in the order of ``paths``; empty if no split is named.

    Raises:
        SourceError: the README has several configurations, none of which is the default.
    """
    configured: Splits = {}
    for name, patterns in _configured(readme(), folder).items():
        if files := [path for path in paths if any(_means(pattern, path) for pattern in patterns)]:
            configured[name] = files
    if configured:
        return configured
    for shard in _SHARDS:
        named = {path: [match[1]] for path in paths if (match := shard.fullmatch(path))}
        if named:
            return _by(named, named.__getitem__)
    # A Hive partition such as label=test is a value, not a split.
    folders = {path: [part for part in PurePosixPath(path).parts[:-1] if "=" not in part] for path in paths}
    in_folders = _by(
        paths, lambda path: [name for name, word in _IN_FOLDER.items() if any(map(word.fullmatch, folders[path]))]
    )
    return in_folders or _by(
        paths, lambda path: [name for name, word in _IN_FILE.items() if word.fullmatch(PurePosixPath(path).name)]
    )


def split_note(paths: list[str]) -> list[str]:
    """Return a note on files of several splits, which the user named by a glob and which become one data set."""
    found = splits_of(paths, "", lambda: None)
    if len({tuple(files) for files in found.values()}) < 2:
        return []
    return [f"the files have names of the splits {listed(found)}, and are scored together"]


def _by(paths: Iterable[str], names: Callable[[str], list[str]]) -> Splits:
    found: Splits = {}
    for path in paths:
        for name in names(path):
            found.setdefault(name, []).append(path)
    first = [name for name in _KEYWORDS if name in found]
    return {name: found[name] for name in first + sorted(set(found) - set(first))}


def _configured(readme: str | None, folder: str) -> Splits:
    """Return the patterns of the files of each split, by a README's ``configs``; empty if it has none."""
    head = _HEAD.match(readme or "")
    if head is None or "configs" not in head[1]:
        return {}
    import yaml

    try:
        configs = yaml.safe_load(head[1])["configs"]
        found = {str(config["config_name"]): config for config in configs if config.get("data_files")}
        default = [name for name, config in found.items() if config.get("default")]
        if len(found) > 1 and not default and "default" not in found:
            raise SourceError(
                f"{folder} has the configurations {listed(found)} in its README.md; name the files of one, "
                "for example with a glob, instead of the folder"
            )
        name = default[0] if default else "default" if "default" in found else next(iter(found), None)
        return _patterns(found[name]) if name is not None else {}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return {}  # as if it had no configs: the names of the files decide, and several splits stop the run


def _patterns(config: dict[str, Any]) -> Splits:
    below = str(config.get("data_dir") or "").strip("./")
    files = config["data_files"]
    if isinstance(files, str):
        files = [files]
    if isinstance(files, dict):
        files = [{"split": split, "path": path} for split, path in files.items()]
    found: Splits = {}
    for entry in files:
        split, path = (str(entry["split"]), entry["path"]) if isinstance(entry, dict) else ("train", entry)
        each = [path] if isinstance(path, str) else path
        found.setdefault(split, []).extend(f"{below}/{one}" if below else str(one) for one in each)
    return found


def _means(pattern: str, path: str) -> bool:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    return matches(path.split("/"), parts) or matches(path.split("/"), [*parts, "**"])


def _no_such_split(split: str, found: Splits, folder: str) -> str:
    if not found:
        return (
            f"`split={short(split)!r}` is given, but no file in {folder} has the name of a split (train.csv, "
            f"data/test-00000-of-00001.parquet, validation/...); leave `split` out and name the split's files, for "
            f"example with a glob"
        )
    near = nearest(split, list(found))
    return f"`split={short(split)!r}` is given, but {folder} has only files of {listed(found)}{near}"


def listed(names: Iterable[str]) -> str:
    """Return the first few names, each cut to a length that fits in a message, and the number of the others."""
    names = list(names)
    return ", ".join(map(short, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
