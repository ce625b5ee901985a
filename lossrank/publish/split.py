"""Tell from the names of a split, files and folders which split the data is; refuse to correct a test split."""

import re
from pathlib import PurePosixPath

from scorer import RunError
from scorer.data.spec import FilesSpec, Spec

TRAIN, TEST = "train", "test"
_ALL = "all"  # the name that `datasets` gives to all splits joined
_KNOWN = {"train": TRAIN, "training": TRAIN, "validation": "validation", "valid": "validation", "val": "validation",
          "dev": "validation"}  # fmt: skip
_TEST_WORD = re.compile(r"test(s|ing|sets?|data)?\d*")
_TEST_FOLDER = re.compile(r"(.* )?test(ing| ?set)?")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def split_name(spec: Spec) -> str:
    """Return a source's split: the split that ``spec`` names, else the split that all file names tell, else train."""
    chosen = re.sub(r"\[.*?\]", "", spec.split or "")
    if re.fullmatch(r"\w+(\.\w+)*", chosen) and chosen != _ALL:
        return chosen
    found = [split for name in _names(spec) for split in _splits(name)]
    return found[0] if found and len(set(found)) == 1 else TRAIN


def refuse_test_split(*specs: Spec) -> None:
    """Raise RunError if any of the ``specs`` names a test split.

    Raises:
        RunError: a split, a file or a folder is named ``test``; the message has the name.
        RunError: the data is all splits joined.
    """
    for spec in specs:
        joined = not isinstance(spec, FilesSpec) and _ALL in _words(spec.split or "")
        for name in _names(spec):
            if joined or TEST in _splits(name):
                raise RunError(
                    f"{name} {'may hold' if joined else 'is'} a test split: scores on a corrected test split can't be "
                    "compared with published ones; to correct it anyway, give `allow_test_split=True`"
                )


def _names(spec: Spec) -> list[str]:
    """Return the names that may tell the split.

    These are the split's name if ``spec`` has one, else the files' names. If a file's name tells no split, the names of
    the given locations and of folders are added.
    """
    if spec.split:
        return [spec.split]
    files = [PurePosixPath(record.file) for record in spec.files]
    names = [file.name for file in files]
    if not names or not all(map(_splits, names)):
        given = [PurePosixPath(location).name for location in spec.locations]
        typed = spec.relative or () if isinstance(spec, FilesSpec) else ()
        relative = [_nearest(PurePosixPath(path)) for path in typed]
        folders = [file.parent.name for file in files if not _splits(file.name) and _is_split(file.parent.name)]
        names = [*given, *filter(None, relative), *names, *folders]
    return list(dict.fromkeys(names))


def _nearest(place: PurePosixPath) -> str | None:
    """Return the last part of a path or a glob that names a split, None if no part does.

    Above the last two parts, a folder ``dev`` is ignored, because it is often a development folder.
    """
    near = place.parts[-2:]
    above = [part for part in place.parts[:-2] if part.lower() != "dev"]
    return next((part for part in reversed([*above, *near]) if _splits(part)), None)


def _is_split(folder: str) -> bool:
    """Return whether a folder's name tells its files' split, as `test` or `reviews_test` does.

    The rule is stricter than for files: `test_7` or a program's `tests` do not count, because the user may not have
    chosen the folder's name.
    """
    return folder.lower() in _KNOWN or _TEST_FOLDER.fullmatch(" ".join(_words(folder))) is not None


def _splits(name: str) -> list[str]:
    known = (TEST if _TEST_WORD.fullmatch(word) else _KNOWN.get(word) for word in _words(name))
    return [split for split in known if split]


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case: AGNewsTest gives ag, news, test."""
    return [word for word in re.split(r"[^a-z0-9]+", _HUMP.sub(" ", name).lower()) if word]
