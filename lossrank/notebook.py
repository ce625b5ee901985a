"""What a notebook shows: tables and progress bars as HTML, with every text of the data escaped."""

import importlib
import sys
import time
from html import escape
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from lossrank.tables.values import column_values
from scorer.text import duration, printable

if TYPE_CHECKING:
    from lossrank.progress import Step

_LONGEST = 200  # characters of a cell
_EVERY = 0.2  # seconds between two drawings of a bar


def table_html(table: pa.Table, of: int) -> str:
    """Return a table as HTML, with the line "n of ``of`` rows" if rows are left out."""
    heads = "".join(f"<th>{_cell(name)}</th>" for name in table.column_names)
    rows = zip(*(column_values(column) for column in table.columns), strict=True)
    body = "".join(f"<tr>{''.join(map(_data, row))}</tr>" for row in rows)
    more = "" if table.num_rows == of else f"<p>{table.num_rows:,} of {of:,} rows</p>"
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{more}"


def _data(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    shown = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return f'<td style="text-align: {"right" if is_number else "left"}">{_cell(shown)}</td>'


def _cell(text: str) -> str:
    line = printable(text)
    return escape(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…")


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this process; IPython in a terminal is none."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookBar:
    """Shows the rows that are done below the cell; it needs no widgets."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._started = time.monotonic()
        self._drawn = 0.0
        self._shown: Any = None
        self._note = ""
        self._last: Step | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, step: "Step") -> None:
        if step.is_plan:
            return
        if step.note is not None:
            self._note = f": {printable(step.note)}"
        else:
            self._last = step
        if time.monotonic() - self._drawn >= _EVERY:
            self._draw()

    def __exit__(self, *error: object) -> None:
        if self._shown is not None or self._last is not None:
            self._draw()

    def _draw(self) -> None:
        shown: Any = importlib.import_module("IPython.display")
        step, rows = self._last, ""
        if step is not None and step.total is None:
            rows = f" {step.done:,} rows,"
        elif step is not None:
            bar = f'<progress max="{step.total}" value="{step.done}"></progress>'
            rows = f" {bar} {step.done:,} of {step.total:,} rows,"
        spent = duration(time.monotonic() - self._started)
        html = shown.HTML(f"{escape(self._doing)}{rows} {spent}{escape(self._note)}")
        if self._shown is None:
            self._shown = shown.display(html, display_id=True)
        else:
            self._shown.update(html)
        self._drawn = time.monotonic()
