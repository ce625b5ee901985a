"""Convert review records to and from the records of Rubrix 0.18 and Argilla 1.x."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lossrank.review.decision import Answer, utc_text
from lossrank.review.records import Refusal, ReviewRecord, parted, row_of, unwritable

MAX_LABEL = 128  # characters; also of metadata, of which the server keeps only the end
MAX_AGENT = 64
UNKNOWN = "unknown"  # who discarded a record, if the server doesn't tell
SCORE_SLACK = 0.001  # the server lets probabilities sum to 1.001


def record_body(record: ReviewRecord) -> dict[str, Any]:
    """Return the JSON body of one record.

    The given label is sent as an annotation with the ``status`` Default, because with Validated the row would count as
    reviewed. All numbers of a metadata field have the same JSON type, because the first number sets the field's type.
    """
    label, probability = record.predicted
    return {
        "id": record.id,
        "inputs": record.inputs,
        "multi_label": False,
        "prediction": _annotation(record.predicted_by, label, min(probability, 1.0)),
        "annotation": None if record.given is None else _annotation(record.given_by, record.given, 1.0),
        "status": "Default",
        "metadata": {"rank": record.rank, **record.metadata},
        "event_timestamp": None,
    }


def encode(record: ReviewRecord) -> bytes:
    """Encode one record as a line of JSON, without the line's end.

    Raises:
        ValueError: a number is not finite, or a text can't be written as UTF-8.
    """
    body = json.dumps(record_body(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return body.encode("utf-8")


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records that Rubrix accepts, and a Refusal for each other record."""
    return parted(records, _problem)


def answer(record: Mapping[str, Any], fingerprint: str, given_by: str) -> Answer | None:
    """Return a person's answer to a record, or None if there is none or the record is of other data.

    If a reviewed record still has the annotation by ``given_by`` with which it was logged, the annotator is
    ``UNKNOWN``.

    Raises:
        ValueError: the record is not in the server's format.
    """
    row = row_of(record.get("id"), fingerprint)
    if row is None or record.get("status") not in ("Validated", "Discarded"):
        return None
    try:
        annotation = record.get("annotation") or {"agent": None, "labels": []}
        labels = [str(label.get("class", label.get("class_label"))) for label in annotation["labels"]]
        who, moment = annotation["agent"], utc_text(record["last_updated"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the record of row {row} is not in the server's format") from error
    annotator = UNKNOWN if who in (None, "", agent_name(given_by)) else str(who)
    if record["status"] == "Discarded":
        return Answer(row, annotator, None, moment)
    return Answer(row, annotator, ", ".join(labels), moment, several=len(labels) > 1) if labels else None


def agent_name(name: str) -> str:
    """Return an agent name that the server can index: at most 64 characters, no empty part between dots.

    A path is reduced to its file name.
    """
    if name.startswith(("/", "./", "../")):
        name = PurePosixPath(name).name
    parts = [part for part in name[:MAX_AGENT].split(".") if part.strip()]
    return ".".join(parts) or "unknown"


def _annotation(agent: str, label: str, score: float) -> dict[str, Any]:
    return {"agent": agent_name(agent), "labels": [{"class": label, "score": score}]}


def _problem(record: ReviewRecord) -> str | None:
    for what, label in (("predicted", record.predicted[0]), ("given", record.given)):
        if label is not None and not 1 <= len(label) <= MAX_LABEL:
            return f"the {what} label has {len(label)} characters; Rubrix takes 1 to {MAX_LABEL}"
    probability = record.predicted[1]
    if not 0.0 <= probability <= 1.0 + SCORE_SLACK:  # NaN too
        return f"the predicted label's probability is {probability}; Rubrix takes 0 to 1"
    return unwritable(record, encode)
