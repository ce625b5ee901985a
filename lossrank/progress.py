"""Progress reports of slow functions, and the bar that shows them in a terminal or a notebook."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.markup import escape

from lossrank.notebook import NotebookBar, in_notebook
from scorer.text import printable

if TYPE_CHECKING:
    from scorer.pipeline.imported import ImportPlan
    from scorer.pipeline.loop import Progress as Scoring
    from scorer.pipeline.plan import Plan


@dataclass(frozen=True)
class Step:
    """One progress report: ``done`` of ``total`` rows are finished, or a ``note``, or the ``plan`` of a run.

    A note is one line for the user, without a full stop at its end. A report with a note or a plan has no row counts.
    ``total`` is None if the number of rows isn't known beforehand. ``plan`` has the choices for a run: its ``device``,
    ``columns``, ``labels`` and ``batch_tokens``; ``importing`` is that of ``import_probs``, which has ``columns`` and
    ``labels``. ``scoring`` has the rows, tokens and seconds of ``score``; it is None for other functions.

    Example:
        >>> def show(step):
        ...     if step.scoring:
        ...         print(step.done, "of", step.total)
        >>> run = lr.score(BUNDLE, rows, "run", overwrite=True, progress=show)
        0 of 500
        ...
        500 of 500
    """

    done: int = 0
    total: int | None = None
    note: str | None = None
    plan: "Plan | None" = None
    scoring: "Scoring | None" = None
    importing: "ImportPlan | None" = None

    @property
    def is_plan(self) -> bool:
        """Whether the report has the plan of a run, and no row counts."""
        return self.plan is not None or self.importing is not None


OnStep: TypeAlias = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Ignore a progress report; functions use this callback by default."""


@contextlib.contextmanager
def watched(progress: bool | OnStep, doing: str) -> Iterator[OnStep]:
    """Yield the callback that ``progress`` stands for.

    A function is itself; True is a bar, if there is a terminal or a notebook to show it; False ignores the reports.
    """
    if callable(progress):
        yield progress
    elif not progress or not (in_notebook() or sys.stderr.isatty()):
        yield unwatched
    else:
        with NotebookBar(doing) if in_notebook() else _TerminalBar(doing) as bar:
            yield bar


class _TerminalBar:
    """Shows the rows that are done on the terminal, from the first report on."""

    def __init__(self, doing: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
        self._bar = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True))
        self._doing = doing
        self._task: Any = None

    def __enter__(self) -> "_TerminalBar":
        return self

    def __call__(self, step: Step) -> None:
        if step.is_plan:
            return
        if self._task is None:
            self._task = self._bar.add_task(self._doing, total=None)
            self._bar.start()
        if step.note is not None:
            self._bar.update(self._task, description=escape(printable(f"{self._doing}: {step.note}")))
        else:
            self._bar.update(self._task, completed=step.done, total=step.total)

    def __exit__(self, *error: object) -> None:
        self._bar.stop()
