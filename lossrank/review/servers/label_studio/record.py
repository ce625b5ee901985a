"""Convert review records to Label Studio tasks, make their labelling interface, and read annotations."""

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from lossrank.review import flat_record as flat
from lossrank.review.decision import Answer, utc_text
from lossrank.review.records import Refusal, ReviewRecord, row_of
from lossrank.review.servers.server import Form, ReviewError

CONTROL = "label"  # the name of the choices
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def label_config(form: Form) -> str:
    """Return the labelling interface as XML: the given label, the texts, and the classes to choose from.

    The first nine classes have the keys 1 to 9; Label Studio assigns keys to the other classes.

    Raises:
        ReviewError: XML can't hold the name of a class or field.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="given label: $given", size="5")
    for field, variable in zip(form.fields, (flat.TEXT, flat.PAIR), strict=False):
        if len(form.fields) > 1:
            ElementTree.SubElement(view, "Header", value=_shown(field), size="5")
        ElementTree.SubElement(view, "Text", name=variable, value=f"${variable}")
    one_of = {"choice": "single", "showInline": "true", "required": "true"}
    choices = ElementTree.SubElement(view, "Choices", {"name": CONTROL, "toName": flat.TEXT, **one_of})
    for key, name in enumerate(form.class_names, 1):
        choice = ElementTree.SubElement(choices, "Choice", value=_shown(name))
        if "$" in name:
            choice.set("alias", name)  # stored instead of the value
        if key <= 9:
            choice.set("hotkey", str(key))
    return ElementTree.tostring(view, encoding="unicode")


def task(record: ReviewRecord) -> dict[str, Any]:
    """Return a record as a task to import, with the model's label as a prediction."""
    label, probability = record.predicted
    data = {**flat.texts(record), **flat.flat(record), "given": record.given or ""}  # the interface needs a value
    choice = {"from_name": CONTROL, "to_name": flat.TEXT, "type": "choices", "value": {"choices": [label]}}
    prediction = {"model_version": record.predicted_by, "score": min(probability, 1.0), "result": [choice]}
    return {"data": data, "predictions": [prediction]}


def encode(record: ReviewRecord) -> bytes:
    """Encode one record as JSON.

    Raises:
        ValueError: a number is not finite, or a text can't be written as UTF-8.
    """
    return json.dumps(task(record), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records that Label Studio accepts, and a Refusal for each other record."""
    return flat.accept(records)


def answers(task: Mapping[str, Any], fingerprint: str, names: Mapping[int, str]) -> list[Answer] | None:
    """Return people's answers to a task, None if the task is of other data.

    A skipped task discards the row; an empty annotation is not an answer. ``names`` maps users' ids to names, for tasks
    that have only ids.

    Raises:
        ReviewError: the task or an annotation is not in Label Studio's format.
    """
    data, annotations = task.get("data"), task.get("annotations")
    if not isinstance(data, Mapping) or not isinstance(annotations, list):
        raise ReviewError("the task lacks data or annotations; export the project as JSON, not as JSON-MIN or CSV")
    row = row_of(data.get(flat.RECORD_ID), fingerprint)
    if row is None:
        return None
    found = []
    for annotation in annotations:
        try:
            labels = _labels(annotation)
            discarded = bool(annotation["was_cancelled"])
            moment = utc_text(annotation.get("updated_at") or annotation["created_at"])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ReviewError(f"an annotation of row {row} is not in Label Studio's format") from None
        if labels or discarded:
            label = None if discarded else ", ".join(labels)
            who = _who(annotation.get("completed_by"), names)
            found.append(Answer(row, who, label, moment, several=not discarded and len(labels) > 1))
    return found


def _labels(annotation: Mapping[str, Any]) -> list[str]:
    results = [result for result in annotation["result"] if result.get("from_name") == CONTROL]
    return [str(label) for result in results for label in result["value"]["choices"]]


def _who(completed_by: Any, names: Mapping[int, str]) -> str:
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or f"user-{completed_by.get('id')}")
    return names.get(completed_by, f"user-{completed_by}") if isinstance(completed_by, int) else "unknown"


def _shown(name: str) -> str:
    """Return a name with the full-width ＄ for each $, which would start a variable."""
    if _NOT_XML.search(name):
        raise ReviewError(f"Label Studio can't show the name {name!r}, which has a control character; rename it")
    return name.replace("$", "＄")  # noqa: RUF001
