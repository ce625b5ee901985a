"""Convert review records to and from the records of Argilla 2.x."""

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lossrank.review.decision import Answer, utc_text
from lossrank.review.records import Refusal, ReviewRecord, parted, row_of, unwritable

QUESTION = "label"
MAX_NAME = 200  # characters, of a data set, a class and an agent
FLOATS, INTEGERS, TERMS = ("loss", "margin", "entropy"), ("rank", "row"), ("given", "predicted", "precision", "id")


def record_body(record: ReviewRecord) -> dict[str, Any]:
    """Return the arguments for the SDK's ``Record``.

    The given label is sent as metadata, because as a response it would make the row count as reviewed.
    """
    label, probability = record.predicted
    return {
        "id": record.id,
        "fields": record.inputs,
        "metadata": {"rank": record.rank, **record.metadata},
        "suggestion": {
            "question_name": QUESTION,
            "value": label,
            "score": min(probability, 1.0),
            "agent": agent_name(record.predicted_by),
            "type": "model",
        },
    }


def encode(record: ReviewRecord) -> bytes:
    """Encode one record as JSON.

    Raises:
        ValueError: a number is not finite, or a text can't be written as UTF-8.
    """
    return json.dumps(record_body(record), ensure_ascii=False, allow_nan=False).encode()


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records that Argilla accepts, and a Refusal for each other record."""
    return parted(records, _problem)


def answers(record: Mapping[str, Any], fingerprint: str, names: Mapping[str, str]) -> list[Answer]:
    """Return people's answers to a record; an empty list if the record is of other data.

    Drafts and responses without a label don't count. ``names`` maps users' ids to their names.

    Raises:
        ValueError: a response is not in Argilla's format.
    """
    row = row_of(record.get("external_id"), fingerprint)
    if row is None:
        return []
    try:
        found = []
        for response in record.get("responses") or []:
            label = ((response.get("values") or {}).get(QUESTION) or {}).get("value")
            discarded = response["status"] == "discarded"
            if discarded or (response["status"] == "submitted" and label is not None):
                who = str(response["user_id"])
                moment = utc_text(response["updated_at"])
                found.append(Answer(row, names.get(who, f"user-{who}"), None if discarded else str(label), moment))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"a response to row {row} is not in the server's format") from error
    return found


def agent_name(name: str) -> str:
    """Return a name as an agent name that the server accepts: a path's file name, with other characters replaced."""
    if name.startswith(("/", "./", "../")):
        name = PurePosixPath(name).name
    known = re.sub(r"[^a-zA-Z0-9_:./\s-]", "_", name)[:MAX_NAME]
    return known if re.search("[a-zA-Z0-9]", known) else "unknown"


def _problem(record: ReviewRecord) -> str | None:
    label, probability = record.predicted
    if not 1 <= len(label) <= MAX_NAME:
        return f"the predicted label has {len(label)} characters; Argilla takes 1 to {MAX_NAME}"
    if not 0.0 <= probability <= 1.001:  # NaN too; float32 probabilities may sum to a little more than 1
        return f"the predicted label's probability is {probability}; Argilla takes 0 to 1"
    return unwritable(record, encode)
