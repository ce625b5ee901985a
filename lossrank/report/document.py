"""Build the report as one dictionary of JSON values, from which the HTML, Markdown or JSON is made."""

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
_PAIRS = 20  # pairs of classes that are listed
_CLASSES = 20  # classes in the matrix on the page
_NO_LABELS = "No row has a label that the model knows, so there are predictions but no losses and no confusion matrix."


@dataclass(frozen=True)
class Worst:
    """The worst rows of a report and how they were chosen.

    ``source`` has the source columns of the rows; it is None if the report must not contain texts.
    """

    rows: list[RankedRow]
    source: pa.Table | None
    by: str
    per_class: int | None = None
    pair: str | None = None


def report_document(
    run: RunDirectory, health: RunHealth, worst: Worst, decisions: Mapping[int, Decision]
) -> dict[str, Any]:
    """Return the whole report.

    ``decisions`` has the current decision of each decided row, by row number. The report contains no machine name and
    no file path. If ``worst.source`` is None, the rows' ids are the only values of the data in the report.
    """
    labelled = health.scored > 0
    most_confused = health.most_confused(_CLASSES)
    history = run.manifest.history
    document = {
        "format": FORMAT,
        "lossrank": installed_versions(("lossrank",)).get("lossrank"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "scored_at": history[-1].updated if history else None,
        "model": run.model_name,
        "revision": run.manifest.bundle.revision if run.manifest.bundle else None,
        "data": run.data_name,
        "rows": health.rows,
        "scored": health.scored,
        "mean_loss": health.mean_loss,
        "accuracy": health.accuracy,
        "disagreeing": health.disagreeing if labelled else None,
        "truncated": health.truncated if run.manifest.imported is None else None,
        "by_status": health.by_status,
        "by_precision": health.by_precision,
        "int8_note": _int8_note(health),
        "no_labels": None if labelled else _NO_LABELS,
        "class_names": list(health.class_names),
        "histogram": asdict(health.histogram()) if labelled else None,
        **health.confusion_values(),
        "most_confused": most_confused if labelled else None,
        "confused_matrix": health.matrix.among(most_confused).tolist() if labelled else None,
        "classes": [asdict(counts) for counts in health.classes()] if labelled else None,
        "pairs": [asdict(pair) for pair in health.pairs(_PAIRS)] if labelled else None,
        "worst": _worst(run, worst, decisions),
        "review": _review(health.rows, decisions) if decisions else None,
        "how": _how(run, texts=worst.source is not None),
    }
    result: dict[str, Any] = plain(document)
    return result


def _worst(run: RunDirectory, worst: Worst, decisions: Mapping[int, Decision]) -> dict[str, Any]:
    none = pa.table({"none": pa.nulls(len(worst.rows))})
    records = ranking_records(worst.rows, none if worst.source is None else worst.source)
    texts = worst.source is not None
    columns = (run.columns.text, run.columns.text_pair) if texts else ()  # a name may be a text, see _known
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
    int8, total = health.by_precision.get("int8", 0), sum(health.by_precision.values())
    if not int8:
        return None
    of = f"All {total:,}" if int8 == total else f"{int8:,} of the {total:,}"
    return f"{of} rows with predictions were scored in int8, so losses, predicted classes and confusions are not exact."


def _how(run: RunDirectory, texts: bool) -> dict[str, Any]:
    """Return how a run was made; parts that may quote the data are left out if ``texts`` is false."""
    manifest = run.manifest
    summary = manifest.summary.to_dict() if manifest.summary else {}
    history = [
        {key: getattr(entry, key) for key in ("started", "ended", "rows", "seconds")} | {"why": _ended(entry.why)}
        for entry in manifest.history
    ]
    columns = run.columns.to_dict()
    names = ("tokens", "padding", "duplicates", "screen", "model_share", "seconds", "peak_memory_bytes")
    return {
        "bundle_sha256": manifest.bundle.sha256 if manifest.bundle else None,
        "imported_sha256": manifest.imported.sha256 if manifest.imported else None,
        "data_fingerprint": run.data_fingerprint,
        "columns": columns if texts else {role: _known(name) for role, name in columns.items()},
        "labels": manifest.labels.how if manifest.labels else None,
        "options": manifest.options.to_dict(),
        "history": history,
        "machines": [machine.to_dict() for machine in manifest.machines],
        **{name: summary.get(name) for name in names},
        **{name: summary.get(name) if texts else None for name in ("unknown_labels", "problems")},
    }


def _ended(why: str | None) -> str:
    """Return why a process ended; an error is reduced to its class, since the message may contain a path."""
    kind = (why or UNKNOWN).partition(": ")[0]
    return kind if kind.isidentifier() else "error"


def _known(name: str | None) -> str | None:
    """Return a column's name if lossrank knows it; other names may be texts, as in a CSV file without a header."""
    return name if name is None or name in KNOWN else "(its name is left out)"
