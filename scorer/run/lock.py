"""The lock of a run directory: only one process writes a run, and any process can ask which one does.

The operating system releases the lock when the process ends, however it ends.
"""

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

_PATIENCE = 1.0  # seconds; a process that asks who writes the run holds the lock for a moment
_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Writer:
    """The live process that writes a run; ``pid`` is None if the lock file does not name it."""

    pid: int | None

    def __str__(self) -> str:
        return "another lossrank process" if self.pid is None else f"another lossrank process (pid {self.pid})"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of an existing run directory, as its only writer.

    Raises:
        RunError: another process writes the run.
        RunError: the folder can't be written.
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
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())  # unbuffered: nothing is left to fail on close
        yield


def writer(path: Path) -> Writer | None:
    """Return the process that writes a run now, None if there is none; asking does not stop a writer from starting."""
    try:
        lock = (path / LOCK).open()
    except OSError:  # never scored, or not readable by this user
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
    """Return the process that the lock file names; an ended process stays named, so ask only while the lock is held."""
    try:
        return Writer(int((path / LOCK).read_text()))
    except (OSError, ValueError):
        return Writer(None)
