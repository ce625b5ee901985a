"""Format the report's numbers and names for both HTML and Markdown."""

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from scorer.audit.rank import MEASURES
from scorer.run.schema import STATUSES
from scorer.text import duration

CLASSES = 256  # classes that a table lists
LONGEST = 5000  # characters of a text that the report shows
_COLUMNS = {"margin": "margin", "entropy": "entropy"}  # measures that need an extra column in the table of worst rows


def code(sentence: str) -> Markup:
    """Return a sentence as HTML, with words in backticks as ``<code>``."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704  # escaped just here


def count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}%}"


def number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def moment(value: str | None) -> str:
    """Return an ISO 8601 time in UTC, shortened to minutes; None gives an empty text."""
    return "" if value is None else f"{value[:10]} {value[11:16]} UTC"


def mebibytes(value: int | None) -> str:
    return "" if value is None else f"{value / 2**20:,.0f} MiB"


def worst_classes(classes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the classes that a table lists: all in index order, or of more than 256 those with the highest mean loss.

    The highest mean loss is first then.
    """
    if len(classes) <= CLASSES:
        return classes
    return sorted(classes, key=lambda counts: 1.0 if counts["mean_loss"] is None else -counts["mean_loss"])[:CLASSES]


def left_out(classes: list[dict[str, Any]]) -> str:
    """Return which classes the table lists and how many it leaves out, or "" if it has all."""
    if len(classes) <= CLASSES:
        return ""
    more = len(classes) - CLASSES
    return f"The {CLASSES:,} given classes with the highest mean loss; the report in JSON has the other {more:,} too."


def status(name: str) -> str:
    return STATUSES.get(name, "")


def chosen(worst: dict[str, Any]) -> str:
    """Return a phrase that says how the worst rows were ranked and filtered."""
    parts = [f"Ranked by {MEASURES[worst['by']].order}"]
    if worst["per_class"] is not None:
        parts.append(f"the worst {worst['per_class']:,} of each given class")
    if worst["pair"] is not None:
        parts.append(f"only {worst['pair']} (given:predicted)")
    return "; ".join(parts)


def unmatched(worst: dict[str, Any], by_precision: dict[str, int]) -> str:
    """Return why the list of worst rows is empty; ``by_precision`` counts the run's rows with predictions."""
    return f"{chosen(worst)}: no row matches." if by_precision else "No row has a prediction."


def text(row: dict[str, Any], column: str) -> str:
    """Return a row's text, truncated to ``LONGEST`` characters."""
    value = str(row["source"][column])
    rest = len(value) - LONGEST
    return value if rest <= 0 else f"{value[:LONGEST]} … ({rest:,} characters more)"


def decided(decision: dict[str, Any] | None) -> str:
    """Return a row's decision in a few words, or "" if the row has no decision."""
    if decision is None:
        return ""
    return str(decision["verdict"] if decision["label"] is None else f"{decision['verdict']}: {decision['label']}")


def measured(worst: dict[str, Any]) -> str | None:
    """Return the measure that ranks the rows if the table needs an extra column for that measure, else None."""
    return _COLUMNS.get(worst["by"])


def facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how the run was made, as pairs of a name and a value."""
    how = document["how"]
    options = {name: value for name, value in how["options"].items() if value is not None}
    columns = ", ".join(f"{role}: {name}" for role, name in how["columns"].items() if name is not None)
    tokens = None
    if how["tokens"] is not None and how["imported_sha256"] is None:  # no model of ours ran
        tokens = f"{how['tokens']:,}, and {how['padding']:.2%} of the model's input was padding"
    screen = how["screen"]
    rescored = None
    if screen:
        rescored = f"{screen['rescored']:,} rows were scored again in fp32"
        if "estimated_recall" in screen:
            rescored += f"; they include an estimated {screen['estimated_recall']:.1%} of the worst {screen['top_k']:,}"
    seconds = how["seconds"]
    stages = {} if not seconds else {name: spent for name, spent in seconds.items() if name != "total" and spent}
    found = [
        ("model", document["model"]),
        ("revision", document["revision"]),
        ("bundle", how["bundle_sha256"] and f"SHA-256 {how['bundle_sha256']}"),
        ("imported file", how["imported_sha256"] and f"SHA-256 {how['imported_sha256']}"),
        ("data", document["data"]),
        ("data fingerprint", how["data_fingerprint"]),
        ("columns", columns),
        ("labels", how["labels"] and f"mapped {how['labels']}"),
        ("precision", ", ".join(f"{name}: {rows:,} rows" for name, rows in document["by_precision"].items())),
        ("screen", rescored),
        ("options", ", ".join(f"{name} {value}" for name, value in options.items())),
        ("tokens", tokens),
        (
            "duplicates",
            how["duplicates"] and f"{how['duplicates']:,} texts had the same tokens as another text and were not run",
        ),
        ("last process", stages and ", ".join(f"{name} {duration(spent)}" for name, spent in stages.items())),
        ("peak memory", mebibytes(how["peak_memory_bytes"])),
    ]
    for machine in how["machines"]:
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        found.append(("machine", f"{machine['threads']} threads; {versions}"))
    for entry in how["history"]:
        rows = f"{entry['rows']:,} rows in {duration(entry['seconds'])}"
        found.append(("process", f"{moment(entry['started'])}: {rows}, {entry['why']}"))
    return [(name, str(value)) for name, value in found if value]


FILTERS: dict[str, Callable[..., Any]] = {
    "code": code,
    "count": count,
    "percent": percent,
    "number": number,
    "moment": moment,
    "status": status,
    "worst_classes": worst_classes,
    "left_out": left_out,
    "measured": measured,
    "chosen": chosen,
    "unmatched": unmatched,
    "text": text,
    "decided": decided,
}
