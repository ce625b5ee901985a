"""Records that are nobody's export stay as they are, whatever their columns are called."""

from typing import Any

import pytest

from scorer.data.annotations.recognise import light, shape_of
from tests.scorer.data.annotations.helpers import refused


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{}],
        [{"text": "a", "label": "b"}],
        [{"question": "Which river?", "answer": "the Elbe"}, {"question": "Do you take it?", "answer": "accept"}],
        [{"question": "Do you take it?", "answer": "accept"}],
        [{"question": "Do you take it?", "answer": ["accept"], "label": "a"}],
        [{"offer": "a car", "text": "no", "answer": "reject", "label": "polite"}],
        [{"text": "a", "answer": "reject"}],
        [{"text": "a", "label": "b", "answer": "maybe"}],
        [{"text": "a", "label": "b", "answer": None}],
        [{"text": "a", "accept": True, "label": "b"}],
        [{"text": "a", "accept": ["x"], "options": ["x", "y"], "label": "b"}],
        [{"question": "a", "options": ["x", "y"], "answer": 0}],
        [{"text": "a", "cats": 3, "label": "b"}],
        [{"text": "a", "cats": ["tom"], "class": "b"}],
        [{"text": "a", "cats": {"tom": "black"}}],
        [{"text": "a", "cats": {"tom": 12}}],
        [{"text": "a", "cats": {}}],
        [{"name": "a", "cats": {"tom": 1}}],
        [{"text": "a", "annotations": "b"}],
        [{"text": "a", "annotations": [{"label": "b"}], "label": "c"}],
        [{"data": "a", "annotations": [], "label": "c"}],
        [{"data": {"text": "a"}, "label": "c"}],
        [{"data": {"text": "a"}, "annotations": ["b"]}],
        [{"data": {"text": "a"}, "annotations": [{"result": "b"}]}],
        [{"text": "a", "data": [1, 2], "label": "b"}],
        [{"inputs": "a", "label": "b", "status": "Validated"}],
        [{"inputs": {"text": "a"}, "targets": "b"}],
        [{"inputs": "a", "annotation": "b", "prediction": "c", "status": "done"}],
        [{"text": "a", "annotation": "b", "prediction": "c", "status": "Validated"}],
        [{"text": "a", "status": "Discarded", "label": "b"}],
        [{"fields": {"text": "a"}, "label": "b"}],
        [{"fields": {"text": "a"}, "responses": {}, "label": "b"}],
        [{"text": "a", "responses": ["b"], "label": "c"}],
        [{"text": "a", "label": None, "label-suggestion": "b"}],
        [{"text": "a", "annotator": "b", "label": "c", "lead_time": 2}],
        [{"text": "a", "label": {"name": "b"}}],
        [{"text": "a", "paragraphs": [], "label": "b"}],
        [{"text": "a", "projects": "b", "data_row": "c", "label": "d"}],
        [{"premise": "a", "hypothesis": "b", "label": 1}],
        [{"text": "a", "tags": ["x"], "entities": [[0, 1, "X"]], "label": "b"}],
        [{"text": "a", "label": "b"}, {"text": "a", "label": "b", "answer": "accept", "_input_hash": 1}],
    ],
)
def test_plain_records(records: list[dict[str, Any]]) -> None:
    assert shape_of(records) is None
    assert shape_of(records * 20) is None


def test_one_odd_record_does_not_hide_a_shape() -> None:
    task = {"text": "a", "label": "X", "answer": "accept", "_input_hash": 1, "_task_hash": 2}
    found = shape_of([{}, *[task] * 9, {"text": "b"}])
    assert found is not None
    assert found.name == "Prodigy"
    assert shape_of([task, {"text": "b"}]) is None


def test_labelbox_is_refused() -> None:
    record = {"data_row": {"id": "c1", "row_data": "a"}, "projects": {"p": {"labels": []}}, "media_attributes": {}}
    line = refused([record])
    assert "look like Labelbox's" in line
    assert "radio_answer" in line


def test_no_line_is_long_whatever_the_data_says() -> None:
    long = "name\n" * 300
    result = {"type": "choices", "from_name": long, "value": {"choices": [long + "a"]}}
    other = {"type": "choices", "from_name": long, "value": {"choices": [long + "b"]}}
    task = {"id": long, "data": {"text": "a"}, "annotations": [{"result": [result]}, {"result": [other]}]}
    refused([task])
    refused([{"id": long, "text": long, "label": [long, long]}])
    refused([{"text": long, "cats": {long: 1, "b": 1}}])
    refused([{"id": 1, "data": {}, "annotations": [{"result": [{"type": long, "value": {}}]}]}])
    refused([{"text": long, "options": [], "accept": [long, long], "answer": "accept"}])


def test_light_cuts_texts_only() -> None:
    value = {"text": "a" * 1000, "data": {"list": ["b" * 500, 3, None, True]}, "short": "c"}
    assert light(value) == {"text": "a" * 100, "data": {"list": ["b" * 100, 3, None, True]}, "short": "c"}
    deep: Any = "d" * 1000
    for _ in range(900):
        deep = [deep]
    assert light(deep) == deep
