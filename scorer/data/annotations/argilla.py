"""Read Argilla's exports: records of version 2, nested or flat, and the feedback data sets of version 1.

A response counts if it was submitted; drafts, discarded responses and suggestions are no labels.
"""

from typing import Any

from scorer.data.annotations.base import (
    NotARow,
    Record,
    Shape,
    Tally,
    agreed,
    are_multi_label,
    label_text,
    mostly,
    put,
    refusal,
    where,
)
from scorer.errors import SourceError

_Response = tuple[Any, str | None]  # a value and its status
_FLAT = ".responses"
_NESTED = ("suggestions", "vectors", "external_id", "_server_id")  # keys of a nested record beside fields and responses


class Argilla(Shape):
    """A record with the responses of people to questions.

    The answer to an only question is the column ``label``; answers to several are columns with the questions' names.
    A nested record's fields are columns; its other keys are kept, but for responses, suggestions and vectors.
    """

    name = "Argilla"

    def __init__(self, questions: tuple[str, ...]) -> None:
        self.questions = questions

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        responses = _responses(record)
        if responses is None:
            raise NotARow("the responses of an Argilla record are missing, or have another form")
        row = _without_responses(record, self.questions)
        if not self.questions:  # no record among the first had a response
            self.questions = tuple(question for question, given in responses.items() if given)[:1]
        for question in self.questions or ("label",):
            label = _label(record, responses.get(question, []), annotators, tally)
            put(row, question if len(self.questions) > 1 else "label", label, "fields")
        return row


def argilla(sample: list[Record]) -> Shape | None:
    """Return the shape of Argilla's records with responses; None for other records.

    Raises:
        SourceError: the responses are several labels each, or spans or ranks.
    """
    if not mostly(sample, _is_record) or not any(map(_is_certain, sample)):
        return None
    found: dict[str, list[Any]] = {}
    several = None
    for record in filter(_is_record, sample):
        for question, responses in (_responses(record) or {}).items():
            values = [value for value, _ in responses if value is not None]
            found.setdefault(question, []).extend(values)
            several = several or (
                record if any(isinstance(value, list) and len(value) > 1 for value in values) else None
            )
    given = {question: values for question, values in found.items() if values}
    labels = {question: values for question, values in given.items() if not any(map(_is_nested, values))}
    if given and not labels:
        raise refusal("Argilla", "their responses are spans or ranks", "use a dataset with a LabelQuestion")
    if several is not None and any(map(are_multi_label, labels.values())):
        raise refusal(
            "Argilla",
            f"have several labels, as {where(several)} does",
            "use a LabelQuestion, or keep the first label of each response before you write the file",
        )
    unknown = [status for record in sample for given in (_responses(record) or {}).values() for _, status in given]
    if unknown and not any(unknown) and not any("status" in record for record in sample):
        raise refusal(
            "Argilla",
            "don't say which responses were discarded",
            "write them with pandas: pd.DataFrame(dataset.records.to_list(flatten=True)).to_json(..., "
            "orient='records', lines=True)",
        )
    return Argilla(tuple(labels))


def _label(record: Record, responses: list[_Response], annotators: str | None, tally: Tally | None) -> str | None:
    """Return the label that the submitted responses agree on.

    Raises:
        SourceError: responses differ, and the export doesn't say which of them were submitted.
    """
    submitted = [label for value, status in responses if status == "submitted" and (label := label_text(value))]
    unknown = [label for value, status in responses if status is None and (label := label_text(value))]
    reason = "discarded" if any(status == "discarded" for _, status in responses) else "unanswered"
    if not unknown:
        return agreed(submitted, record, annotators, tally, unlabelled=reason)
    # Argilla's nested export leaves out the statuses of responses; a completed record has at least one submitted.
    if record.get("status") != "completed":
        return agreed([], record, annotators, tally, unlabelled="unfinished")
    if len(set(unknown)) > 1:
        raise SourceError(
            f"people gave {where(record)} different responses, and this export of Argilla does not say which were "
            "discarded; write it with pandas: pd.DataFrame(dataset.records.to_list(flatten=True))"
            ".to_json(..., orient='records', lines=True)",
            quotes_data=True,
        )
    return agreed(unknown, record, annotators, tally)


def _is_record(record: Record) -> bool:
    nested = isinstance(record.get("fields"), dict) and any(key in record for key in _NESTED)
    flat = any(key.endswith(f"{_FLAT}.status") or key.endswith(f"{_FLAT}.users") for key in record)
    old = any(f"{key}-suggestion" in record and _is_feedback(value) for key, value in record.items())
    return (nested or flat or old) and _responses(record) is not None


def _is_certain(record: Record) -> bool:
    """Return whether a record has more than empty columns, which records of others may have too."""
    return "fields" in record or any(_FLAT in key for key in record) or any(map(bool, (_flat(record) or {}).values()))


def _responses(record: Record) -> dict[str, list[_Response]] | None:
    """Return a record's responses by question; None if they have another form."""
    responses = record.get("responses")
    try:
        if isinstance(record.get("fields"), dict) and isinstance(responses, dict):
            return {
                question: [(given["value"], given.get("status")) for given in answers or []]
                for question, answers in responses.items()
            }
        if isinstance(record.get("fields"), dict) and isinstance(responses, list):  # of the server and of version 1
            by_question: dict[str, list[_Response]] = {}
            for response in responses:
                for question, given in (response["values"] or {}).items():
                    by_question.setdefault(question, []).append((given["value"], response.get("status")))
            return by_question
        return _flat(record)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _flat(record: Record) -> dict[str, list[_Response]] | None:
    responses: dict[str, list[_Response]] = {}
    for key, value in record.items():
        if key.endswith(_FLAT):
            statuses = record.get(f"{key}.status")
            values = value or []
            if not isinstance(values, list):
                return None
            responses[key.removesuffix(_FLAT)] = list(zip(values, statuses or [None] * len(values), strict=True))
        elif f"{key}-suggestion" in record and _is_feedback(value):
            answers = _rows(value) if isinstance(value, dict) else value or []
            responses[key] = [(given["value"], given.get("status")) for given in answers]
    return responses or None


def _is_feedback(value: Any) -> bool:
    """Return whether a value is the responses of version 1, as a list of objects or as an object of lists."""
    if isinstance(value, dict):
        return {"user_id", "value", "status"} <= set(value) and all(isinstance(item, list) for item in value.values())
    return value is None or (
        isinstance(value, list) and all(isinstance(item, dict) and {"value", "status"} <= set(item) for item in value)
    )


def _rows(columns: dict[str, list[Any]]) -> list[Record]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _without_responses(record: Record, questions: tuple[str, ...]) -> Record:
    if isinstance(record.get("fields"), dict):
        others = {
            key: value for key, value in record.items() if key not in ("fields", "responses", "suggestions", "vectors")
        }
        return {**others, **record["fields"]}
    marks = (_FLAT, f"{_FLAT}.users", f"{_FLAT}.status")
    return {
        key: value
        for key, value in record.items()
        if not key.endswith(marks) and not (key in questions and _is_feedback(value))
    }


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))
