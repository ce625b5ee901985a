"""Read Label Studio's exports: JSON, with all annotations of a task, and JSON-MIN, with a record per annotation."""

import json
from collections.abc import Iterator
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
from scorer.text import printable, short

_LISTS = ("annotations", "completions")  # completions: before version 1.0
_LABELS = ("choices", "rating")  # the types of answers that are labels of the whole text
_MIN = ("annotation_id", "annotator", "lead_time")  # the keys that JSON-MIN adds to the data
_MIN_OTHERS = {*_MIN, "id", "created_at", "updated_at", "agreement"}


class LabelStudio(Shape):
    """A task per record: its ``data``, and people's annotations, which are choices or ratings.

    ``questions`` are the names of the choices in the labelling interface. The answer to an only question is the column
    ``label``; answers to several are columns with the questions' names. The fields of ``data`` are columns, and the
    task's id is one unless the data has an id. Skipped annotations and predictions are no labels.
    """

    name = "Label Studio"

    def __init__(self, questions: tuple[str, ...]) -> None:
        self.questions = questions

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        if not _is_task(record):
            raise NotARow("a task of Label Studio has `data` and a list of `annotations`, each with a `result`")
        given: dict[str, list[str]] = {}
        annotations = _in_time(_annotations(record))
        skipped = [annotation for annotation in annotations if _is_skipped(annotation)]
        for annotation in annotations:
            if not _is_skipped(annotation):
                for question, labels in _answers(annotation).items():
                    if (label := label_text(labels)) is not None:
                        given.setdefault(question, []).append(label)
        if given and not self.questions:  # no task among the first had an answer
            self.questions = (next(iter(given)),)
        if given and not any(question in given for question in self.questions):
            raise NotARow(
                f"choices for {short(printable(next(iter(given))))!r}, but the first records are about other questions"
            )
        row = {"id": record["id"]} if "id" in record and "id" not in record["data"] else {}
        row |= record["data"]
        reason = "skipped" if skipped and len(skipped) == len(annotations) else "unanswered"
        for question in self.questions or ("label",):
            label = agreed(given.get(question, []), record, annotators, tally, unlabelled=reason)
            put(row, question if len(self.questions) > 1 else "label", label, "data")
        return row


class LabelStudioMin(Shape):
    """A record per annotation, with the data and the answers side by side, which look alike; all are kept."""

    name = "Label Studio's JSON-MIN"

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        if not all(key in record for key in _MIN):
            raise NotARow(f"a record of JSON-MIN has the keys {', '.join(_MIN)}")
        row = {key: label_text(value["choices"]) if _is_choices(value) else value for key, value in record.items()}
        if tally is not None and record["annotation_id"] is not None:
            own = {key: value for key, value in row.items() if key not in _MIN_OTHERS}
            tally.labelled(record.get("id"), json.dumps(own, sort_keys=True))
        return row

    def note(self, tally: Tally) -> str:
        if tasks := tally.contradicted:
            raise SourceError(
                f"Label Studio's JSON-MIN gives {tasks:,} of the tasks different annotations, in records of their own; "
                "export the project as JSON, where `annotators` decides which label counts"
            )
        return super().note(tally)


def label_studio(sample: list[Record]) -> Shape | None:
    """Return the shape of Label Studio's tasks, or of its JSON-MIN; None for other records.

    Raises:
        SourceError: the annotations have several choices each, or are spans or other answers than choices.
    """
    if mostly(sample, lambda record: all(key in record for key in _MIN)):
        _refuse_min(sample)
        return LabelStudioMin()
    if not mostly(sample, _is_task):
        return None
    answers: dict[str, list[Any]] = {}
    others: set[str] = set()
    several = None
    for record in filter(_is_task, sample):
        for annotation in _annotations(record):
            others |= {str(result.get("type")) for result in annotation["result"]}
            for question, labels in _answers(annotation).items():
                answers.setdefault(question, []).append(labels)
                several = several or (record if len(labels) > 1 else None)
    if others and not answers:
        raise refusal(
            "Label Studio",
            f"their answers are {short(printable(', '.join(sorted(others))))}",
            "use a project with <Choices> for the text",
        )
    if several is not None and are_multi_label(labels for given in answers.values() for labels in given):
        raise refusal(
            "Label Studio",
            f"have several choices, as in {where(several)}",
            "set choice='single' in the labelling interface, or keep the first by r['value']['choices'] = "
            "r['value']['choices'][:1] for each result r",
        )
    return LabelStudio(tuple(answers))


def _refuse_min(sample: list[Record]) -> None:
    answers = [(key, value) for record in sample for key, value in record.items() if key not in _MIN_OTHERS]
    if any(_is_choices(value) for _, value in answers):
        key = next(key for key, value in answers if _is_choices(value))
        if are_multi_label(value["choices"] if _is_choices(value) else value for name, value in answers if name == key):
            raise refusal(
                "Label Studio",
                "have several choices",
                "set choice='single' in the labelling interface, or keep one by pandas: "
                "df[column] = [v if isinstance(v, str) else v['choices'][0] for v in df[column]]",
            )
    spans = [value for _, value in answers if isinstance(value, list) and value and isinstance(value[0], dict)]
    if any("start" in span and "labels" in span for value in spans for span in value if isinstance(span, dict)):
        raise refusal("Label Studio", "label spans of the text", "use a project with <Choices> for the text")


def _is_choices(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"choices"} and isinstance(value["choices"], list)


def _is_task(record: Record) -> bool:
    lists = [record[key] for key in _LISTS if key in record]
    return (
        isinstance(record.get("data"), dict)
        and bool(lists)
        and all(isinstance(annotations, list) for annotations in lists)
        and all(_is_annotation(annotation) for annotation in _annotations(record))
    )


def _is_annotation(annotation: Any) -> bool:
    results = annotation.get("result") if isinstance(annotation, dict) else None
    return isinstance(results, list) and all(
        isinstance(result, dict) and isinstance(result.get("value", {}), dict) for result in results
    )


def _annotations(record: Record) -> list[Any]:
    return [annotation for key in _LISTS for annotation in record.get(key, [])]


def _in_time(annotations: list[Any]) -> list[Any]:
    """Return annotations oldest first, because exports list them in no fixed order."""
    times = [annotation.get("created_at") for annotation in annotations]
    if all(isinstance(time, str) for time in times) or all(isinstance(time, int | float) for time in times):
        return sorted(annotations, key=lambda annotation: annotation["created_at"])
    return annotations


def _is_skipped(annotation: Record) -> bool:
    return bool(annotation.get("was_cancelled") or annotation.get("skipped"))


def _answers(annotation: Record) -> dict[str, list[Any]]:
    """Return the labels that an annotation gives the whole text, by question."""
    answers: dict[str, list[Any]] = {}
    for question, labels in _labels(annotation["result"]):
        answers.setdefault(question, []).extend(labels)
    return answers


def _labels(results: list[Record]) -> Iterator[tuple[str, list[Any]]]:
    for result in results:
        kind, value = result.get("type"), result.get("value", {})
        if kind in _LABELS and kind in value and "start" not in value:  # with a start, it is about a span
            yield str(result.get("from_name")), value[kind] if isinstance(value[kind], list) else [value[kind]]
