"""Show progress: a bar on a terminal, a plain line every few seconds elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from cli.console import safe, stderr
from cli.keywords import in_options
from lossrank.progress import Step
from scorer import Progress
from scorer.text import duration

_EVERY = 10.0  # seconds between plain lines


class _Bar:
    """Shows how many rows are done on stderr, from the first report to the end of its ``with`` block."""

    def __init__(self, *columns: ProgressColumn) -> None:
        self._columns = columns
        self._console = stderr()
        self._bar: RichProgress | None = None
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def _show(self, done: int, total: int | None, line: Callable[[], str], **fields: Any) -> None:
        """Draw the bar, with ``fields`` as its columns' values; without a terminal, print ``line()`` now and then."""
        if self._console.is_terminal:
            self._draw(done, total, fields)
        elif done and time.monotonic() - self._printed >= _EVERY:
            self._printed = time.monotonic()
            self._console.print(line(), markup=False)

    def _draw(self, done: int, total: int | None, fields: dict[str, Any]) -> None:
        if self._bar is None:
            left = () if total is None else (TimeRemainingColumn(compact=True), TextColumn("left"))
            self._bar = RichProgress(*self._columns, *left, console=self._console)
            self._bar.add_task("", total=total, **fields)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, **fields)


class ScoreProgress(_Bar):
    """Shows the progress of scoring; call it with each ``Progress``, inside a ``with``."""

    def __init__(self) -> None:
        super().__init__(BarColumn(bar_width=12), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
        self.last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        self._show(progress.done, progress.total_rows, lambda: _line(progress), speed=_speed(progress))


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


class StepProgress(_Bar):
    """Shows the progress of a library function and prints its notes; call it with each ``Step``, inside a ``with``."""

    def __init__(self, doing: str) -> None:
        super().__init__(TextColumn(doing), BarColumn(), MofNCompleteColumn())

    def __call__(self, step: Step) -> None:
        if step.note is not None:
            self._console.print(safe(in_options(step.note)))
        else:
            so_far = "so far" if step.total is None else f"of {step.total:,} rows"
            self._show(step.done, step.total, lambda: f"{step.done:,} {so_far}")
