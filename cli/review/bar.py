"""How far a logging or a pull is, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.review.records import Refusal
from cli.review.server import waiting
from cli.screen import safe, stderr

_EVERY = 5.0  # seconds between plain lines


class Bar:
    """Says how far what is ``doing`` is, and what happens on the way; ``of`` starts it."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._console = stderr()
        self._bar: Progress | None = None
        self._total: int | None = None
        self._done = 0
        self._said = time.monotonic()

    def of(self, total: int | None) -> Self:
        """Start a bar of so many records, or of nobody knows how many."""
        self._total = total
        if self._console.is_terminal:
            columns = (TextColumn(self._doing), BarColumn(), MofNCompleteColumn())
            left = () if total is None else (TextColumn("left"), TimeRemainingColumn())
            self._bar = Progress(*columns, *left, console=self._console)
            self._bar.add_task(self._doing, total=total)
        return self

    def __enter__(self) -> None:
        if self._bar:
            self._bar.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar:
            self._bar.advance(self._bar.task_ids[0], count)
        elif time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            self.say(f"{self._done:,} so far" if self._total is None else f"{self._done:,} of {self._total:,} rows")

    def refused(self, refusals: list[Refusal]) -> None:
        for refusal in refusals:
            self.say(f"row {refusal.row} refused: {refusal.reason}")

    def waiting(self, reason: str, seconds: float) -> None:
        self.say(waiting(reason, seconds))

    def say(self, text: str) -> None:
        self._console.print(safe(text))
