"""The history of a run: each process that worked on the run, when it worked, what it did and why it ended.

Times come from the machine's clock, in UTC. Durations come from a clock that never goes backwards.
"""

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec.structs import replace

from scorer.errors import recordable
from scorer.run.manifest import HistoryEntry, Machine

FINISHED, INTERRUPTED, UNKNOWN = "finished", "interrupted", "unknown"
MOST = 1000  # entries; a service that restarts every few seconds must not fill the manifest


def now() -> str:
    """Return the current time as ISO 8601 in UTC, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Stint:
    """This process's work on a run, which ``entry`` records; ``HistoryEntry`` explains the fields."""

    started: str
    machine: Machine
    updated: str
    rows: int = 0
    scoring_seconds: float = 0.0
    seconds: float = 0.0
    ended: str | None = None
    why: str | None = None
    _since: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, machine: Machine) -> "Stint":
        """Return a stint that starts now."""
        moment = now()
        return cls(started=moment, machine=machine, updated=moment)

    def did(self, rows: int) -> None:
        """Add the rows of a finished shard; ``rows`` is 0 if the shard replaces an earlier version of itself."""
        self.rows += rows
        self.updated = now()
        self.seconds = self._seconds()
        if rows:
            self.scoring_seconds = self.seconds

    def end(self, why: str) -> None:
        """Record why the process ends."""
        self.ended, self.seconds, self.why = now(), self._seconds(), why

    def entry(self) -> HistoryEntry:
        """Return the history's entry for this process."""
        return HistoryEntry(
            started=self.started,
            pid=os.getpid(),
            host=platform.node(),
            machine=self.machine,
            rows=self.rows,
            scoring_seconds=self.scoring_seconds,
            seconds=self.seconds,
            updated=self.updated,
            ended=self.ended,
            why=self.why,
        )

    def _seconds(self) -> float:
        return round(time.monotonic() - self._since, 3)


def closed(history: Iterable[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Return the history with ``why`` set to ``unknown`` where it is None, because such a process was killed."""
    return tuple(entry if entry.why else replace(entry, why=UNKNOWN) for entry in history)


def reason(error: BaseException) -> str:
    """Return why an error ended a process, in one line without quotations from the data."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return INTERRUPTED
    return f"{type(error).__name__}: {recordable(error)}".removesuffix(": ")
