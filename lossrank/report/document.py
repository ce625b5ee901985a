"""The report as one document of plain values, which the page, the Markdown and the JSON all show."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lossrank.review.decision import UNREVIEWED, VERDICTS, Decision
from lossrank.tables.json_values import plain
from lossrank.tables.ranking import precision_note, ranking_records
from scorer import RankedRow, RunDirectory
from scorer.data.columns import KNOWN
from scorer.machine import installed_versions
from scorer.run.health import RunHealth
from scorer.run.history import UNKNOWN

FORMAT = 1
_PAIRS = 20  # pairs of classes that are named
_CLASSES = 20  # classes that the matrix shows
_NO_LABELS = "No row has a label that the model knows, so there are no losses and no confusions: only predictions."


@dataclass(frozen=True)
class Worst:
    """The rows of a report and how they were chosen; ``source`` has their source columns, None to leave them out."""

    rows: list[RankedRow]
    source: pa.Table | None
    by: str
    per_class: int | None = None
    pair: str | None = None


def report_document(
    run: RunDirectory, health: RunHealth, worst: Worst, decisions: Mapping[int, Decision]
) -> dict[str, Any]:
    """Return the whole report; ``decisions`` are those that hold, by row; none where nobody has reviewed.

    Neither the machine's name nor the place of a file is in it, and without ``worst.source`` no value of the data but
    the rows' ids.
    """
    labelled = health.scored > 0
    history = run.manifest.history
    document = {
        "format": FORMAT,
        "lossrank": installed_versions(("lossrank",)).get("lossrank"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "scored_at": history[-1].updated if history else None,
        "model": run.model_name,
        "revision": run.manifest.bundle.revision,
        "data": run.data_name,
        "rows": health.rows,
        "scored": health.scored,
        "mean_loss": health.mean_loss,
        "accuracy": health.accuracy,
        "disagreeing": health.disagreeing if labelled else None,
        "truncated": health.truncated,
        "by_status": health.by_status,
        "by_precision": health.by_precision,
        "int8_note": _int8_note(health),
        "no_labels": None if labelled else _NO_LABELS,
        "class_names": list(health.class_names),
        "histogram": asdict(health.histogram()) if labelled else None,
        "confusion": health.confusion.tolist() if labelled else None,
        "most_confused": health.most_confused(_CLASSES) if labelled else None,
        "classes": [asdict(each) for each in health.classes()] if labelled else None,
        "pairs": [asdict(each) for each in health.pairs(_PAIRS)] if labelled else None,
        "worst": _worst(run, worst, decisions),
        "review": _review(health.rows, decisions) if decisions else None,
        "how": _how(run, texts=worst.source is not None),
    }
    result: dict[str, Any] = plain(document)
    return result


def _worst(run: RunDirectory, worst: Worst, decisions: Mapping[int, Decision]) -> dict[str, Any]:
    none = pa.table({"none": pa.nulls(len(worst.rows))})
    records = ranking_records(run, worst.rows, none if worst.source is None else worst.source)
    texts = worst.source is not None
    columns = (run.columns.text, run.columns.text_pair) if texts else ()  # names may be texts, see _known
    for record in records:
        if not texts:
            record["source"] = None
        decision = decisions.get(record["row"])
        record["decision"] = None if decision is None else {"verdict": decision.verdict, "label": decision.label}
    return {
        "by": worst.by,
        "per_class": worst.per_class,
        "pair": worst.pair,
        "precision_note": precision_note(run, worst.rows),
        "text_columns": [name for name in columns if name],
        "texts": texts,
        "rows": records,
    }


def _review(rows: int, decisions: Mapping[int, Decision]) -> dict[str, Any]:
    counts = Counter(decision.verdict for decision in decisions.values())
    return {
        **{verdict: counts[verdict] for verdict in VERDICTS},
        UNREVIEWED: rows - len(decisions),
        "latest": max(decision.decided_at for decision in decisions.values()),
    }


def _int8_note(health: RunHealth) -> str | None:
    int8, both = health.by_precision.get("int8", 0), sum(health.by_precision.values())
    if not int8:
        return None
    of = f"All {both:,}" if int8 == both else f"{int8:,} of the {both:,}"
    return f"{of} rows with predictions have int8 numbers: losses, classes and confusions rest on them."


def _how(run: RunDirectory, texts: bool) -> dict[str, Any]:
    """Return how a run was made; what of it may quote the data only with ``texts``."""
    manifest = run.manifest
    summary = manifest.summary.as_dict() if manifest.summary else {}
    history = [
        {key: getattr(entry, key) for key in ("started", "ended", "rows", "seconds")} | {"why": _ended(entry.why)}
        for entry in manifest.history
    ]
    columns = run.columns.as_dict()
    names = ("tokens", "padding", "duplicates", "screen", "model_share", "seconds", "peak_memory_bytes")
    return {
        "bundle_sha256": manifest.bundle.sha256,
        "data_fingerprint": run.data_fingerprint,
        "columns": columns if texts else {role: _known(name) for role, name in columns.items()},
        "labels": manifest.labels.how if manifest.labels else None,
        "options": manifest.options.as_dict(),
        "history": history,
        "machines": [machine.as_dict() for machine in manifest.machines],
        **{name: summary.get(name) for name in names},
        **{name: summary.get(name) if texts else None for name in ("unknown_labels", "problems")},
    }


def _ended(why: str | None) -> str:
    """Return why a process ended; of an error only its kind, as its message may name a place of the machine."""
    kind = (why or UNKNOWN).partition(": ")[0]
    return kind if kind.isidentifier() else "error"


def _known(name: str | None) -> str | None:
    """Return a column's name unless it may be a text, as in a CSV file without a line of names."""
    return name if name is None or name in KNOWN else "(its name is left out)"
