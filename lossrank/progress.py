"""What functions that take a while report, and how they report it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One report: ``done`` of ``total`` rows are finished, or a ``note`` for the user, one line.

    ``total`` is None where it is not known beforehand. A report with a note counts nothing.
    """

    done: int = 0
    total: int | None = None
    note: str | None = None


OnStep = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Do nothing: the callback where nobody gave one."""
