"""How far a run is: a bar on a terminal, a plain line now and then elsewhere."""

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from cli.screen import stderr
from scorer import Progress

_EVERY = 10.0  # seconds between plain lines


class ScoreProgress:
    """Shows the progress of scoring; call it with each report."""

    def __init__(self) -> None:
        self._console = stderr()
        self._bar: Bar | None = None
        self._said = time.monotonic()
        self.last: Progress | None = None
        if self._console.is_terminal:
            self._bar = Bar(
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


def duration(seconds: float) -> str:
    """Return seconds in words a person reads at a glance: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
