"""What annotation tools export, in which a row says more than its columns."""

import json
from typing import Any

from tests.inputs.case import (
    ISSUE,
    NEWS,
    OWN,
    Input,
    either,
    json_lines,
    lines,
    numbered,
    records,
    row,
    scored,
    stops,
    table,
)
from tests.support.tiny import CLASSES

EXTRA = [("A text that somebody refused", "World"), ("A text that somebody skipped", "World")]
UNSURE = [(text, None) for text, _ in EXTRA]
ALL = [*NEWS, *EXTRA]
CHOICE = {"id": "x", "type": "choices", "from_name": "topic", "to_name": "text"}
OPTIONS = [{"id": name, "text": name} for name in CLASSES]


def answered(i: int) -> str:
    """Return the answer of Prodigy's row i of ``ALL``."""
    return "accept" if i < len(NEWS) else ("reject", "ignore")[i - len(NEWS)]


def prodigy(i: int, text: str, label: str) -> dict[str, Any]:
    return {
        "text": text,
        "_input_hash": i,
        "_task_hash": i,
        "label": label,
        "_view_id": "classification",
        "answer": answered(i),
        "_timestamp": 1,
    }


def choice(text: str, accept: list[str], answer: str = "accept") -> dict[str, Any]:
    return {
        "text": text,
        "options": OPTIONS,
        "accept": accept,
        "answer": answer,
        "_view_id": "choice",
        "config": {"choice_style": "single"},
    }


def cats(label: str | None) -> dict[str, float]:
    return {name: float(name == label) for name in CLASSES}


def studio(i: int, text: str, *labels: str, cancelled: bool = False) -> dict[str, Any]:
    annotations = [
        {
            "id": 100 * i + j, "completed_by": j, "was_cancelled": cancelled, "ground_truth": False,
            "result": [] if cancelled else [{**CHOICE, "value": {"choices": [label]}}],
        }
        for j, label in enumerate(labels, 1)
    ]  # fmt: skip
    return {"id": i, "annotations": annotations, "predictions": [], "data": {"text": text}, "meta": {}, "project": 1}


def argilla(text: str, label: str | None, status: str) -> dict[str, Any]:
    return {
        "text": text,
        "inputs": {"text": text},
        "prediction": [{"label": "World", "score": 0.9}],
        "annotation": label,
        "annotation_agent": "ann",
        "status": status,
        "id": text[:8],
    }


def argilla2(text: str, responses: list[str], statuses: list[str]) -> dict[str, Any]:
    return {
        "id": text[:8],
        "status": "completed",
        "_server_id": "1",
        "text": text,
        "topic.responses": responses,
        "topic.responses.users": ["a", "b", "c"][: len(responses)],
        "topic.responses.status": statuses,
        "topic.suggestion": "World",
    }


THREE_SAY = [(text, [label, label, "World"]) for text, label in NEWS]
DOCCANO = [{"id": i, "text": text, "label": [label]} for i, (text, label) in enumerate(NEWS)]
MAJORITY, FIRST = ("--annotators", "majority"), ("--annotators", "first")

ANNOTATIONS = [
    Input(
        "Prodigy's binary answers", ISSUE, "prodigy.jsonl", json_lines(prodigy(i, *one) for i, one in enumerate(ALL)),
        scored([*NEWS, *UNSURE]),
    ),
    Input(
        "Prodigy's textcat.manual", "explosion/prodigy-openai-recipes#54", "manual.jsonl",
        json_lines({"text": text, "label": label, "_view_id": "classification", "answer": answered(i)}
        for i, (text, label) in enumerate(ALL)), scored([*NEWS, *UNSURE]),
    ),
    Input(
        "Prodigy's choices", ISSUE, "choice.jsonl", json_lines([*(choice(text, [label]) for text, label in NEWS),
        choice(EXTRA[0][0], [], "reject"), choice(EXTRA[1][0], ["World"], "ignore")]), scored([*NEWS, *UNSURE]),
    ),
    Input(
        "Prodigy's choices without a choice", OWN, "none.jsonl",
        json_lines([*(choice(text, [label]) for text, label in NEWS), choice(EXTRA[0][0], [])]),
        scored([*NEWS, UNSURE[0]]),
    ),
    Input(
        "Prodigy's choices with two in a row", OWN, "two.jsonl",
        json_lines([*(choice(text, [label]) for text, label in NEWS), choice(EXTRA[0][0], ["World", "Sports"])]),
        either([*NEWS, UNSURE[0]], "accept"),
    ),
    Input(
        "spaCy's cats", ISSUE, "spacy.jsonl", json_lines({"text": text, "cats": cats(label)} for text, label in NEWS),
        scored(),
    ),
    Input(
        "spaCy's cats of 0 and 1, some without one", "explosion/spaCy#7587", "cats.jsonl",
        json_lines([*({"text": text, "cats": {name: int(value) for name, value in cats(label).items()}}
        for text, label in NEWS), {"text": EXTRA[0][0], "cats": cats(None)}]), scored([*NEWS, UNSURE[0]]),
    ),
    Input(
        "spaCy's cats of true and false in an array", "explosion/spaCy#2928", "cats.json",
        json.dumps([{"text": text, "cats": {name: bool(value) for name, value in cats(label).items()}}
        for text, label in NEWS]), scored(),
    ),
    Input(
        "spaCy's training format", "explosion/spaCy#4226", "train.json",
        json.dumps([{"id": 0, "paragraphs": [{"raw": text, "cats": [{"label": label, "value": 1}]}
        for text, label in NEWS]}]), stops("train.json"),
    ),
    Input("doccano's lists of one", ISSUE, "doccano.jsonl", json_lines(DOCCANO), scored()),
    Input(
        "doccano's labels and user names", "doccano/doccano#46", "admin.jsonl",
        json_lines({"doc_id": i, "text": text, "labels": [label], "username": "admin"}
        for i, (text, label) in enumerate(NEWS)), scored(),
    ),
    Input(
        "doccano's rows without an annotation", OWN, "open.jsonl",
        json_lines([*DOCCANO, {"id": 99, "text": EXTRA[0][0], "label": []}]), scored([*NEWS, UNSURE[0]]),
    ),
    Input(
        "doccano's numbers of labels", "doccano/doccano#1291", "annotations.jsonl",
        json_lines({"id": i, "text": text, "annotations": [{"label": number + 7, "user": 1}], "meta": {}}
        for i, (text, number) in enumerate(numbered())), stops("annotations"),
    ),
    Input(
        "doccano's spans", "doccano/doccano#1374", "spans.jsonl",
        json_lines({"id": i, "text": text, "label": [[0, 4, "ORG"], [5, 7, "MISC"]]}
        for i, (text, _) in enumerate(NEWS)), stops("label"),
    ),
    Input(
        "doccano's CSV", OWN, "doccano.csv", table(((i, text, label, "") for i, (text, label) in enumerate(NEWS)),
        "id,text,label,Comments"), scored(),
    ),
    Input(
        "Label Studio's JSON", ISSUE, "studio.json", json.dumps([studio(i, text, label)
        for i, (text, label) in enumerate(NEWS)]), either(NEWS, "studio.json"),
    ),
    Input(
        "Label Studio's skipped tasks", ISSUE, "skipped.json", json.dumps([*(studio(i, text, label)
        for i, (text, label) in enumerate(NEWS)), studio(98, EXTRA[0][0], "World", cancelled=True),
        studio(99, EXTRA[1][0])]), either([*NEWS, *UNSURE], "skipped.json"),
    ),
    Input(
        "Label Studio's several annotators", ISSUE, "several.json",
        json.dumps([studio(i, text, *labels) for i, (text, labels) in enumerate(THREE_SAY)]), stops("several.json"),
    ),
    Input(
        "Label Studio's majority", ISSUE, "several.json", json.dumps([studio(i, text, *labels)
        for i, (text, labels) in enumerate(THREE_SAY)]), either(NEWS, "several.json"), MAJORITY,
    ),
    Input(
        "Label Studio's JSON_MIN", ISSUE, "min.json", json.dumps([{"text": text, "id": i, "sentiment": label,
        "annotator": 1, "annotation_id": i, "created_at": "2024-01-01T00:00:00Z", "lead_time": 1.5}
        for i, (text, label) in enumerate(NEWS)]), scored(),
    ),
    Input(
        "Label Studio's CSV", OWN, "studio.csv", table(((1, i, text, label, 1.5)
        for i, (text, label) in enumerate(NEWS)), "annotator,id,text,sentiment,lead_time"), scored(),
    ),
    Input(
        "Label Studio's CSV with several choices", OWN, "choices.csv",
        lines("id,text,sentiment", *(f'{i},{text},"{{""choices"": [""{label}"", ""World""]}}"'
        for i, (text, label) in enumerate(NEWS))), stops("choices"),
    ),
    Input(
        "Argilla 1's records", ISSUE, "argilla.jsonl", json_lines([*(argilla(*one, "Validated") for one in NEWS),
        argilla(EXTRA[0][0], "World", "Discarded"), argilla(EXTRA[1][0], None, "Default")]),
        either([*NEWS, *UNSURE], "argilla.jsonl"),
    ),
    Input(
        "Argilla 2's first answers", ISSUE, "argilla2.json", json.dumps([argilla2(text, [label, "World"],
        ["submitted", "submitted"]) for text, label in NEWS]), either(NEWS, "argilla2.json"), FIRST,
    ),
    Input(
        "Argilla 2's majority", ISSUE, "argilla2.json", json.dumps([argilla2(text, labels, ["submitted"] * 3)
        for text, labels in THREE_SAY]), either(NEWS, "argilla2.json"), MAJORITY,
    ),
    Input(
        "Argilla 2's answers without saying whose", ISSUE, "argilla2.json",
        json.dumps([argilla2(text, labels, ["submitted"] * 3) for text, labels in THREE_SAY]), stops("argilla2.json"),
    ),
    Input(
        "Argilla 2's discarded answers", OWN, "discarded.json", json.dumps([*(argilla2(text, [label], ["submitted"])
        for text, label in NEWS), argilla2(EXTRA[0][0], ["World"], ["discarded"])]),
        either([*NEWS, UNSURE[0]], "discarded.json"),
    ),
    Input(
        "a list of each annotator's label", ISSUE, "people.jsonl",
        json_lines(records([(text, labels) for text, labels in THREE_SAY])), either(NEWS, "people.jsonl"), MAJORITY,
    ),
    Input(
        "a list of each annotator's label, the first", ISSUE, "people.jsonl",
        json_lines(records([(text, labels) for text, labels in THREE_SAY])), either(NEWS, "people.jsonl"), FIRST,
    ),
    Input(
        "a list without a majority", OWN, "tied.jsonl", json_lines(records([*((text, [label])
        for text, label in NEWS * 2), (EXTRA[0][0], ["World", "Sports"])])), scored([*NEWS * 2, UNSURE[0]]), MAJORITY,
    ),
    Input(
        "SageMaker's manifest", OWN, "output.manifest.jsonl", json_lines({"source": text, "topic": number,
        "topic-metadata": {"class-name": CLASSES[number], "confidence": 0.9}} for text, number in numbered()),
        either(NEWS, "column"), ("--text-column", "source", "--label-column", "topic"),
    ),
    Input(
        "answers by people on one row each", OWN, "answer.csv", table(((*one, "maybe") for one in NEWS),
        "text,label,answer"), scored([row(*one) for one in NEWS]),
    ),
]  # fmt: skip
