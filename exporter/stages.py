"""Stages: the parts of an export, and the seconds that each takes; one export runs at a time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()  # the conversion patches transformers, and captured() loggers of the whole process


class Stages:
    """Tells what is being done, and adds up the seconds of each stage. A stage ends where the next one begins."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._began = self._since = time.monotonic()
        self._stage: str | None = None
        self._seconds: dict[str, float] = {}

    def begin(self, stage: str, doing: str | None = None) -> None:
        """Begin a stage, or go on with it; ``doing`` is shown."""
        now = time.monotonic()
        if self._stage is not None:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now
        if doing is not None:
            self.say(doing)

    def end(self) -> None:
        """End the last stage and show the seconds of all."""
        self.begin("")
        each = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in self._seconds.items())
        self.say(f"export took {time.monotonic() - self._began:.1f} s: {each}")


@contextmanager
def alone(stages: Stages) -> Iterator[None]:
    """Wait for other threads' exports, and hold off later ones."""
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        stages.begin("waiting", "waiting for another export in this process")
        _ONE_AT_A_TIME.acquire()
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()
