"""The lock of a run directory: one writer, and who it is for all who ask. It goes with the process, however it ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scorer.errors import RunError
from scorer.files import reporting
from scorer.layout import LOCK

_PATIENCE = 1.0  # seconds; whoever asks for the writer holds the lock for a moment
_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Writer:
    """The living process that writes a run; ``pid`` is None where it doesn't say."""

    pid: int | None

    def __str__(self) -> str:
        return "another lossrank process" if self.pid is None else f"another lossrank process (pid {self.pid})"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only writer of a run directory that is there.

    Raises:
        RunError: another process writes the run, or the folder can't be written.
    """
    with reporting(path):
        lock = (path / LOCK).open("a+")
    with lock:
        deadline = time.monotonic() + _PATIENCE
        while not _taken(lock.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise RunError(f"{path} is being written by {_named(path)}; wait for it or stop it")
            time.sleep(_PAUSE)
        with reporting(path):
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())  # what is in no buffer can't fail once more at its end
        yield


def writer(path: Path) -> Writer | None:
    """Return who writes a run now, None if nobody does; a writer that starts meanwhile is not kept from it."""
    try:
        lock = (path / LOCK).open()
    except OSError:  # never scored, or not ours to look at
        return None
    with lock:
        return None if _taken(lock.fileno(), fcntl.LOCK_SH) else _named(path)


def _taken(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _named(path: Path) -> Writer:
    """Return the process that the lock names; the name of one that is dead is still there, and means nothing."""
    try:
        return Writer(int((path / LOCK).read_text()))
    except (OSError, ValueError):
        return Writer(None)
