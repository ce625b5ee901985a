"""labels: how a label column of any type is read, and which columns hold labels."""

from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest

from scorer import LabelError
from scorer.data.labels.counts import count_labels
from scorer.data.labels.guess import class_columns
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN, make_label_map
from scorer.data.labels.values import single_labels
from scorer.data.opening.open import open_source
from tests.scorer.data.labels.helpers import CLASSES, STARS, mapped
from tests.support.facts import facts


class TestSpellings:
    def test_unicode_forms(self) -> None:
        composed, split = "Qualit\u00e9", "Qualite\u0301"
        assert mapped(make_label_map((composed, "Prix"), None), [split, composed, "PRIX"]) == [0, 0, 1]
        assert mapped(make_label_map((split, "Prix"), None), [composed, split.upper()]) == [0, 0]
        assert mapped(make_label_map(("a", "b"), None, {split: "b"}), [composed]) == [1]

    def test_decimals(self) -> None:
        label_map = make_label_map(CLASSES, None)
        for kind in (pa.decimal128(38, 0), pa.decimal128(5, 2), pa.decimal256(50, 1)):
            assert mapped(label_map, [Decimal(3), None, Decimal(0), Decimal(1)], kind) == [3, NO_LABEL, 0, 1]
        assert mapped(label_map, [Decimal("1.5"), Decimal("2.00")], pa.decimal128(5, 2)) == [UNKNOWN, 2]

    @pytest.mark.parametrize("word", ["", " ", "NaN", "nan", "None", "<NA>", "\\N", None])
    def test_missing(self, word: str | None) -> None:
        assert mapped(make_label_map(CLASSES, None), [word, "Sports"]) == [NO_LABEL, 1]
        if word and word.strip():
            assert mapped(make_label_map((word, "b"), None), [word, "b"]) == [0, 1]

    @pytest.mark.parametrize("word", ["none", "N/A", "null", "NAN", "nAn"])
    def test_other_words_are_unknown_labels(self, word: str) -> None:
        assert mapped(make_label_map(CLASSES, None), [word]) == [UNKNOWN]


class TestLists:
    @pytest.mark.parametrize(
        "kind",
        [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.dictionary(pa.int8(), pa.string()))],
    )
    def test_of_one_element(self, kind: pa.DataType) -> None:
        column = pa.array([["World"], [], None, ["Sports"], [None]], pa.list_(pa.string())).cast(kind)
        single = single_labels(column, kind, "label")
        assert mapped_array(single) == [0, NO_LABEL, NO_LABEL, 1, NO_LABEL]
        assert mapped_array(single_labels(column.slice(3), kind, "label")) == [1, NO_LABEL]

    def test_of_fixed_size(self) -> None:
        kind = pa.list_(pa.int64(), 1)
        assert mapped_array(single_labels(pa.array([[3], None, [0]], kind), kind, "label")) == [3, NO_LABEL, 0]

    def test_of_json(self) -> None:
        column = pa.array(['["World"]', "[]", None, "[1]", "Sports", "[null]", '["a'])
        single = single_labels(column, pa.list_(pa.string()), "label")
        assert mapped_array(single) == [0, NO_LABEL, NO_LABEL, 1, 1, NO_LABEL, UNKNOWN]
        assert mapped_array(column) == [UNKNOWN, UNKNOWN, NO_LABEL, UNKNOWN, 1, UNKNOWN, UNKNOWN]  # a column of text

    @pytest.mark.parametrize("column", [pa.array([["a"], ["b", "c"]]), pa.array(['["a"]', '["b", "c"]'])])
    def test_of_several(self, column: pa.Array) -> None:
        with pytest.raises(LabelError, match=r"row 101, counted from 0, has 2 labels in column 'tags' \('b', 'c'\)"):
            single_labels(column, pa.list_(pa.string()), "tags", 100)


def mapped_array(labels: pa.Array) -> list[int]:
    return make_label_map(CLASSES, None).indices(labels)[0].tolist()  # type: ignore[no-any-return]


class TestCounts:
    def test_every_row_counts_whatever_the_type(self) -> None:
        for labels, counts in (
            (pa.array(["a"] * 5000 + ["b", None, ""]), {"a": 5000, "b": 1, "": 1}),
            (pa.array([1, None, 1, 2]), {"1": 2, "2": 1}),
            (pa.array([1.0, float("nan"), 2.5]), {"1.0": 1, "2.5": 1}),
            (pa.array(["a", "b", "a", None]).dictionary_encode(), {"a": 2, "b": 1}),
            (pa.array([["a"], [], ["b"]]), {"a": 1, "b": 1}),
            (pa.array([True, False, True]), {"True": 2, "False": 1}),
        ):
            source = open_source(pa.table({"text": ["w1"] * len(labels), "label": labels}))
            assert count_labels(source, "label") == Counter(counts)

    def test_too_many_different_values_are_no_labels(self) -> None:
        source = open_source(pa.table({"text": ["w1"] * 101, "label": [f"value {i}" for i in range(101)]}))
        assert len(count_labels(source, "label", most=101)) == 101
        with pytest.raises(LabelError, match=facts("'label' has 101 different values", "`label_column`", "`no_label=")):
            count_labels(source, "label", most=100)

    def test_a_column_of_long_texts_is_not_kept_in_memory(self) -> None:
        texts = [f"{i} " + "a long text " * 2000 for i in range(1500)]
        source = open_source(pa.table({"text": ["w1"] * 1500, "label": texts}))
        with pytest.raises(LabelError, match="different values"):
            count_labels(source, "label")


class TestUnnamedColumns:
    @pytest.mark.parametrize(
        ("values", "is_found"),
        [
            (["World", " sports", None, "NaN"], True),
            (["World", "Sports", "Other", "World"], False),
            ([None, None, "", None], False),
            ([["World"], [], ["Sports"], None], True),
            ([["World", "Sports"], [], ["Sports"], None], False),
            ([0, 1, 2, 3], False),
        ],
    )
    def test_whose_values_are_the_classes(self, values: list[object], is_found: bool) -> None:
        table = pa.table({"text": ["w1"] * 4, "topic": values, "n": [1, 2, 3, 4]})
        assert class_columns(open_source(table), ["text"], CLASSES) == (["topic"] if is_found else [])

    def test_numbers_where_the_classes_are_numbers(self) -> None:
        table = pa.table({"text": ["w1"] * 3, "rating": [1, 5, 3], "votes": [10, 0, 3]})
        assert class_columns(open_source(table), ["text"], STARS) == ["rating"]
