"""spaCy's cats."""

import pytest

from scorer.data.annotations.recognise import shape_of
from scorer.data.annotations.spacy import from_pair
from tests.scorer.data.annotations.helpers import labels, read, refused


def test_the_class_with_one_is_the_label() -> None:
    records = [
        {"text": "moving to another database", "cats": {"DOCS": 0.0, "OTHER": 1.0}, "meta": 3},
        {"text": "typo in the guide", "cats": {"DOCS": True, "OTHER": False}},
        {"text": "hm", "cats": {"DOCS": 0, "OTHER": 0}},
    ]
    rows, note = read(records)
    assert rows == [record | {"label": label} for record, label in zip(records, ["OTHER", "DOCS", None], strict=True)]
    assert note == "read as spaCy's cats: 1 all-zero record has no label"


def test_a_record_that_does_not_fit_is_no_row() -> None:
    records = [{"text": str(i), "cats": {"A": 1.0, "B": 0.0}} for i in range(1000)]
    late = [{"A": 1, "B": 1}, {"A": 0.7, "B": 0.3}, {"A": "yes"}, ["A"], None, {}, {"A": 2.0}]
    assert labels(records + [{"text": "late", "cats": cats} for cats in late])[1000:] == [
        "2 classes of `cats` are 1, not one",
        "`cats` must be 0 or 1, not 0.7",
        *["`cats` must give each class a number from 0 to 1"] * 5,
    ]


def test_classes_that_do_not_exclude_each_other_are_refused() -> None:
    line = refused([{"text": "angry " * 40, "cats": {"ANGRY": 1.0, "SAD": 1.0}}])
    assert "their classes don't exclude each other, as in the record 'angry angry" in line
    assert "df['label'] = [max(c, key=c.get) for c in df.cats]" in line
    assert "`cats` are probabilities" in refused([{"text": "a", "cats": {"A": 0.9, "B": 0.1}}])


def test_the_format_of_spacy_2_is_refused() -> None:
    line = refused([{"id": 0, "paragraphs": [{"raw": "a", "sentences": [], "cats": [{"label": "A", "value": 1.0}]}]}])
    assert "spaCy 2" in line


def test_cats_beside_a_label_are_left_alone() -> None:
    assert shape_of([{"text": "a", "label": "A", "cats": {"A": 0.9, "B": 0.1}}]) is None


def test_a_training_pair_is_a_record() -> None:
    assert from_pair(["a", {"cats": {"A": 1.0}}]) == {"text": "a", "cats": {"A": 1.0}}


@pytest.mark.parametrize(
    "value", [["a", {"entities": []}], ["a", "b"], ["a"], {"cats": {"A": 1}}, None, ["a", {"cats": []}]]
)
def test_other_values_are_no_training_pairs(value: object) -> None:
    assert from_pair(value) is None
