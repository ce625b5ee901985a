"""Html: the page as HTML, made of its templates, in which every text is escaped."""

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

_TEMPLATES = Path(__file__).parent / "templates"
_PAGE = 50  # rows of a list on one page


@dataclass(frozen=True)
class Notice:
    """What the page says above the rows; ``stopped`` is about something that was not done."""

    text: str
    stopped: bool = True


class Html:
    """The page of one run's ranked rows."""

    def __init__(
        self, run: RunDirectory, rows: Sequence[PageRow], user: str, by: str, data: Sequence[str] = ()
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
            "MOST": view.MOST,
            "by": by,
            "class_names": run.class_names,
            "given_options": view.class_options((row.scores.label for row in rows), run.class_names),
            "pair_options": view.pair_options(rows, run.class_names),
            "predicted_options": view.class_options((row.scores.predicted for row in rows), run.class_names),
            "run_name": run.path.resolve().name,
            "user": user,
        }

    def page(
        self,
        selection: Selection,
        held: Mapping[int, Decision],
        last: Decision | None,
        an_hour: float,
        notice: Notice | None,
    ) -> str:
        """Return the page for a selection; ``held`` are the decisions that hold, ``last`` the one that undo undoes."""
        matching = selection.matching(self._rows)
        shown = selection.with_status(matching, held)
        current = selection.current(self._rows, held)
        common: dict[str, Any] = {
            "an_hour": an_hour,
            "current": current,
            "decided": sum(row.row in held for row in matching),
            "held": held,
            "last": last,
            "matching": matching,
            "notice": notice,
            "selection": selection,
            "shown": shown,
        }
        if selection.view == LIST:
            return self._templates.get_template("list.html").render(**common, **_piece(shown, current))
        return self._templates.get_template("one.html").render(**common, **_neighbours(shown, current))

    def broken(self, reason: str) -> str:
        """Return the page that says why there is none."""
        return self._templates.get_template("broken.html").render(reason=reason)


def _neighbours(shown: Sequence[PageRow], current: PageRow | None) -> dict[str, PageRow | None]:
    """Return the rows before and after the current one, which itself need not be shown any more."""
    rank = current.rank if current else 0
    before = [row for row in shown if row.rank < rank]
    after = [row for row in shown if row.rank > rank]
    return {"previous": before[-1] if before else None, "following": after[0] if current and after else None}


def _piece(shown: Sequence[PageRow], current: PageRow | None) -> dict[str, Any]:
    """Return the piece of a list that holds the current row, and where the pieces beside it start."""
    place = sum(row.rank < current.rank for row in shown) if current else 0
    start = min(place, max(len(shown) - 1, 0)) // _PAGE * _PAGE
    return {
        "first": start,
        "piece": shown[start : start + _PAGE],
        "previous": shown[start - _PAGE] if start else None,
        "following": shown[start + _PAGE] if start + _PAGE < len(shown) else None,
    }
