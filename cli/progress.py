"""Show progress: a bar on a terminal, a plain line every few seconds elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from cli.console import safe, stderr
from lossrank.review.records import Refusal
from lossrank.review.servers.server import waiting
from scorer import Progress
from scorer.text import duration

_EVERY = 10.0  # seconds between plain lines


class ScoreProgress:
    """Shows the progress of scoring; call it with each report."""

    def __init__(self) -> None:
        self._console = stderr()
        self._bar: RichProgress | None = None
        self._said = time.monotonic()
        self.last: Progress | None = None
        if self._console.is_terminal:
            self._bar = RichProgress(
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("left"),
                console=self._console,
            )
            self._task = self._bar.add_task("scoring", total=None, speed="")

    def __enter__(self) -> "ScoreProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        if self._bar:
            if not self._bar.live.is_started:
                self._bar.start()
            self._bar.update(self._task, total=progress.total_rows, completed=progress.done, speed=_speed(progress))
        elif time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            self._console.print(_line(progress), markup=False)


def _speed(progress: Progress) -> str:
    if progress.rescored:
        return f"{progress.rescored:,} rows scored again in fp32"
    tokens_per_second = progress.tokens / max(progress.seconds, 1e-9)
    return f"{progress.rows_per_second:,.0f} rows/s  {tokens_per_second:,.0f} tokens/s  {progress.padding:.1%} padding"


def _line(progress: Progress) -> str:
    return (
        f"{progress.done:,} of {progress.total_rows:,} rows ({progress.done / progress.total_rows:.0%})  "
        f"{_speed(progress)}  {duration(progress.seconds_left)} left"
    )


class Bar:
    """Says how far what is ``doing`` is, and what happens on the way; ``of`` starts it."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._console = stderr()
        self._bar: RichProgress | None = None
        self._total: int | None = None
        self._done = 0
        self._said = time.monotonic()

    def of(self, total: int | None) -> Self:
        """Start a bar of so many records, or of nobody knows how many."""
        self._total = total
        if self._console.is_terminal:
            columns = (TextColumn(self._doing), BarColumn(), MofNCompleteColumn())
            left = () if total is None else (TextColumn("left"), TimeRemainingColumn())
            self._bar = RichProgress(*columns, *left, console=self._console)
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
