"""Prodigy's db-out: answers to one label, choices among labels, several people, spans."""

from typing import Any

from scorer.data.annotations.recognise import shape_of
from tests.scorer.data.annotations.helpers import Record, labels, read, refused, shape


def binary(text: str, label: str, answer: str, number: int) -> Record:
    """A task of textcat.teach, or of textcat.manual with one label."""
    return {
        "text": text,
        "meta": {"source": "mailbox"},
        "_input_hash": number,
        "_task_hash": -number,
        "label": label,
        "score": 0.5,
        "_is_binary": True,
        "_view_id": "classification",
        "answer": answer,
        "_timestamp": 1700000000 + number,
    }


def choice(text: str, accept: list[Any], answer: str = "accept", **more: Any) -> Record:
    """A task of textcat.manual with several labels."""
    options = [{"id": name, "text": name} for name in ("REFUND", "DELIVERY", "OTHER")]
    task = {"text": text, "options": options, "_view_id": "choice", "accept": accept, "answer": answer}
    return {**task, "_input_hash": sum(map(ord, text)), "_task_hash": 7, **more}


def row(task: Record, label: str | None) -> Record:
    """Return the row of a task: ``answer`` has another name, so that the row isn't rejected any more."""
    return {key: value for key, value in task.items() if key != "answer"} | {
        "label": label,
        "prodigy.answer": task["answer"],
    }


def test_only_an_accepted_label_is_a_label() -> None:
    tasks = [
        binary("where is my parcel", "DELIVERY", "accept", 1),
        binary("give me my money back", "DELIVERY", "reject", 2),
        binary("??", "DELIVERY", "ignore", 3),
        binary("I want a refund", "REFUND", "accept", 4),
        binary("nice shop", "REFUND", "reject", 5),
    ]
    rows, note = read(tasks)
    assert rows == [
        row(task, label) for task, label in zip(tasks, ["DELIVERY", None, None, "REFUND", None], strict=True)
    ]
    assert note == "read as Prodigy: 2 rejected and 1 ignored records have no label"


def test_the_accepted_option_is_the_label() -> None:
    tasks = [
        choice("where is my parcel", ["DELIVERY"]),
        choice("hello", []),
        choice("spam", ["OTHER"], "ignore"),
        choice("no", ["REFUND"], "reject"),
        choice("money back", ["REFUND"]),
    ]
    rows, note = read(tasks)
    assert rows == [
        row(task, label) for task, label in zip(tasks, ["DELIVERY", None, None, None, "REFUND"], strict=True)
    ]
    assert note == "read as Prodigy: 1 unanswered, 1 ignored and 1 rejected records have no label"


def test_an_options_number_is_the_label_as_text() -> None:
    assert labels([choice("good", [1]), choice("bad", [-1])]) == ["1", "-1"]


def test_tasks_without_hashes_are_prodigys_if_they_have_no_other_keys() -> None:
    tasks = [
        {"text": "a", "label": "SPORTS", "answer": "accept", "meta": {"id": 1}},
        {"text": "b", "label": "SPORTS", "answer": "reject"},
    ]
    assert labels(tasks) == ["SPORTS", None]


def test_tasks_without_hashes_and_with_other_keys_may_be_anyones() -> None:
    tasks = [
        {"text": "a", "label": "SPORTS", "answer": answer, "author": "Anna"}
        for answer in ("accept", "accept", "reject")
    ]
    line = refused(tasks)
    assert "df[df.answer == 'accept']" in line
    assert "rename the column `answer`" in line
    assert shape_of(tasks[:2]) is None  # both readings are the same


def test_an_option_without_an_answer_is_no_row() -> None:
    tasks = [choice(f"text {i}", ["OTHER"]) for i in range(30)]
    late = [
        {"text": "no answer", "options": [], "accept": ["OTHER"]},
        choice("two", ["OTHER", "REFUND"]),
        {**choice("odd", []), "accept": [{"id": "OTHER"}]},
    ]
    assert labels(tasks + late)[30:] == [
        "`answer` must be accept, reject or ignore in records of Prodigy",
        "2 labels ('OTHER' and 'REFUND'), not one",
        'the label \'{"id": "OTHER"}\' is not text or a number',
    ]


def test_several_accepted_options_are_refused() -> None:
    line = refused([choice("late and broken", ["DELIVERY", "REFUND"]), choice("ok", ["OTHER"])])
    assert "accept several options, as the record with _input_hash" in line
    assert "textcat.manual --exclusive" in line
    assert "df['accept'] = df['accept'].str[:1]" in line


def test_the_same_text_with_different_labels_stops() -> None:
    both = [
        choice("late", ["DELIVERY"], _session_id="mail-anna", _annotator_id="mail-anna"),
        choice("late", ["REFUND"], _session_id="mail-ben", _annotator_id="mail-ben"),
        choice("hello", ["OTHER"]),
    ]
    for annotators in (None, "majority", "first"):
        line = refused(both, annotators)
        assert "give 1 of the texts different accepted labels" in line
        assert "prodigy review" in line
        assert "drop_duplicates('_input_hash')" in line


def test_the_same_text_with_the_same_label_is_two_rows() -> None:
    both = [choice("late", ["DELIVERY"], _session_id=f"mail-{name}") for name in ("anna", "ben")]
    assert labels(both) == ["DELIVERY", "DELIVERY"]
    asked = [binary("late", "DELIVERY", "accept", 1), binary("late", "REFUND", "reject", 1)]
    assert labels(asked) == ["DELIVERY", None]


def test_spans_and_relations_are_refused() -> None:
    tokens = [{"text": "Anna", "start": 0, "end": 4, "id": 0}]
    spans = {"text": "Anna", "tokens": tokens, "spans": [{"start": 0, "end": 4, "label": "PERSON"}]}
    assert "label spans" in refused([spans | {"answer": "accept", "_input_hash": 1, "_task_hash": 2}])
    assert "label spans" in refused([spans | {"answer": "accept"}])
    related = spans | {"relations": [{"head": 0, "child": 0, "label": "IS"}], "answer": "accept", "_input_hash": 1}
    assert "label relations" in refused([related])


def test_spans_beside_a_label_are_only_highlights() -> None:
    task = binary("a refund", "REFUND", "accept", 1) | {"spans": [{"start": 2, "end": 8, "pattern": 3}]}
    assert shape([task]).row(task, None) == row(task, "REFUND")
