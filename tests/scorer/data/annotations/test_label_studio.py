"""Label Studio's JSON, of several versions, and JSON-MIN."""

from typing import Any

import pytest

from tests.scorer.data.annotations.helpers import Record, labels, read, refused


def choice(*chosen: Any, question: str = "topic") -> Record:
    value = {"choices": list(chosen)}
    return {"id": "a1", "from_name": question, "to_name": "text", "type": "choices", "value": value, "origin": "manual"}


def annotation(*results: Record, cancelled: bool = False, at: int = 0, **more: Any) -> Record:
    return {
        "id": at,
        "completed_by": at,
        "result": list(results),
        "was_cancelled": cancelled,
        "ground_truth": False,
        "created_at": f"2024-03-{at + 1:02}T10:00:00Z",
        "lead_time": 3.5,
        **more,
    }


def task(number: int, *annotations: Record, **data: Any) -> Record:
    return {
        "id": number,
        "annotations": list(annotations),
        "file_upload": "texts.csv",
        "drafts": [],
        "predictions": [{"result": [choice("Predicted")], "score": 0.9}],
        "data": data or {"text": f"text {number}"},
        "meta": {},
        "created_at": "2024-03-01T09:00:00Z",
        "project": 3,
    }


def test_the_choice_is_the_label_and_the_data_is_the_row() -> None:
    tasks = [
        task(1, annotation(choice("World"))),
        task(2, annotation(cancelled=True)),
        task(3, annotation()),
        task(4),
        task(5, annotation(choice("World"), cancelled=True), annotation(choice("Sports"), at=1)),
    ]
    rows, note = read(tasks)
    assert rows == [
        {"id": number, "text": f"text {number}", "label": label}
        for number, label in enumerate(["World", None, None, None, "Sports"], start=1)
    ]
    assert note == "read as Label Studio: 1 skipped and 2 unanswered records have no label"


def test_the_fields_of_the_data_are_kept_under_their_names() -> None:
    record = task(1, annotation(choice("World")), reviewText="a", id=77, label="old", tags=["x"])
    assert read([record])[0] == [{"reviewText": "a", "id": 77, "tags": ["x"], "data.label": "old", "label": "World"}]


def test_one_label_of_several_people() -> None:
    tasks = [
        task(1, annotation(choice("World")), annotation(choice("World"), at=1)),
        task(2, annotation(choice("World"), at=2), annotation(choice("Sports")), annotation(choice("World"), at=1)),
        task(3, annotation(choice("World"), at=1), annotation(choice("Sports"))),
    ]
    assert labels(tasks, "majority") == ["World", "World", None]
    assert read(tasks, "majority")[1] == (
        "read as Label Studio: 1 tied record has no label; annotators disagree on 2 records"
    )
    assert labels(tasks, "first") == ["World", "Sports", "Sports"]  # the oldest, wherever it is listed
    line = refused(tasks)
    assert "people gave the record with id 2 different labels ('Sports' and 'World')" in line
    assert "`annotators='majority'`" in line
    assert "`annotators='first'`" in line
    assert labels(tasks[:1]) == ["World"]


def test_completions_of_old_versions_are_read() -> None:
    old = {
        "id": 1,
        "data": {"text": "a"},
        "completions": [{"id": 1001, "lead_time": 2.1, "result": [choice("World")]}],
        "predictions": [],
    }
    skipped = old | {"id": 2, "completions": [{"id": 1002, "skipped": True, "result": []}]}
    assert labels([old, skipped]) == ["World", None]


def test_a_rating_is_a_label() -> None:
    stars = {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": 4}}
    assert labels([task(1, annotation(stars))]) == ["4"]


def test_answers_to_several_questions_are_columns() -> None:
    both = annotation(choice("World"), choice("Positive", question="mood"))
    rows, _ = read([task(1, both), task(2, annotation(choice("Sports")))])
    assert rows == [
        {"id": 1, "text": "text 1", "topic": "World", "mood": "Positive"},
        {"id": 2, "text": "text 2", "topic": "Sports", "mood": None},
    ]


def test_free_text_beside_the_choice_is_left_out() -> None:
    comment = {"from_name": "why", "to_name": "text", "type": "textarea", "value": {"text": ["because"]}}
    assert labels([task(1, annotation(choice("World"), comment))]) == ["World"]


def test_labels_may_begin_after_the_first_records() -> None:
    tasks = [task(number) for number in range(1000)] + [task(1000, annotation(choice("World")))]
    assert labels(tasks)[-2:] == [None, "World"]
    other = task(1001, annotation(choice("Sad", question="mood")))
    assert labels([*tasks, other])[-1] == "choices for 'mood', but the first records are about other questions"


def test_a_task_that_does_not_fit_is_no_row() -> None:
    tasks = [task(number, annotation(choice("World"))) for number in range(1000)]
    late = [{"id": 1}, {"id": 1, "data": {"text": "a"}, "annotations": "none"}, task(3, annotation(choice("a", "b")))]
    shaped = "a task of Label Studio has `data` and a list of `annotations`, each with a `result`"
    assert labels(tasks + late)[1000:] == [shaped, shaped, "2 labels ('a' and 'b'), not one"]


def test_several_choices_are_refused() -> None:
    line = refused([task(9, annotation(choice("World", "Sports")))])
    assert "have several choices, as in the record with id 9" in line
    assert "choice='single'" in line


def test_spans_are_refused() -> None:
    span = {"from_name": "who", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 4, "labels": ["PER"]}}
    assert "their answers are labels" in refused([task(1, annotation(span))])
    about_a_span = choice("Rude")
    about_a_span["value"] |= {"start": 0, "end": 4}
    assert "their answers are choices, labels" in refused([task(1, annotation(span, about_a_span))])


def minimal(number: int, label: Any, annotator: int = 1) -> Record:
    return {
        "text": f"text {number}",
        "id": number,
        "sentiment": label,
        "annotator": annotator,
        "annotation_id": 10 * number + annotator,
        "created_at": "2024-03-01T09:00:00Z",
        "updated_at": "2024-03-01T09:00:00Z",
        "lead_time": 1.5,
    }


def test_json_min_is_a_row_per_annotation() -> None:
    records = [minimal(1, "Positive"), minimal(2, "Negative"), minimal(2, "Negative", 2)]
    assert read(records) == (records, "read as Label Studio's JSON-MIN")
    assert labels([minimal(1, "Positive"), minimal(2, {"choices": []})], column="sentiment") == ["Positive", None]


@pytest.mark.parametrize("annotators", [None, "majority", "first"])
def test_json_min_of_people_who_disagree_stops(annotators: str | None) -> None:
    records = [minimal(1, "Positive"), minimal(2, "Negative"), minimal(2, "Positive", 2)]
    line = refused(records, annotators)
    assert "gives 1 of the tasks different annotations" in line
    assert "export the project as JSON" in line


def test_json_min_of_several_choices_or_spans_is_refused() -> None:
    assert "have several choices" in refused([minimal(1, {"choices": ["Positive", "Negative"]})])
    assert "label spans" in refused([minimal(1, [{"start": 0, "end": 4, "text": "text", "labels": ["PER"]}])])
    few = [minimal(number, "Positive") for number in range(30)] + [minimal(30, {"choices": ["Positive", "Negative"]})]
    assert labels(few, column="sentiment")[-1] == "2 labels ('Positive' and 'Negative'), not one"
