"""The history of a run: each process that worked on it, from when to when, what it did and why it ended.

Moments are of the machine's clock, in UTC, for people to read; nothing is computed from them. Durations are of a clock
that never goes backwards.
"""

import os
import platform
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scorer.errors import recordable

FINISHED, INTERRUPTED, UNKNOWN = "finished", "interrupted", "unknown"
MOST = 1000  # entries: a service that starts again every few seconds must not fill the manifest


def now() -> str:
    """Return the machine's time as ISO 8601 in UTC, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Stint:
    """One process's work on a run.

    ``entry`` is what the manifest says of it: ``started``, ``updated`` (its last shard) and ``ended`` are moments,
    ``rows`` are those of the shards that it finished, the last of them ``scoring_seconds`` after its start, ``seconds``
    is all that it has worked, ``why`` is the reason of its end: ``finished``, ``interrupted``, the error, or
    ``unknown`` (it was killed, as the next start found).
    """

    entry: dict[str, Any]
    _since: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, machine: dict[str, Any]) -> "Stint":
        """Start the clock of this process, on a machine as the manifest describes it."""
        moment = now()
        who = {"pid": os.getpid(), "host": platform.node(), "machine": machine}
        done = {"rows": 0, "scoring_seconds": 0.0, "seconds": 0.0}
        return cls({"started": moment, **who, **done, "updated": moment, "ended": None, "why": None})

    def did(self, rows: int) -> None:
        """Add the rows of a shard that is whole; none of one that was there and is written anew."""
        self.entry["rows"] += rows
        self.entry["updated"] = now()
        self.entry["seconds"] = self._seconds()
        if rows:
            self.entry["scoring_seconds"] = self.entry["seconds"]

    def end(self, why: str) -> None:
        """Say why the process ends."""
        self.entry |= {"ended": now(), "seconds": self._seconds(), "why": why}

    def _seconds(self) -> float:
        return round(time.monotonic() - self._since, 3)


def closed(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a history in which what has no end was killed."""
    return [entry if entry["why"] else {**entry, "why": UNKNOWN} for entry in history]


def reason(error: BaseException) -> str:
    """Return why a process ends that such an error ends, in one line without anything of the data."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return INTERRUPTED
    return f"{type(error).__name__}: {recordable(error)}".removesuffix(": ")
