"""Read the records of text classification of Rubrix and of Argilla 1: ``annotation`` is the label."""

from typing import Any

from scorer.data.annotations.base import (
    NotARow,
    Record,
    Shape,
    Tally,
    are_multi_label,
    count,
    label_text,
    mostly,
    put,
    refusal,
    where,
)

_STATUSES = ("Default", "Edited", "Discarded", "Validated")
_KEYS = ("annotation", "prediction", "status")


class ArgillaOld(Shape):
    """A record with ``annotation``, which becomes ``label`` unless the record was discarded; predictions are no labels.

    Texts come from ``text``, else from the fields of ``inputs``, which become columns.
    """

    name = "Argilla 1"

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        if not all(key in record for key in _KEYS) or record["status"] not in (*_STATUSES, None):
            raise NotARow(f"a record of Argilla 1 has {', '.join(_KEYS)}, and a status among {', '.join(_STATUSES)}")
        label = label_text(record["annotation"])
        discarded = record["status"] == "Discarded"
        if discarded or label is None:
            count(tally, "discarded" if discarded else "unanswered")
        row = {key: value for key, value in record.items() if key not in ("annotation", "inputs")}
        if row.get("text") is None:
            row |= _inputs(record.get("inputs"))
        elif "inputs" in record and isinstance(record["inputs"], dict) and set(record["inputs"]) - {"text"}:
            row["inputs"] = record["inputs"]
        put(row, "label", None if discarded else label, "record")
        return row


def argilla_old(sample: list[Record]) -> Shape | None:
    """Return the shape of Argilla 1's records of text classification; None for other records.

    Raises:
        SourceError: the records have several labels each, or label tokens.
    """
    if not mostly(sample, _is_record):
        return None
    fitting = list(filter(_is_record, sample))
    if any(_has_spans(record["annotation"]) or isinstance(record.get("tokens"), list) for record in fitting):
        raise refusal("Argilla", "label tokens of the text", "export a dataset for text classification")
    if are_multi_label(record["annotation"] for record in fitting):
        several = next(r for r in fitting if isinstance(r["annotation"], list) and len(r["annotation"]) > 1)
        raise refusal(
            "Argilla",
            f"have several labels, as {where(several)} does",
            "keep the first by pandas: df['annotation'] = df['annotation'].str[:1]",
        )
    return ArgillaOld()


def _is_record(record: Record) -> bool:
    own = isinstance(record.get("inputs"), dict | str) or "multi_label" in record or "tokens" in record
    return own and all(key in record for key in _KEYS) and record["status"] in (*_STATUSES, None)


def _inputs(inputs: Any) -> Record:
    if isinstance(inputs, str):
        return {"text": inputs}
    if not isinstance(inputs, dict):
        raise NotARow("neither `text` nor `inputs` has a text")
    return {"text": next(iter(inputs.values()))} if len(inputs) == 1 else dict(inputs)


def _has_spans(annotation: Any) -> bool:
    return isinstance(annotation, list) and any(isinstance(label, list | dict) for label in annotation)
