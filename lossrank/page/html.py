"""Html: render the review page from its templates, with every text escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lossrank.page import view
from lossrank.page.rows import PageRow
from lossrank.page.selection import LIST, Selection
from lossrank.publish.hints import apply_command
from lossrank.review.decision import Decision
from scorer import RunDirectory
from scorer.data.source import Data

_TEMPLATES = Path(__file__).parent / "templates"
_PAGE = 50  # rows on one page of the list


@dataclass(frozen=True)
class Notice:
    """A message above the rows; ``stopped`` means that an action was refused or failed."""

    text: str
    stopped: bool = True


class Html:
    """Renders the review page of one run's ranked rows."""

    def __init__(
        self, run: RunDirectory, rows: Sequence[PageRow], user: str, by: str, data: Data | None = None
    ) -> None:
        self._rows = rows
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "apply_command": apply_command(run, data),
            "choices": view.choices,
            "excerpt": view.excerpt,
            "parts": view.parts,
            "verdict": view.verdict,
            "when": view.when,
            "KEYS": view.KEYS,
            "TEXT_LIMIT": view.TEXT_LIMIT,
            "by": by,
            "class_names": run.class_names,
            "classes_by_name": sorted(enumerate(run.class_names), key=lambda item: item[1].lower()),
            "given_options": view.class_options((row.scores.label for row in rows), run.class_names),
            "pair_options": view.pair_options(rows, run.class_names),
            "predicted_options": view.class_options((row.scores.predicted for row in rows), run.class_names),
            "run_name": run.path.resolve().name,
            "user": user,
        }

    def page(
        self,
        selection: Selection,
        decisions: Mapping[int, Decision],
        last: Decision | None,
        rate: float,
        notice: Notice | None,
    ) -> str:
        """Return the page for a selection, as HTML.

        ``decisions`` has the current decision of each decided row, by row number. ``last`` is the decision that the
        undo button takes back. ``rate`` is the number of decisions per hour.
        """
        matching = selection.matching(self._rows)
        shown = selection.with_status(matching, decisions)
        current = selection.current(self._rows, decisions)
        common: dict[str, Any] = {
            "current": current,
            "decided": sum(row.row in decisions for row in matching),
            "decisions": decisions,
            "last": last,
            "matching": matching,
            "notice": notice,
            "rate": rate,
            "selection": selection,
            "shown": shown,
        }
        if selection.view == LIST:
            return self._templates.get_template("list.html").render(**common, **_list_page(shown, current))
        return self._templates.get_template("row.html").render(**common, **_neighbours(shown, current))

    def broken(self, reason: str) -> str:
        """Return the page that is shown if the decisions can't be read, as HTML."""
        return self._templates.get_template("broken.html").render(reason=reason)


def _neighbours(shown: Sequence[PageRow], current: PageRow | None) -> dict[str, PageRow | None]:
    """Return the rows of ``shown`` just before and after the current row; that row need not be in ``shown``."""
    rank = current.rank if current else 0
    before = [row for row in shown if row.rank < rank]
    after = [row for row in shown if row.rank > rank]
    return {"previous": before[-1] if before else None, "following": after[0] if current and after else None}


def _list_page(shown: Sequence[PageRow], current: PageRow | None) -> dict[str, Any]:
    """Return the rows of the list page that has the current row, and the first row of the pages before and after."""
    index = sum(row.rank < current.rank for row in shown) if current else 0
    start = min(index, max(len(shown) - 1, 0)) // _PAGE * _PAGE
    return {
        "first": start,
        "listed": shown[start : start + _PAGE],
        "previous": shown[start - _PAGE] if start else None,
        "following": shown[start + _PAGE] if start + _PAGE < len(shown) else None,
    }
