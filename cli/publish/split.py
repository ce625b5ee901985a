"""Which split of a data set the data are, by their names: a test split is not corrected without being asked."""

import re
from pathlib import PurePosixPath
from typing import Any

from scorer import RunError

TRAIN, TEST = "train", "test"
_KNOWN = {"train": TRAIN, "training": TRAIN, "test": TEST, "validation": "validation", "valid": "validation",
          "val": "validation", "dev": "validation"}  # fmt: skip


def split_name(spec: dict[str, Any]) -> str:
    """Return the name of the split that a source is, as its ``spec`` has it: by the names of its files, else train."""
    chosen = re.sub(r"\[.*?\]", "", spec.get("split") or "")
    if re.fullmatch(r"\w+(\.\w+)*", chosen):
        return chosen
    found = [split for name in _names(spec) for split in _splits(name)]
    return found[0] if found and len(set(found)) == 1 else TRAIN


def refuse_test_split(*specs: dict[str, Any]) -> None:
    """Pass data that are not a test split, by any of their ``specs``.

    Raises:
        RunError: a split, a file or a folder is named ``test``; it says which and why that matters.
    """
    for spec in specs:
        for name in _names(spec):
            if TEST in _splits(name):
                raise RunError(
                    f"{name} is a test split: correcting it changes what every score on it means, and scores on the "
                    "corrected one can't be compared with those published; if that is what you want, give "
                    "--allow-test-split"
                )


def _names(spec: dict[str, Any]) -> list[str]:
    """Return what may name the split: its own name, else what the user wrote, the files' names and their folders'."""
    if spec.get("split"):
        return [str(spec["split"])]
    data = spec.get("data", [])
    given = [PurePosixPath(place) for place in ([data] if isinstance(data, str) else data)]
    patterns = [_literal(PurePosixPath(pattern)) for pattern in spec.get("patterns", [])]
    files = [PurePosixPath(file["file"]) for file in spec.get("files", [])]
    folders = [file.parent.name for file in files if not _splits(file.name) and _is_split(file.parent.name)]
    names = [*(place.name for place in given), *filter(None, patterns), *(file.name for file in files), *folders]
    return list(dict.fromkeys(names))


def _literal(pattern: PurePosixPath) -> str | None:
    """Return the part of a glob that says what split it means: the last one that names any."""
    return next((part for part in reversed(pattern.parts) if _splits(part)), None)


def _is_split(folder: str) -> bool:
    """Say whether a folder's name says what its files are: `test` or `reviews_test`.

    Folders may be called anything, such as test_7 or a program's tests, and whoever gave a file need not have named it.
    """
    return folder.lower() in _KNOWN or _words(folder)[-1:] == [TEST]


def _splits(name: str) -> list[str]:
    return [split for word in _words(name) if (split := _KNOWN.get(word))]


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
