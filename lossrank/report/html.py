"""Render the report as one HTML file with its style, script and charts inside."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lossrank.report.charts import class_bars, confusion_matrix, loss_histogram
from lossrank.report.wording import FILTERS, facts

FILES = Path(__file__).parent
_WIDE, _HALF, _NARROW = 900, 560, 350  # chart widths in pixels: full page, next to a table, on a phone
_SCRIPT = "report.js"
_STYLE = "report.css"


def html_page(document: dict[str, Any]) -> str:
    """Return the document as an HTML page.

    The page's content security policy blocks every request and every script but the page's own, so texts of the data
    can't start any.
    """
    script = (FILES / _SCRIPT).read_text(encoding="utf-8")
    pages = Environment(loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages.filters.update(FILTERS)
    return pages.get_template("report.html.jinja").render(
        document,
        style=Markup((FILES / _STYLE).read_text(encoding="utf-8")),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        charts=_charts(document),
        facts=facts(document),
    )


def _charts(document: dict[str, Any]) -> dict[str, Any]:
    """Return the charts by name, none if the run has no losses; two of the charts have a wide and a narrow form."""
    if document["no_labels"]:
        return {}
    return {
        "loss": _both(loss_histogram, document["histogram"], _WIDE),
        "classes": _both(class_bars, document["classes"], _HALF),
        "matrix": confusion_matrix(document),
    }


def _both(draw: Callable[[Any, int], Markup], numbers: Any, wide: int) -> dict[str, Markup]:
    return {"wide": draw(numbers, wide), "narrow": draw(numbers, _NARROW)}
