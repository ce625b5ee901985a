"""Draw a run's health for a notebook: the losses, the classes and their confusions."""

from dataclasses import asdict
from html import escape
from pathlib import Path

from lossrank.report.charts import class_bars, confusion_matrix, loss_histogram
from lossrank.tables.json_values import plain
from scorer.run.health import RunHealth

_WIDTH = 700  # pixels
_CLASSES = 20  # classes in the confusion matrix
_KEY = "".join(
    f'<span style="color: var(--{colour})">&#9632;</span> the model {colour}s with the label '
    for colour in ("agree", "disagree")
)
_STYLE = Path(__file__).parent / "report.css"


def health_html(counts: RunHealth, caption: str) -> str:
    """Return the charts of a run with losses as HTML; its colours are the report's, its background too."""
    colours = _STYLE.read_text(encoding="utf-8").partition("\n* {")[0].replace(":root", ".lossrank-health")
    classes = [asdict(of_class) for of_class in counts.classes()]
    shown = counts.most_confused(_CLASSES)
    matrix = {
        "most_confused": shown,
        "confused_matrix": counts.matrix.among(shown).tolist(),
        "classes": classes,
    }
    return (
        f"<style>{colours}\n"
        ".lossrank-health { background: var(--page); color: var(--ink); padding: .5em 1em }</style>"
        f'<div class="lossrank-health"><p>{escape(caption)}</p>'
        f"{_KEY}{loss_histogram(plain(asdict(counts.histogram())), _WIDTH)}"
        f"<p>Rows by given and predicted class</p>{confusion_matrix(matrix)}"
        f"{class_bars(matrix['classes'], _WIDTH)}</div>"
    )
