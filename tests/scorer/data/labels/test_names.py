"""labels: by name, whatever the order, spelling or type; numbers only where there is no name to go by."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import LabelError
from scorer.data.labels.label_map import (
    NO_LABEL,
    UNKNOWN,
    is_generic,
    make_label_map,
)
from tests.scorer.data.labels.helpers import CLASSES, STARS, mapped
from tests.support.facts import facts

GENERIC = ("LABEL_0", "LABEL_1", "LABEL_2")


class TestNames:
    def test_case_and_white_space_do_not_count(self) -> None:
        values = ["World", " sPORTS ", "BUSINESS\n", "sci/tech", "\tSci/Tech"]
        assert mapped(make_label_map(CLASSES, None), values) == [0, 1, 2, 3, 3]
        assert mapped(make_label_map(("very  good", "Straße"), None), ["Very good", " VERY\u2003GOOD", "STRASSE"]) == [
            0,
            0,
            1,
        ]

    def test_other_names_are_unknown_and_counted(self) -> None:
        labels = pa.array(["World", "Wrold", "Sport", "Wrold", None])
        index, unknown = make_label_map(CLASSES, None).indices(labels)
        assert index.tolist() == [0, UNKNOWN, UNKNOWN, UNKNOWN, NO_LABEL]
        assert index.dtype == np.int32
        assert unknown == {"Wrold": 2, "Sport": 1}

    @pytest.mark.parametrize("label", ["", "  ", "nan", "NaN", None])
    def test_no_label(self, label: str | None) -> None:
        assert mapped(make_label_map(CLASSES, None), [label, "Sports"]) == [NO_LABEL, 1]

    def test_a_class_may_be_called_nan(self) -> None:
        assert mapped(make_label_map(("NaN", "Roti"), None), ["nan", "roti", None, ""]) == [0, 1, NO_LABEL, NO_LABEL]

    def test_bytes_that_are_not_utf8_are_an_unknown_label(self) -> None:
        labels = pa.array([b"World", b"Mus\xe9e", None, b"Mus\xe8e"], pa.binary()).view(pa.string())
        index, unknown = make_label_map(CLASSES, None).indices(labels)
        assert index.tolist() == [0, UNKNOWN, NO_LABEL, UNKNOWN]
        assert unknown == {"Mus\ufffde": 2}

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.sampled_from([*CLASSES, "", "other", None]), max_size=40), st.randoms())
    def test_every_row_gets_its_own_labels_index(self, labels: list[str | None], random: object) -> None:
        expected = [
            NO_LABEL if label in (None, "") else CLASSES.index(label) if label in CLASSES else UNKNOWN
            for label in labels
        ]
        index, unknown = make_label_map(CLASSES, None).indices(pa.array(labels, pa.string()))
        assert index.tolist() == expected
        assert unknown.total() == expected.count(UNKNOWN)


class TestColumns:
    @pytest.mark.parametrize("index_type", [pa.int8(), pa.uint8(), pa.int32(), pa.int64()])
    def test_dictionary_encoded_with_nulls(self, index_type: pa.DataType) -> None:
        codes = pa.array([2, None, 0, 1, 2], index_type)
        labels = pa.DictionaryArray.from_arrays(codes, pa.array(["Sports", None, "World"]))
        assert mapped(make_label_map(CLASSES, None), labels) == [0, NO_LABEL, 1, NO_LABEL, 0]

    def test_a_full_dictionary(self) -> None:
        # 128 values fill the indices' type: there is no number left in it to stand for null.
        names = tuple(f"class {i}" for i in range(128))
        codes = pa.array([127, None, 0], pa.int8())
        labels = pa.DictionaryArray.from_arrays(codes, pa.array(names))
        assert mapped(make_label_map(names, None), labels) == [127, NO_LABEL, 0]

    def test_a_dictionary_value_that_no_row_has_is_not_unknown(self) -> None:
        labels = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array(["World", "Other"]))
        assert make_label_map(CLASSES, None).indices(labels)[1] == {}

    def test_a_column_of_nulls(self) -> None:
        index, unknown = make_label_map(CLASSES, None).indices(pa.nulls(3))
        assert index.tolist() == [NO_LABEL] * 3
        assert unknown == {}

    def test_no_rows(self) -> None:
        index, unknown = make_label_map(CLASSES, None).indices(pa.array([], pa.string()))
        assert (index.tolist(), unknown) == ([], {})


class TestNumbers:
    @pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64()])
    def test_as_they_are_where_the_data_has_no_names(self, kind: pa.DataType) -> None:
        label_map = make_label_map(CLASSES, None)
        assert mapped(label_map, [3, None, 0, 1], kind) == [3, NO_LABEL, 0, 1]
        assert label_map.check_order

    @pytest.mark.parametrize(
        ("label", "index"),
        [("2", 2), (" 2 ", 2), ("2.0", 2), ("02", 2), ("2.5", UNKNOWN), ("2.00", UNKNOWN), ("+2", UNKNOWN)],
    )
    def test_as_text(self, label: str, index: int) -> None:
        assert mapped(make_label_map(CLASSES, None), [label]) == [index]

    def test_floats_with_gaps(self) -> None:
        labels = [2.0, float("nan"), 0.0, 1.5, None, float("inf"), -1.0, 1e300]
        expected = [2, NO_LABEL, 0, UNKNOWN, NO_LABEL, UNKNOWN, NO_LABEL, UNKNOWN]
        assert mapped(make_label_map(CLASSES, None), labels) == expected

    def test_out_of_range(self) -> None:
        index, unknown = make_label_map(CLASSES, None).indices(pa.array([4, -2, -1, 2**62, 3]))
        assert index.tolist() == [UNKNOWN, UNKNOWN, NO_LABEL, UNKNOWN, 3]
        assert unknown == {"4": 1, "-2": 1, str(2**62): 1}

    def test_a_text_of_thousands_of_digits_is_only_unknown(self) -> None:
        assert mapped(make_label_map(CLASSES, None), ["9" * 5000, "-" + "9" * 5000, "1"]) == [UNKNOWN, UNKNOWN, 1]

    def test_booleans(self) -> None:
        assert mapped(make_label_map(("bad", "good"), None), [True, False, None]) == [1, 0, NO_LABEL]
        # CSV and JSON lines hold the same labels as text.
        assert mapped(make_label_map(("bad", "good"), None), ["true", "False", None]) == [1, 0, NO_LABEL]

    def test_booleans_go_by_name_where_the_classes_have_these_names(self) -> None:
        assert mapped(make_label_map(("True", "False"), None), [True, False]) == [0, 1]
        assert mapped(make_label_map(("True", "False"), None), ["true", "false"]) == [0, 1]

    def test_class_names_that_are_numbers_are_names(self) -> None:
        label_map = make_label_map(STARS, None)
        assert mapped(label_map, [1, 5, 0, 6]) == [0, 4, UNKNOWN, UNKNOWN]
        assert mapped(label_map, [1.0, 5.0, float("nan"), -1.0]) == [0, 4, NO_LABEL, NO_LABEL]
        assert mapped(label_map, ["1.0", "5"]) == [0, 4]
        assert not label_map.check_order

    def test_minus_one_may_be_a_class(self) -> None:
        assert mapped(make_label_map(("-1", "0", "1"), None), [-1, 0, 1]) == [0, 1, 2]


class TestClassLabel:
    def test_numbers_go_by_the_names_behind_them(self) -> None:
        data_names = ("sci/tech", "world", "Business ", "SPORTS")
        label_map = make_label_map(CLASSES, data_names)
        assert mapped(label_map, [0, 1, 2, 3, -1, None, 4]) == [3, 0, 2, 1, NO_LABEL, NO_LABEL, UNKNOWN]
        assert label_map.how == "by class name"
        assert not label_map.check_order

    @settings(max_examples=50, deadline=None)
    @given(st.permutations(range(len(CLASSES))))
    def test_in_any_order(self, order: list[int]) -> None:
        label_map = make_label_map(CLASSES, tuple(CLASSES[i] for i in order))
        assert mapped(label_map, list(range(len(CLASSES)))) == order

    def test_some_of_the_models_classes(self) -> None:
        assert mapped(make_label_map(CLASSES, ("Business", "World")), [0, 1, 2]) == [2, 0, UNKNOWN]

    def test_numbers_win_over_names_that_look_like_them(self) -> None:
        assert mapped(make_label_map(STARS, ("5", "4", "3", "2", "1")), [0, 4, 2]) == [4, 0, 2]

    def test_names_that_do_not_match_are_refused_with_both_lists(self) -> None:
        with pytest.raises(
            LabelError,
            match=facts(
                "the model lacks 'Sport'",
                "it has 'World', 'Sports', 'Business', 'Sci/Tech'",
                "`label_map`",
                "`write_label_map`",
            ),
        ):
            make_label_map(CLASSES, ("World", "Sport", "Sci/Tech"))

    def test_long_lists_are_cut(self) -> None:
        with pytest.raises(LabelError, match=r"'intent 5' and 145 more; it has 'World'") as caught:
            make_label_map(CLASSES, tuple(f"intent {i}" for i in range(151)))
        assert len(str(caught.value)) <= 400


class TestGenericNames:
    @pytest.mark.parametrize(
        ("names", "generic"),
        [
            (GENERIC, True),
            (("label_0", "Label_1"), True),
            (("LABEL_0",), True),
            (("LABEL_1", "LABEL_0"), False),
            (("LABEL_0", "LABEL_2"), False),
            (("LABEL_0", "good"), False),
            (("LABEL_00x",), False),
        ],
    )
    def test_what_is_generic(self, names: tuple[str, ...], generic: bool) -> None:
        assert is_generic(names) is generic

    def test_numbers_and_the_datas_own_names_go_by_number(self) -> None:
        label_map = make_label_map(GENERIC, ("neg", "Neu", "pos"))
        assert mapped(label_map, [2, 0, -1, 3]) == [2, 0, NO_LABEL, UNKNOWN]
        assert mapped(label_map, ["POS", "label_1", "neg", "other"]) == [2, 1, 0, UNKNOWN]
        assert label_map.how == "by number: the model's class names are generic"
        assert label_map.check_order

    def test_names_of_the_data_that_are_numbers_are_not_taken_for_the_numbers_behind_them(self) -> None:
        assert mapped(make_label_map(GENERIC, ("1", "2", "3")), [0, 1, 2, -1]) == [0, 1, 2, NO_LABEL]

    def test_another_number_of_classes_is_refused(self) -> None:
        with pytest.raises(LabelError, match=facts("data has 2 classes ('neg', 'pos')", "model has 3", "`label_map`")):
            make_label_map(GENERIC, ("neg", "pos"))
