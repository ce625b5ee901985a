"""Show progress: a bar on a terminal, a plain line every few seconds elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from cli.console import safe, stderr
from cli.keywords import in_options
from lossrank.progress import Step
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
    """Shows a function's reports on stderr: call it with each ``Step``, inside a ``with``."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._console = stderr()
        self._bar: RichProgress | None = None
        self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, step: Step) -> None:
        if step.note is not None:
            self._console.print(safe(in_options(step.note)))
        elif self._console.is_terminal:
            self._draw(step)
        elif step.done and time.monotonic() - self._shown >= _EVERY:
            self._shown = time.monotonic()
            so_far = "so far" if step.total is None else f"of {step.total:,} rows"
            self._console.print(f"{step.done:,} {so_far}", markup=False)

    def _draw(self, step: Step) -> None:
        if self._bar is None:
            columns = (TextColumn(self._doing), BarColumn(), MofNCompleteColumn())
            left = () if step.total is None else (TextColumn("left"), TimeRemainingColumn())
            self._bar = RichProgress(*columns, *left, console=self._console)
            self._bar.add_task(self._doing, total=step.total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=step.done)
