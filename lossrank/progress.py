"""Progress reports of functions that take a while."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One progress report: either ``done`` of ``total`` rows are finished, or a ``note``, one line for the user.

    ``total`` is None if it isn't known beforehand. A report with a note has no counts.
    """

    done: int = 0
    total: int | None = None
    note: str | None = None


OnStep = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Ignore a report: the default callback."""
