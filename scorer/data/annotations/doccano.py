"""Read labels in lists: doccano's exports of text classification, and any records whose labels are lists of one."""

from typing import Any

from scorer.data.annotations.base import (
    NotARow,
    Record,
    Shape,
    Tally,
    agreed,
    are_multi_label,
    count,
    label_text,
    mostly,
    refusal,
    single,
    where,
)

_LABELS = ("label", "labels", "cats")  # the keys of doccano's versions, and of its projects for intents
_OTHERS = (
    "class", "classes", "category", "categories", "target", "targets", "intent", "intents", "sentiment", "emotion",
    "emotions", "topic", "topics",
)  # fmt: skip
_OWN = {"id", "doc_id", "Comments", "annotation_approver", "username", "cats"}
_KEYS = {*_LABELS, *_OWN, "text", "data", "meta", "comments", "entities", "relations", "annotations"}


class LabelLists(Shape):
    """Records with a list of labels under ``key``: the list's only element is the label; an empty one is no label.

    If ``annotators`` is given, the list has the labels of several people.
    """

    name = "lists of labels"

    def __init__(self, key: str) -> None:
        self.key = key

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        value = record.get(self.key)
        if annotators is not None and isinstance(value, list) and len(value) > 1:  # the user says: one of each person
            labels = [label for label in map(label_text, value) if label is not None]
            return {**record, self.key: agreed(labels, record, annotators, tally)}
        try:
            label = single(value)
        except NotARow:
            if self.key not in _LABELS:  # another column may have the labels
                return record
            raise
        if label is None:
            count(tally, "unanswered")
        return {**record, self.key: label}


class Doccano(LabelLists):
    """doccano's records, one per text."""

    name = "doccano"

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        value = record.get(self.key)
        if isinstance(value, list) and any(map(_is_span, value)):
            raise NotARow("the label is a span of the text")
        row = super().row(record, annotators, tally)
        row[self.key] = label_text(row[self.key])
        label = row.pop(self.key)
        return {**row, "label": label}


def doccano(sample: list[Record]) -> Shape | None:
    """Return the shape of doccano's records, or of any whose labels are lists of one; None for other records.

    Raises:
        SourceError: the records are doccano's, and have several labels each, ids of labels, or spans.
    """
    known = mostly(sample, _is_doccano)
    if known and any(_are_annotations(record.get("annotations")) for record in sample):
        raise refusal("doccano", "name labels by number", "export them as JSONL with text labels")
    spans = [record for record in sample for key in (*_LABELS, "entities") if _has_spans(record.get(key))]
    for key in _LABELS if known else (*_LABELS, *_OTHERS):
        values = [record[key] for record in sample if record.get(key) is not None]
        lists = [value for value in values if isinstance(value, list)]
        if not values or (key == "cats" and not known):
            continue
        if not lists or any(isinstance(value, dict) for value in values):
            return None
        if known and any(_has_spans(value) for value in lists):
            break
        if not all(isinstance(label, str | int | float) for value in lists for label in value):
            return None
        if not are_multi_label(lists):
            return (
                Doccano(key) if known and mostly(sample, lambda record: bool(_OWN & set(record))) else LabelLists(key)
            )
        if not known:
            return None  # if it is the column of labels, it is refused as a column of lists
        several = next(record for record in sample if isinstance(record.get(key), list) and len(record[key]) > 1)
        raise refusal(
            "doccano",
            f"have several labels, as {where(several)} does",
            f"allow one label per text in the project, or keep the first by pandas: df['label'] = df['{key}'].str[0]",
        )
    if known and spans:
        raise refusal("doccano", "label spans of the text", "annotate a text classification project instead")
    return None


def _is_doccano(record: Record) -> bool:
    """Return whether a record has doccano's keys and no others, so that a list of labels is its labels."""
    return (
        any(isinstance(record.get(key), str) for key in ("text", "data"))
        and any(isinstance(record.get(key), list) for key in (*_LABELS, "entities", "annotations"))
        and set(record) <= _KEYS
    )


def _has_spans(value: Any) -> bool:
    return isinstance(value, list) and any(map(_is_span, value))


def _is_span(label: Any) -> bool:
    """Return whether a label is ``[start, end, name]``, or an object with the offsets."""
    if isinstance(label, dict):
        return "start_offset" in label
    return isinstance(label, list) and len(label) == 3 and all(isinstance(offset, int) for offset in label[:2])


def _are_annotations(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) and {"label", "user"} <= set(item) for item in value)
