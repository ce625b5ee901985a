"""Write a file or folder completely or not at all: under a temporary name, flushed to disk, then renamed."""

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from scorer.errors import RunError

_OLD = ".old"  # ends the hidden name of a folder that is being replaced
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux's renameat2


def write_atomically(file: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file so that, even after a crash, it is complete or unchanged.

    Raises:
        RunError: the disk is full or the folder can't be written; nothing is left behind.
    """
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    with reporting(file):
        try:
            with beside.open("xb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        _flush(file.parent)


@contextlib.contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn an OSError from writing at or below ``path`` into a RunError, whose message says what to do.

    Raises:
        RunError: the disk is full.
        RunError: the disk or `ulimit -f` allows no file of that size.
        RunError: the folder is missing or can't be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"no space left on the disk of {path}; no partial file is left there; free some space and try again"
            ) from error
        if error.errno == errno.EFBIG:  # a failed write() does not name its file
            raise RunError(
                f"{path} can't be written ({error.strerror}): the disk or `ulimit -f` allows no file of that size; "
                "raise the limit, or choose another place"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise RunError(f"{path} can't be written ({error.strerror}); choose another place") from error
        raise


def left_aside(out: Path) -> Path | None:
    """Return where the old folder ``out`` lies if the process was killed while ``folder_written`` replaced that folder.

    Returns None if ``out`` exists or no old folder is found.

    Raises:
        OSError: the folder's parent can't be listed.
    """
    if out.exists() or out.is_symlink() or not out.parent.is_dir():
        return None
    aside = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{32}}{re.escape(_OLD)}")
    left = [entry for entry in out.parent.iterdir() if aside.fullmatch(entry.name) and entry.is_dir()]
    return max(left, key=lambda entry: entry.stat().st_ctime_ns, default=None)


def put_back(out: Path) -> Path | None:
    """Put the old folder back at ``out`` if the process was killed while ``folder_written`` replaced that folder.

    Only code that is about to write ``out`` may call this. Returns the hidden path at which the old folder
    was found; None if nothing had to be put back.

    Raises:
        RunError: the folder can't be listed or renamed.
    """
    with reporting(out):
        if (aside := left_aside(out)) is not None:
            aside.rename(out)
    return aside


@contextlib.contextmanager
def folder_written(out: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield an empty folder; if the block succeeds, the folder replaces ``out``, otherwise the folder is removed.

    Every file is flushed to disk first. ``check`` is called last, and raises an error if ``out`` must not be
    replaced. The new folder and an old one at ``out`` are exchanged in one step, and the old one is removed afterwards.
    A file system that can't exchange folders needs two renames; if the process is killed between them, ``left_aside``
    finds the old folder. An error in the block is raised again.

    Raises:
        RunError: the disk is full, or the folder can't be written; ``out`` is then unchanged.
    """
    out = out.parent.resolve() / out.name  # resolved, because the path may lead through the folder that is renamed
    beside = _beside(out, ".tmp")
    try:
        with reporting(out):
            beside.mkdir()
        yield beside
        with reporting(out):
            for folder, _, names in os.walk(beside, topdown=False):
                for name in names:
                    _flush(Path(folder) / name)
                _flush(Path(folder))
        check()
        with reporting(out):
            _take_place(beside, out)
        with contextlib.suppress(OSError):  # the new folder is in place
            _flush(out.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _take_place(beside: Path, out: Path) -> None:
    """Rename ``beside`` to ``out``; if ``out`` was an old folder, that folder is at ``beside`` afterwards."""
    if not out.exists():
        beside.rename(out)
    elif not _exchanged(beside, out):
        aside = _beside(out, _OLD)
        try:
            out.rename(aside)
            beside.rename(out)
        except BaseException:  # Ctrl-C included
            if not out.exists():
                aside.rename(out)
            raise
        finally:
            if aside.exists() and not beside.exists():
                aside.rename(beside)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False if the system or the file system can't do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        renameat2 = libc.renameat2
    except AttributeError:
        return False
    if renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f".{out.name}.{uuid.uuid4().hex}{ending}")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
