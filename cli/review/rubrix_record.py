"""A review record as Rubrix 0.18 takes it, and what Rubrix would refuse."""

import json
from pathlib import PurePosixPath
from typing import Any

from cli.review.records import Refusal, ReviewRecord

MAX_LABEL = 128  # characters; so too metadata, of which the server silently keeps only the end
MAX_AGENT = 64
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
        "metadata": record.metadata,
        "event_timestamp": None,
    }


def encode(record: ReviewRecord) -> bytes:
    """Encode one record as a line of JSON, without the line's end.

    Raises:
        ValueError: a number is not finite, or a text can't be written as UTF-8.
    """
    body = json.dumps(record_body(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return body.encode("utf-8")


def screen(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Part the records that Rubrix can take from those it would refuse, with the reason."""
    problems = [(record, _problem(record)) for record in records]
    taken = [record for record, problem in problems if problem is None]
    return taken, [Refusal(record.row, problem) for record, problem in problems if problem is not None]


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
    try:
        encode(record)
    except UnicodeEncodeError:
        return "the text can't be written as UTF-8"
    except ValueError:
        return "a number in the metadata is not finite"
    return None
