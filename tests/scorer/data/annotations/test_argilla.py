"""Argilla's records of versions 1 and 2, and Rubrix's."""

from typing import Any

import pytest

from tests.scorer.data.annotations.helpers import Record, labels, read, refused


def nested(number: int, *given: Any, status: str = "completed", **more: Any) -> Record:
    """A record as version 2 writes it by records.to_json: the responses have no status."""
    responses = [{"value": value, "user_id": f"user-{place}"} for place, value in enumerate(given)]
    return {
        "id": str(number),
        "fields": {"text": f"text {number}"},
        "metadata": {"source": "mail"},
        "suggestions": {"topic": {"value": "Suggested", "score": 0.9, "agent": "model"}},
        "responses": {"topic": responses} if responses else {},
        "vectors": {},
        "status": status,
        "_server_id": f"server-{number}",
        **more,
    }


def flat(number: int, given: list[Any] | None, statuses: list[str] | None, **more: Any) -> Record:
    """A record as version 2 writes it by records.to_list(flatten=True), and as to_datasets and to_hub do."""
    return {
        "id": str(number),
        "status": "completed",
        "_server_id": f"server-{number}",
        "text": f"text {number}",
        "source": "mail",
        "topic.responses": given,
        "topic.responses.users": given and [f"user-{place}" for place, _ in enumerate(given)],
        "topic.responses.status": statuses,
        "topic.suggestion": "Suggested",
        "topic.suggestion.score": 0.9,
        "topic.suggestion.agent": "model",
        **more,
    }


def test_a_response_of_a_nested_record_is_the_label() -> None:
    records = [nested(1, "World"), nested(2, status="pending"), nested(3, "Sports", status="pending")]
    rows, note = read(records)
    assert rows == [
        {
            "id": str(number),
            "metadata": {"source": "mail"},
            "status": status,
            "_server_id": f"server-{number}",
            "text": f"text {number}",
            "label": label,
        }
        for number, status, label in [(1, "completed", "World"), (2, "pending", None), (3, "pending", None)]
    ]
    assert note == "read as Argilla: 1 unanswered and 1 unfinished records have no label"


def test_only_submitted_responses_of_a_flat_record_count() -> None:
    records = [
        flat(1, ["World"], ["submitted"]),
        flat(2, ["Sports", "World"], ["discarded", "submitted"]),
        flat(3, ["Sports"], ["discarded"]),
        flat(4, ["Sports"], ["draft"]),
        flat(5, None, None),
        flat(6, [], []),
    ]
    rows, note = read(records)
    assert [row["label"] for row in rows if isinstance(row, dict)] == ["World", "World", None, None, None, None]
    assert rows[0] == {
        "id": "1",
        "status": "completed",
        "_server_id": "server-1",
        "text": "text 1",
        "source": "mail",
        "topic.suggestion": "Suggested",
        "topic.suggestion.score": 0.9,
        "topic.suggestion.agent": "model",
        "label": "World",
    }
    assert note == "read as Argilla: 1 discarded and 3 unanswered records have no label"


def test_one_label_of_several_people() -> None:
    submitted = ["submitted"] * 3
    records = [flat(1, ["a", "b", "b"], submitted), flat(2, ["b", "a"], submitted[:2]), flat(3, ["c"], submitted[:1])]
    assert labels(records, "majority") == ["b", None, "c"]
    assert labels(records, "first") == ["a", "b", "c"]
    assert "people gave the record with id 1 different labels ('a' and 'b')" in refused(records)


def test_differing_responses_without_a_status_are_refused() -> None:
    for annotators in (None, "majority", "first"):
        line = refused([nested(1, "a"), nested(2, "a", "b")], annotators)
        assert "the record with id 2" in line
        assert "to_list(flatten=True)" in line
    assert labels([nested(1, "a", "a")]) == ["a"]


def test_responses_without_any_status_are_refused() -> None:
    record = nested(1, "a")
    del record["status"]
    assert "don't say which responses were discarded" in refused([record])


def test_nested_responses_may_have_a_status() -> None:
    given = [
        {"value": "a", "user_id": "u", "status": "discarded"},
        {"value": "b", "user_id": "v", "status": "submitted"},
    ]
    assert labels([nested(1) | {"responses": {"topic": given}}]) == ["b"]


def test_records_of_the_server_are_read() -> None:
    response = {"id": "r", "user_id": "u", "status": "submitted", "values": {"topic": {"value": "a"}}}
    draft = {"id": "s", "user_id": "v", "status": "draft", "values": None}
    record = {
        "id": "1",
        "fields": {"text": "x"},
        "external_id": None,
        "responses": [response, draft],
        "suggestions": [],
    }
    assert read([record])[0] == [{"id": "1", "external_id": None, "text": "x", "label": "a"}]


def test_lists_of_one_and_ratings_are_labels() -> None:
    assert labels([nested(1, ["a"]), nested(2, []), nested(3, 5)]) == ["a", None, "5"]


def test_answers_to_several_questions_are_columns() -> None:
    record = flat(1, ["World"], ["submitted"]) | {"mood.responses": ["good"], "mood.responses.status": ["submitted"]}
    (row,), _ = read([record])
    assert isinstance(row, dict)
    assert (row["topic"], row["mood"]) == ("World", "good")
    assert "label" not in row


def test_a_field_called_label_is_kept() -> None:
    (row,), _ = read([nested(1, "World") | {"fields": {"text": "a", "label": "old"}}])
    assert isinstance(row, dict)
    assert (row["label"], row["fields.label"]) == ("World", "old")


def test_several_labels_and_spans_are_refused() -> None:
    line = refused([nested(1, ["a", "b"])])
    assert "have several labels, as the record with id 1 does" in line
    assert "spans or ranks" in refused([nested(1, [{"start": 0, "end": 4, "label": "PER"}])])


def test_a_record_that_does_not_fit_is_no_row() -> None:
    records = [nested(number, "a") for number in range(1000)]
    late = [{"id": "x"}, nested(1) | {"responses": {"topic": ["a"]}}, nested(1, ["a", "b"])]
    shaped = "the responses of an Argilla record are missing, or have another form"
    assert labels(records + late)[1000:] == [shaped, shaped, "2 labels ('a' and 'b'), not one"]


def feedback(number: int, value: Any, **more: Any) -> Record:
    """A record of a FeedbackDataset of version 1, as it lies on the hub."""
    return {
        "text": f"text {number}",
        "topic": value,
        "topic-suggestion": "Suggested",
        "topic-suggestion-metadata": {"type": None, "score": 0.9, "agent": "model"},
        "external_id": None,
        "metadata": "{}",
        **more,
    }


def test_feedback_of_version_1_is_read() -> None:
    given = [{"user_id": "u", "value": "a", "status": "submitted"}, {"user_id": "v", "value": "b", "status": "draft"}]
    columns = {"user_id": ["u", "v"], "value": ["a", "c"], "status": ["discarded", "submitted"]}
    rows, note = read([feedback(1, given), feedback(2, columns), feedback(3, []), feedback(4, None)])
    assert [row["label"] for row in rows if isinstance(row, dict)] == ["a", "c", None, None]
    others = {key: value for key, value in feedback(1, None).items() if key != "topic"}
    assert rows[0] == others | {"label": "a"}
    assert note == "read as Argilla: 2 unanswered records have no label"


def classified(number: int, annotation: Any, status: str = "Validated", **more: Any) -> Record:
    """A record of text classification of version 1, as to_datasets and to_pandas write it."""
    return {
        "text": f"text {number}",
        "inputs": {"text": f"text {number}"},
        "prediction": [{"label": "Predicted", "score": 0.9}],
        "prediction_agent": "model",
        "annotation": annotation,
        "annotation_agent": "argilla",
        "multi_label": False,
        "explanation": None,
        "id": str(number),
        "metadata": {"split": "train"},
        "status": status,
        "event_timestamp": None,
        "metrics": {"text_length": 6},
        **more,
    }


def test_the_annotation_of_version_1_is_the_label() -> None:
    records = [
        classified(1, "World"),
        classified(2, None, "Default"),
        classified(3, "World", "Discarded"),
        classified(4, ["Sports"], multi_label=True),
        classified(5, "World", "Default"),
    ]
    rows, note = read(records)
    assert [row["label"] for row in rows if isinstance(row, dict)] == ["World", None, None, "Sports", "World"]
    others = {key: value for key, value in classified(1, None).items() if key not in ("annotation", "inputs")}
    assert rows[0] == others | {"label": "World"}
    assert note == "read as Argilla 1: 1 unanswered and 1 discarded records have no label"


@pytest.mark.parametrize(
    ("inputs", "columns"),
    [
        ({"text": "a"}, {"text": "a"}),
        ({"body": "a"}, {"text": "a"}),
        ("a", {"text": "a"}),
        ({"title": "a", "body": "b"}, {"text": None, "title": "a", "body": "b"}),
    ],
)
def test_rubrix_has_its_texts_in_inputs(inputs: Any, columns: Record) -> None:
    (row,), _ = read([classified(1, "World", text=None, inputs=inputs)])
    assert isinstance(row, dict)
    assert {key: row.get(key) for key in columns} == columns
    assert row["label"] == "World"
    assert "inputs" not in row


def test_several_annotations_and_tokens_are_refused() -> None:
    line = refused([classified(1, ["a", "b"], multi_label=True)])
    assert "have several labels, as the record with id 1 does" in line
    assert "df['annotation'] = df['annotation'].str[:1]" in line
    tokens = {
        "text": "Anna",
        "tokens": ["Anna"],
        "prediction": None,
        "annotation": [["PER", 0, 4]],
        "status": "Validated",
    }
    assert "label tokens" in refused([tokens])


def test_a_record_of_version_1_that_does_not_fit_is_no_row() -> None:
    records = [classified(number, "World") for number in range(100)]
    late = [classified(100, "World", "Unknown"), {"text": "a"}, classified(1, "World", text=None, inputs=3)]
    keys = "annotation, prediction, status"
    shaped = f"a record of Argilla 1 has {keys}, and a status among Default, Edited, Discarded, Validated"
    assert labels(records + late)[100:] == [shaped, shaped, "neither `text` nor `inputs` has a text"]
