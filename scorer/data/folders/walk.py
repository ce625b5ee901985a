"""below() and sound(): list the files in local folders, following links; none comes twice or is left out silently."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from scorer.errors import SourceError
from scorer.text import is_utf8

Enter = Callable[[list[str]], bool]
_OUT = "move it out of the data, or name the files to read"


def below(folder: Path, enter: Enter) -> list[Path]:
    """Return all files and broken links in a folder and its subfolders, sorted by name, folder by folder.

    ``enter`` is called with the parts of each subfolder's path below ``folder``, and returns whether to read it.

    Raises:
        SourceError: a folder can't be listed, or a link leads to a folder that was already read.
    """
    found: list[Path] = []
    seen: dict[str, str] = {}
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        before = seen.setdefault(os.path.realpath(parent), parent)
        if before != parent:
            raise SourceError(f"{parent} is the same folder as {before}, so its rows would be scored twice; {_OUT}")
        at = Path(parent)
        parts = at.relative_to(folder).parts
        folders[:] = [name for name in folders if enter([*parts, name])]
        found += [at / name for name in names]
    return sorted(found, key=lambda path: path.parts)


def sound(files: Iterable[Path]) -> list[Path]:
    """Return the files unchanged if all exist and no two are the same.

    Raises:
        SourceError: a file is a broken link, a name is not UTF-8, or two paths lead to one file.
    """
    found: list[Path] = []
    seen: dict[Path, Path] = {}
    for file in files:
        if not is_utf8(str(file)):
            raise SourceError(f"{str(file)!r} has a name that is not UTF-8; rename it")
        if not file.exists():
            raise SourceError(f"{file} is a link to {file.readlink()}, which does not exist; mend the link, {_OUT}")
        before = seen.setdefault(file.resolve(), file)
        if before != file:
            raise SourceError(f"{file} is the same file as {before}, so its rows would be scored twice; {_OUT}")
        found.append(file)
    return found


def _refuse(error: OSError) -> None:
    raise SourceError(
        f"{error.filename} can't be listed ({error.strerror}), so its data would be missing; {_OUT}"
    ) from error
