"""doccano's exports of text classification, and labels in lists."""

from typing import Any

import pytest

from scorer.data.annotations.base import NotARow, single
from scorer.data.annotations.recognise import shape_of
from tests.scorer.data.annotations.helpers import Record, labels, read, refused, shape


def exported(number: int, *given: Any) -> Record:
    return {"id": number, "text": f"text {number}", "label": list(given), "Comments": []}


def test_the_only_label_is_the_label() -> None:
    rows, note = read([exported(7, "Sports"), exported(8), exported(9, "World")])
    assert rows == [
        {"id": 7, "text": "text 7", "label": "Sports", "Comments": []},
        {"id": 8, "text": "text 8", "label": None, "Comments": []},
        {"id": 9, "text": "text 9", "label": "World", "Comments": []},
    ]
    assert note == "read as doccano: 1 unanswered record has no label"


def test_older_and_other_forms_are_read() -> None:
    old = {"doc_id": 20, "text": "a", "labels": ["x"], "username": "admin"}
    assert read([old]) == ([{"doc_id": 20, "text": "a", "username": "admin", "label": "x"}], "read as doccano")
    intents = {"id": 1, "text": "a flight", "entities": [[2, 8, "THING"]], "cats": ["BOOK"]}
    assert labels([intents]) == ["BOOK"]
    unnamed = {"id": 1, "data": "a", "label": ["x"]}
    assert read([unnamed])[0] == [unnamed | {"label": "x"}]


def test_fields_of_the_imported_file_are_kept() -> None:
    record = exported(1, "x") | {"author": "Anna"}
    assert read([record]) == ([record | {"label": "x"}], "read as lists of labels")


def test_several_labels_are_refused() -> None:
    line = refused([exported(31, "Sports", "World"), exported(32, "World")])
    assert "have several labels, as the record with id 31 does" in line
    assert "df['label'] = df['label'].str[0]" in line


def test_a_few_records_with_several_labels_are_no_rows() -> None:
    records = [exported(number, "World") for number in range(99)]
    records += [exported(99, "Sports", "World"), exported(100, "a", "b", "c"), exported(101, [0, 4, "PER"])]
    # The first 1,000 records decide; here they are the first 99.
    found = shape(records[:99])
    reasons = []
    for record in records[99:]:
        with pytest.raises(NotARow) as caught:
            found.row(record, None)
        reasons.append(str(caught.value))
    assert reasons == [
        "2 labels ('Sports' and 'World'), not one",
        "3 labels ('a' and 'b'), not one",
        "the label is a span of the text",
    ]
    assert labels(records[:100]) == ["World"] * 99 + ["2 labels ('Sports' and 'World'), not one"]


@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "text": "Anna", "label": [[0, 4, "PER"]]},
        {"id": 1, "text": "Anna", "labels": [[0, 4, "PER"]]},
        {"text": "Anna", "labels": [[0, 4, "PER"]]},
        {
            "id": 1,
            "text": "Anna",
            "entities": [{"id": 1, "label": "PER", "start_offset": 0, "end_offset": 4}],
            "relations": [],
        },
    ],
)
def test_spans_are_refused(record: Record) -> None:
    assert "label spans of the text" in refused([record, record | {"text": "Berta"}])


def test_numbers_of_labels_are_refused() -> None:
    record = {"id": 16, "text": "a", "annotations": [{"label": 8, "user": 1}], "meta": {}}
    assert "name labels by number" in refused([record])


@pytest.mark.parametrize("key", ["label", "labels", "category", "intent", "topics"])
def test_a_list_of_one_is_its_element_in_plain_records(key: str) -> None:
    records = [{"text": "a", key: ["x"], "n": 1}, {"text": "b", key: [3], "n": 2}, {"text": "c", key: [], "n": 3}]
    rows, note = read(records)
    assert rows == [{"text": "a", key: "x", "n": 1}, {"text": "b", key: 3, "n": 2}, {"text": "c", key: None, "n": 3}]
    assert note == "read as lists of labels: 1 unanswered record has no label"


def test_a_few_lists_of_several_are_left_alone_where_other_columns_may_be_the_labels() -> None:
    records = [{"text": str(number), "verdict": "x", "topics": ["a"]} for number in range(99)]
    records.append({"text": "99", "verdict": "x", "topics": ["a", "b"]})
    assert labels(records, column="topics")[-2:] == ["a", ["a", "b"]]
    renamed = [{"text": record["text"], "n": 1, "label": record["topics"]} for record in records]
    assert labels(renamed)[-2:] == ["a", "2 labels ('a' and 'b'), not one"]


def test_a_label_that_is_sometimes_a_list_is_read() -> None:
    assert labels([{"text": "a", "label": ["x"]}, {"text": "b", "label": "y"}, {"text": "c"}]) == ["x", "y", None]


@pytest.mark.parametrize(
    ("value", "only"), [(["World"], "World"), ([], None), ("World", "World"), (None, None), ([3], 3), ((False,), False)]
)
def test_single(value: object, only: object) -> None:
    assert single(value) == only
    assert type(single(value)) is type(only)


@pytest.mark.parametrize("value", [["a", "b"], [["a"]], [{"label": "a"}], [1, 2, 3]])
def test_single_refuses_several(value: object) -> None:
    with pytest.raises(NotARow):
        single(value)


def test_lists_of_several_are_plain_unless_they_are_doccanos() -> None:
    assert (
        shape_of([{"text": "a", "labels": [2, 5], "author": "b"}, {"text": "b", "labels": [1], "author": "c"}]) is None
    )
    assert shape_of([{"text": "a", "topics": ["x", "y"]}]) is None
    assert shape_of([{"text": "a", "label": "x", "topics": ["z"]}]) is None
    assert shape_of([{"text": "a", "label": [{"name": "x"}], "author": "b"}]) is None
