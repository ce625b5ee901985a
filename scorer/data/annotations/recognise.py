"""shape_of(): recognise the export of an annotation tool by its first records."""

from typing import Any

from scorer.data.annotations.argilla import argilla
from scorer.data.annotations.argilla_old import argilla_old
from scorer.data.annotations.base import Record, Shape, mostly, refusal
from scorer.data.annotations.doccano import doccano
from scorer.data.annotations.label_studio import label_studio
from scorer.data.annotations.prodigy import prodigy
from scorer.data.annotations.spacy import spacy

_TOOLS = (label_studio, argilla, argilla_old, prodigy, spacy, doccano)


_LONGEST, _DEEPEST = 100, 8  # characters of a text, and levels of lists and objects, that are kept or looked into


def light(value: Any, depth: int = 0) -> Any:
    """Return a JSON value with its texts cut to 100 characters, because a thousand texts may be larger than memory."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if depth < _DEEPEST and isinstance(value, dict):
        return {key: light(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, list):
        return [light(item, depth + 1) for item in value]
    return value


def shape_of(sample: list[Record]) -> Shape | None:
    """Return the shape of the first records of a file, up to 1,000; None for plain records.

    Long texts may be cut, as ``light`` does. A shape is recognised by keys and values that no other file has; records
    that could be anyone's are plain.

    Raises:
        SourceError: the records are an annotation tool's, and don't have one label per text.
    """
    records = [record for record in sample if record]
    if mostly(records, lambda record: isinstance(record.get("data_row"), dict) and "projects" in record):
        raise refusal(
            "Labelbox",
            "nest the labels in projects",
            "write {'text': r['data_row']['row_data'], 'label': ...} for each record r, with the value of its "
            "radio_answer",
        )
    return next((shape for tool in _TOOLS if (shape := tool(records)) is not None), None)
