"""What lies in the folders of this machine, through links, with nothing passed over in silence and nothing twice."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from scorer.errors import SourceError
from scorer.text import is_utf8

Enter = Callable[[list[str]], bool]
_OUT = "take it out, or name the files"


def below(folder: Path, enter: Enter) -> list[Path]:
    """Return all files and broken links in a folder, and in those below that ``enter`` takes, by the parts of its path.

    They come in the order of their names, folder by folder.

    Raises:
        SourceError: a folder can't be listed, or a link leads to one that was read already.
    """
    found: list[Path] = []
    seen: dict[str, str] = {}
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        before = seen.setdefault(os.path.realpath(parent), parent)
        if before != parent:
            raise SourceError(f"{parent} and {before} are one folder, whose rows would be scored twice; {_OUT}")
        at = Path(parent)
        parts = at.relative_to(folder).parts
        folders[:] = [name for name in folders if enter([*parts, name])]
        found += [at / name for name in names]
    return sorted(found, key=lambda path: path.parts)


def sound(files: Iterable[Path]) -> list[Path]:
    """Return files that can be read, each once.

    Raises:
        SourceError: one is a link to nothing or has a name that is not UTF-8, or two are one file.
    """
    found: list[Path] = []
    seen: dict[Path, Path] = {}
    for file in files:
        if not is_utf8(str(file)):
            raise SourceError(f"{str(file)!r} has a name that is not UTF-8; rename it")
        if not file.exists():
            raise SourceError(f"{file} is a link to {file.readlink()}, which is not there; mend the link, or {_OUT}")
        before = seen.setdefault(file.resolve(), file)
        if before != file:
            raise SourceError(f"{file} and {before} are one file, whose rows would be scored twice; {_OUT}")
        found.append(file)
    return found


def _refuse(error: OSError) -> None:
    raise SourceError(f"{error.filename} can't be listed ({error.strerror}), and may hold data; {_OUT}") from error
