"""Progress reports of slow functions."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One progress report: either ``done`` of ``total`` rows are finished, or a ``note``.

    A note is one line for the user, without a full stop at its end.

    ``total`` is None if the number of rows isn't known beforehand. A report with a note has no row counts.
    """

    done: int = 0
    total: int | None = None
    note: str | None = None


OnStep = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Ignore a progress report; functions use this callback by default."""
