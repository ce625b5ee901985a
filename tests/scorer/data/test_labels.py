"""labels: by name, whatever the order, spelling or type; numbers only where there is no name to go by."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer import LabelError
from scorer.data.labels import (
    NO_LABEL,
    UNKNOWN,
    LabelMap,
    is_generic,
    make_label_map,
    read_label_map,
    refuse_permutation,
)
from scorer.text import fold
from tests.support.facts import facts

CLASSES = ("World", "Sports", "Business", "Sci/Tech")
GENERIC = ("LABEL_0", "LABEL_1", "LABEL_2")
STARS = ("1", "2", "3", "4", "5")


def mapped(label_map: LabelMap, values: object, kind: pa.DataType | None = None) -> list[int]:
    return label_map.indices(pa.array(values, kind))[0].tolist()  # type: ignore[no-any-return]


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
                "the data has 'World', 'Sport', 'Sci/Tech'",
                "the model has 'World', 'Sports', 'Business', 'Sci/Tech'",
                "`label_map`",
                '{"Sport": "World"}',
            ),
        ):
            make_label_map(CLASSES, ("World", "Sport", "Sci/Tech"))

    def test_long_lists_are_cut(self) -> None:
        with pytest.raises(LabelError, match=r"'intent 19'; the model has 'World'"):
            make_label_map(CLASSES, tuple(f"intent {i}" for i in range(20)))
        data_names = tuple(f"intent {i}" for i in range(151))
        with pytest.raises(LabelError, match=r"'intent 19' and 131 more; the model has 'World'"):
            make_label_map(CLASSES, data_names)


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
        with pytest.raises(LabelError, match=facts("data has 2 classes ('neg', 'pos')", "model 3", "`label_map`")):
            make_label_map(GENERIC, ("neg", "pos"))


class TestLabelMapFile:
    def test_names_indices_and_null(self) -> None:
        mapping = {"World news": " world ", "7": 1, "Misc": None, "TRUE": "Business", "first": 0, "last": 3}
        label_map = make_label_map(CLASSES, None, mapping)
        assert mapped(label_map, ["first", "last"]) == [0, 3]
        assert mapped(label_map, ["WORLD  NEWS", "7", "misc", "true"]) == [0, 1, UNKNOWN, 2]
        assert mapped(label_map, [7, -1, None, 2]) == [1, NO_LABEL, NO_LABEL, UNKNOWN]
        assert mapped(label_map, [7.0, float("nan")]) == [1, NO_LABEL]
        assert mapped(label_map, ["7.0"]) == [1]
        assert (label_map.how, label_map.check_order) == ("by the given label map", False)

    def test_the_names_that_it_does_not_mention_go_by_name(self) -> None:
        # The message that refuses names gives an object with one of them as an example.
        assert mapped(make_label_map(CLASSES, None, {"Sport": "Sports"}), ["Sport", "World", "Sports"]) == [1, 0, 1]
        label_map = make_label_map(CLASSES, ("Business", "Sport", "World"), {"Sport": "Sports"})
        assert mapped(label_map, [0, 1, 2]) == [2, 1, 0]

    def test_it_overrides_the_names(self) -> None:
        assert mapped(make_label_map(CLASSES, None, {"World": "Sports", "Sports": None}), ["world", "sports"]) == [
            1,
            UNKNOWN,
        ]

    def test_its_names_apply_to_the_numbers_of_a_class_label(self) -> None:
        label_map = make_label_map(CLASSES, ("tech", "sport", "misc"), {"tech": 3, "Sport": "Sports", "misc": None})
        assert mapped(label_map, [0, 1, 2]) == [3, 1, UNKNOWN]
        assert mapped(label_map, ["TECH", "sport"]) == [3, 1]

    @pytest.mark.parametrize(("target", "close"), [("Sprots", r" \(did you mean 'Sports'\?\)"), ("xyzzy", "")])
    def test_a_class_that_is_not_there(self, target: str, close: str) -> None:
        with pytest.raises(
            LabelError,
            match=f"sends 'a' to '{target}', which is no class of the model{close}; its classes are 'World', 'Sports', "
            "'Business', 'Sci/Tech'",
        ):
            make_label_map(CLASSES, None, {"a": target})

    @pytest.mark.parametrize("target", [4, -1, True, 1.0, ["World"], {}, ""])
    def test_a_target_that_is_no_class(self, target: object) -> None:
        with pytest.raises(LabelError, match=r"the label map sends 'a' to .*, which is no class of the model"):
            make_label_map(CLASSES, None, {"a": target})

    def test_read(self, tmp_path: Path) -> None:
        file = tmp_path / "map.json"
        file.write_text('{"Économie": "Business", "1": 0, "x": null}', encoding="utf-8")
        assert read_label_map(file) == {"Économie": "Business", "1": 0, "x": None}

    @pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe{"])
    def test_that_is_no_json(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "map.json"
        file.write_bytes(content)
        with pytest.raises(LabelError, match=r"the label map .*map\.json can't be read \(.+\)"):
            read_label_map(file)

    @pytest.mark.parametrize("content", ["[]", '["World"]', "{}", "null", '"World"', "1"])
    def test_that_is_no_object(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "map.json"
        file.write_text(content)
        with pytest.raises(
            LabelError, match=r'map\.json must be a JSON object such as \{"data label": "model class"\}'
        ):
            read_label_map(file)

    def test_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(LabelError, match=r"nowhere\.json can't be read \(.*No such file"):
            read_label_map(tmp_path / "nowhere.json")


class TestRequireMatch:
    @staticmethod
    def check(labels: list[str | None], label_map: LabelMap | None = None) -> None:
        label_map = label_map or make_label_map(CLASSES, None)
        label_map.require_match(*label_map.indices(pa.array(labels, pa.string())))

    @pytest.mark.parametrize(("strays", "refused"), [(0, False), (1, False), (4, False), (5, True), (60, True)])
    def test_a_name_that_a_twentieth_of_the_rows_has_is_refused(self, strays: int, refused: bool) -> None:
        labels = ["World"] * (100 - strays) + ["Wordl"] * strays + [None] * 1000
        if refused:
            with pytest.raises(
                LabelError, match="the data has 'Wordl' which the model does not; the model has 'World'"
            ):
                self.check(labels)
        else:
            self.check(labels)

    def test_many_rare_names_pass(self) -> None:
        self.check(["World"] * 60 + [f"stray {i}" for i in range(40)])

    def test_nothing_but_rare_names_is_refused(self) -> None:
        with pytest.raises(LabelError, match=r"the data's labels don't match the model's classes.*`label_map`"):
            self.check([f"stray {i}" for i in range(100)])

    def test_rows_without_labels_pass(self) -> None:
        self.check([None, "", "-1"])
        self.check([])

    def test_labels_that_the_map_leaves_out_pass(self) -> None:
        label_map = make_label_map(CLASSES, None, {"Misc": None, "3": None})
        self.check(["World"] + ["Misc"] * 9, label_map)
        self.check(["Misc", "misc ", "3.0"], label_map)  # also a first window that has nothing else
        with pytest.raises(LabelError, match="the data has 'Other' which the model does not"):
            self.check(["Misc"] * 10 + ["Other"] * 2, label_map)

    def test_a_text_column_taken_for_the_labels_makes_no_endless_message(self) -> None:
        with pytest.raises(LabelError) as caught:
            self.check(["a long story " * 1000 + str(i) for i in range(30)])
        assert "'a long story a long story" in str(caught.value)
        assert len(str(caught.value)) < 2500


class TestRefusePermutation:
    MAP = make_label_map(CLASSES, None)

    @staticmethod
    def confusion(*rows: list[int]) -> NDArray[np.int64]:
        return np.array(rows, dtype=np.int64)

    def refuses(self, confusion: NDArray[np.int64], fit: dict[str, str]) -> str:
        with pytest.raises(LabelError) as caught:
            refuse_permutation(confusion, self.MAP)
        message = str(caught.value)
        assert f"(this one would fit: {json.dumps(fit)})" in message
        assert "the model's order is 'World', 'Sports', 'Business', 'Sci/Tech'" in message
        assert "`label_map`" in message
        # What the message says would fit is taken, and maps each number to the class its rows go to.
        taken = make_label_map(CLASSES, None, fit)
        assert mapped(taken, [int(number) for number in fit]) == [CLASSES.index(name) for name in fit.values()]
        return message

    def test_a_swap(self) -> None:
        confusion = self.confusion([90, 3, 3, 4], [5, 5, 85, 5], [5, 80, 10, 5], [1, 1, 1, 97])
        message = self.refuses(confusion, {"0": "World", "1": "Business", "2": "Sports", "3": "Sci/Tech"})
        assert "most rows labelled 1 -> 2 'Business', 2 -> 1 'Sports';" in message

    def test_a_rotation(self) -> None:
        confusion = self.confusion([0, 90, 5, 5], [5, 0, 90, 5], [5, 5, 0, 90], [90, 5, 5, 0])
        self.refuses(confusion, {"0": "Sports", "1": "Business", "2": "Sci/Tech", "3": "World"})

    def test_one_based_numbering(self) -> None:
        # 4 is no class of the model: where it is rare enough to pass as a stray, the others still give it away.
        confusion = self.confusion([0, 0, 0, 0], [90, 4, 3, 3], [4, 90, 3, 3], [4, 3, 90, 3])
        self.refuses(confusion, {"1": "World", "2": "Sports", "3": "Business"})

    def test_a_poor_model_does_not_hide_it(self) -> None:
        confusion = self.confusion([60, 20, 10, 10], [10, 20, 60, 10], [10, 60, 15, 15], [30, 15, 15, 40])
        self.refuses(confusion, {"0": "World", "1": "Business", "2": "Sports", "3": "Sci/Tech"})

    def test_ten_rows_of_a_class_are_enough(self) -> None:
        swap = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        self.refuses(swap * 10, {"0": "Sports", "1": "World", "2": "Business", "3": "Sci/Tech"})
        refuse_permutation(swap * 9, self.MAP)

    def test_names_are_shown_as_they_are_written(self) -> None:
        swap = np.array([[0, 50], [50, 0]])
        with pytest.raises(LabelError, match=r'would fit: \{"0": "Économie", "1": "世界"\}'):
            refuse_permutation(swap, make_label_map(("世界", "Économie"), None))
        with pytest.raises(LabelError, match=r'such as \{"科技": "世界"\}'):
            make_label_map(("世界", "Économie"), ("科技", "世界"))

    @settings(max_examples=60, deadline=None)
    @given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
    def test_any_permutation_seen_by_a_fair_model(self, order: list[int], seed: int) -> None:
        random = np.random.default_rng(seed)
        share = np.full((4, 4), 0.05) + np.eye(4)[order] * 0.8
        confusion = np.array([random.multinomial(100, row) for row in share])
        if order == [0, 1, 2, 3]:
            refuse_permutation(confusion, self.MAP)
        else:
            self.refuses(confusion, {str(i): CLASSES[order[i]] for i in range(4)})

    @pytest.mark.parametrize(
        "confusion",
        [
            np.eye(4, dtype=np.int64) * 100,
            np.full((4, 4), 25),  # a model that guesses
            np.array([[100, 0, 0, 0]] * 4),  # one that always says World
            np.array(
                [[90, 4, 3, 3], [3, 20, 70, 7], [2, 3, 92, 3], [2, 3, 5, 90]]
            ),  # one that takes Sports for Business
            np.array([[20, 70, 5, 5], [2, 20, 73, 5], [1, 1, 97, 1], [1, 1, 1, 97]]),  # a chain of confusions
            np.array([[90, 4, 3, 3], [5, 35, 55, 5], [5, 55, 35, 5], [3, 3, 4, 90]]),  # two classes hard to tell apart
            np.array([[50, 0, 0, 0], [0, 0, 9, 0], [0, 9, 0, 0], [0, 0, 0, 50]]),  # few rows
            np.array([[60, 0, 0, 0], [0, 60, 0, 0], [0, 0, 0, 60], [0, 0, 0, 0]]),  # one class only goes elsewhere
            np.zeros((4, 4), dtype=np.int64),
        ],
    )
    def test_what_is_no_permutation(self, confusion: NDArray[np.int64]) -> None:
        refuse_permutation(confusion, self.MAP)

    def test_a_mapping_by_name_is_not_doubted(self) -> None:
        swapped = self.confusion([0, 99, 0, 0], [99, 0, 0, 0], [0, 0, 99, 0], [0, 0, 0, 99])
        refuse_permutation(swapped, make_label_map(CLASSES, CLASSES))
        refuse_permutation(swapped, make_label_map(CLASSES, None, {"0": "World"}))
        refuse_permutation(swapped, make_label_map(STARS[:4], None))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_fold_is_stable_and_ignores_blanks_at_the_ends(name: str) -> None:
    assert fold(fold(name)) == fold(name)
    assert fold(f" \t{name}\n") == fold(name)
    assert Counter(fold(name))[" "] == max(0, len(name.split()) - 1)


def test_numbers_that_count_from_1_are_told_with_the_map_that_fits() -> None:
    label_map = make_label_map(("a", "b", "c"), None)
    index, unknown = label_map.indices(pa.array([1, 2, 3] * 10))
    with pytest.raises(
        LabelError, match=r'seem to count from 1; .*this one would fit: \{"1": "a", "2": "b", "3": "c"\}'
    ):
        label_map.require_match(index, unknown)
    index, unknown = label_map.indices(pa.array([0, 1, 2, 3] * 10))
    with pytest.raises(LabelError, match="the data has '3' which the model does not"):
        label_map.require_match(index, unknown)


def test_a_label_map_by_number_wins_over_the_names_behind_the_numbers() -> None:
    label_map = make_label_map(("World", "Sports"), ("World", "Sports"), {"0": "Sports", "1": "World"})
    index, unknown = label_map.indices(pa.array([0, 1]))
    assert index.tolist() == [1, 0]
    assert not unknown


def test_a_label_map_of_labels_that_the_data_has_not_is_refused() -> None:
    with pytest.raises(LabelError, match=facts("'Wrold'", "labels are 'World', 'Sports'")):
        make_label_map(("a", "b"), ("World", "Sports"), {"Wrold": "a", "Sports": "b"})
