"""Whole files or none: written beside their place, flushed to disk and renamed."""

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from scorer.errors import RunError


def write_atomically(file: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file so that it is there whole or not at all, also after a crash.

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
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write below ``path`` into one line that says what to do.

    Raises:
        RunError: the disk is full or takes no file of that size, the folder is not there or can't be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"no space left on the disk of {path}; nothing half-written is left there: free some space and run "
                "the same command again"
            ) from error
        if error.errno == errno.EFBIG:  # of a write, so the system names no file
            raise RunError(
                f"{path} can't be written ({error.strerror}): the disk or `ulimit -f` allows no file of that size; "
                "raise the limit, or choose another place with -o"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise RunError(f"{path} can't be written ({error.strerror}); choose another place with -o") from error
        raise
