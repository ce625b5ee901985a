"""A review record as Rubrix 0.18 and Argilla 1.x take it, what they would refuse, and what a person made of it."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lossrank.review.decision import Answer, utc_text
from lossrank.review.records import Refusal, ReviewRecord, parted, row_of, unwritable

MAX_LABEL = 128  # characters; so too metadata, of which the server silently keeps only the end
MAX_AGENT = 64
UNKNOWN = "unknown"  # who discarded a record, where nothing tells
SCORE_SLACK = 0.001  # the server lets probabilities sum to 1.001


def record_body(record: ReviewRecord) -> dict[str, Any]:
    """Make the JSON body of one record.

    The given label goes in as an annotation with ``status`` Default: Validated would count a row as reviewed that
    nobody has looked at. Every number of one metadata field has one JSON type, since the first one sets the field's.
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
    """Part the records that Rubrix can take from those it would refuse, with the reason."""
    return parted(records, _problem)


def answer(record: Mapping[str, Any], fingerprint: str, given_by: str) -> Answer | None:
    """Return what a person said of a record, None if it says nothing or is not of the data with this fingerprint.

    The annotation that the record was logged with, by ``given_by``, tells nothing of who discarded it.

    Raises:
        ValueError: it is no record as the servers have them.
    """
    row = row_of(record.get("id"), fingerprint)
    if row is None or record.get("status") not in ("Validated", "Discarded"):
        return None
    try:
        annotation = record.get("annotation") or {"agent": None, "labels": []}
        labels = [str(label.get("class", label.get("class_label"))) for label in annotation["labels"]]
        who, moment = annotation["agent"], utc_text(record["last_updated"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the record of row {row} is none as the server should have it") from error
    annotator = UNKNOWN if who in (None, "", agent_name(given_by)) else str(who)
    if record["status"] == "Discarded":
        return Answer(row, annotator, None, moment)
    return Answer(row, annotator, ", ".join(labels), moment, several=len(labels) > 1) if labels else None


def agent_name(name: str) -> str:
    """Make an agent's name that the server can index: at most 64 characters, no empty part between dots.

    Of a path, only the file's name is kept: folders say nothing to a reviewer.
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
    if not 0.0 <= probability <= 1.0 + SCORE_SLACK:  # also not a number
        return f"the predicted label's probability is {probability}; Rubrix takes 0 to 1"
    return unwritable(record, encode)
