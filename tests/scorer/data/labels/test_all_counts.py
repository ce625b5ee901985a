"""labels: all rows of the label column are counted and judged before a row is scored."""

import re

import numpy as np
import pyarrow as pa
import pytest

from scorer import LabelError
from scorer.data.labels.checks import check_labels, refuse_permutation
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN, make_label_map
from scorer.data.labels.values import count_texts, single_labels
from tests.scorer.data.labels.helpers import CLASSES, STARS, confusion_of, mapped
from tests.support.facts import facts

TWO = ("NEGATIVE", "POSITIVE")
THREE = ("negative", "neutral", "positive")
INTENTS = tuple(f"intent_{i}" for i in range(77))
LONG = tuple(f"{i} " + "a class with a long name " * 20 for i in range(1000))


def checked(
    labels: list[object],
    class_names: tuple[str, ...],
    mapping: dict[str, object] | None = None,
    no_label: str | None = None,
) -> tuple[list[int], tuple[str, ...]]:
    """Return the class indices of labels that pass, and what the user is told."""
    label_map = make_label_map(class_names, None, mapping, no_label)
    return mapped(label_map, labels), check_labels(count_texts(pa.array(labels)), label_map).notes


def refused(labels: list[object], class_names: tuple[str, ...], mapping: dict[str, object] | None = None) -> str:
    with pytest.raises(LabelError) as caught:
        checked(labels, class_names, mapping)
    assert len(str(caught.value)) <= 400 - len("Error: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestSortedByClass:
    """A first window with one class says nothing about the rest."""

    def test_imdb(self) -> None:
        message = refused(["NEGATIVE"] * 12_500 + ["pos"] * 12_500, TWO)
        assert "no class for 12,500 of 25,000 labels: 'pos'; the model's classes are 'NEGATIVE', 'POSITIVE'" in message
        assert "`write_label_map` writes a file to fill in" in message

    def test_sentiment140(self) -> None:
        assert "no class for 800 of 1,600 labels: '4'" in refused([0] * 800 + [4] * 800, TWO)
        assert checked([0, 4], TWO, {"0": "NEGATIVE", "4": "POSITIVE"}) == ([0, 1], ())

    def test_banking77(self) -> None:
        labels = [name for name in INTENTS for _ in range(100)]
        assert checked(labels, INTENTS)[0] == [i for i in range(77) for _ in range(100)]
        other = [name.upper().replace("_", " ") if i > 60 else name for i, name in enumerate(INTENTS) for _ in range(9)]
        message = refused(other, INTENTS)
        assert "no class for 144 of 693 labels: 'INTENT 61', " in message
        # A map of some of the 16 names would lose the others: there is none in the message.
        assert "{" not in message
        assert "`write_label_map`" in message

    def test_a_certain_map_that_is_short_is_given_whole(self) -> None:
        message = refused(["World", "sci tech", "BUSINESS", "sports."] * 10, CLASSES)
        assert 'this map would fit: {"sci tech": "Sci/Tech", "sports.": "Sports"}' in message
        assert checked(["sci tech", "sports.", "World"], CLASSES, {"sci tech": "Sci/Tech", "sports.": "Sports"})[0] == [
            3,
            1,
            0,
        ]

    def test_names_are_never_paired_by_position(self) -> None:
        for labels, names in ((["pos", "neg"], TWO), (["a", "b", "c"], THREE), ([1, 2, 3, 4], CLASSES)):
            assert "{" not in refused(labels, names)


class TestShifted:
    @pytest.mark.parametrize("rows", [[1] * 600 + [2] * 600, [2] * 5 + [1] * 95, ["2", "1"] * 9, [1.0, 2.0]])
    def test_one_and_two_for_two_classes(self, rows: list[object]) -> None:
        message = refused(rows, TWO)
        assert "label numbers (1, 2) seem to count from 1, but the model's classes are 0 to 1" in message

    def test_one_to_four_for_four(self) -> None:
        assert "label numbers (1, 2, 3, 4) seem to count from 1" in refused([1, 2, 3, 4] * 30, CLASSES)
        # Even where the last class is so rare that its rows alone would pass for typing errors.
        assert "seem to count from 1" in refused([1, 2, 3] * 1000 + [4], CLASSES)
        assert "(1, 2, ..., 77)" in refused([i + 1 for i in range(77)] * 3, INTENTS)

    def test_zero_to_four_for_stars(self) -> None:
        assert "label numbers (0, 1, 2, 3, 4) seem to count from 0, but" in refused([0, 1, 2, 3, 4] * 20, STARS)
        assert "seem to count from 0" in refused([1, 2, 3, 4] * 500 + [0], STARS)
        assert checked([1, 5, 3], STARS) == ([0, 4, 2], ())

    def test_numbers_of_the_model_pass(self) -> None:
        assert checked([0, 1] * 5, TWO) == ([0, 1] * 5, ())
        assert checked([1, 2, 3], CLASSES) == ([1, 2, 3], ())
        assert checked(["World"] * 40 + ["4"], CLASSES)[0] == [0] * 40 + [UNKNOWN]  # a name, so 4 is no shift


class TestMinusOne:
    """-1 is no label in the hub's test splits, and a class in -1/+1 and -1/0/1 data."""

    @pytest.mark.parametrize(
        ("labels", "names", "indices"),
        [
            ([0, 1, -1], TWO, [0, 1, NO_LABEL]),
            ([0, 1, 2, -1, -1, -1], THREE, [0, 1, 2, NO_LABEL, NO_LABEL, NO_LABEL]),
            ([2, -1], THREE, [2, NO_LABEL]),  # with -1 as a class there would be four
            (["0.0", "1.0", "-1.0"], TWO, [0, 1, NO_LABEL]),
            (["World", "Sports", "-1"], CLASSES, [0, 1, NO_LABEL]),
            ([1, 5, -1], STARS, [0, 4, NO_LABEL]),
        ],
    )
    def test_no_label(self, labels: list[object], names: tuple[str, ...], indices: list[int]) -> None:
        hidden = indices.count(NO_LABEL)
        assert checked(labels, names) == (indices, (f"-1 is read as no label ({hidden} rows)",))

    def test_nothing_but_minus_one_is_a_test_split(self) -> None:
        assert checked([-1] * 1800, TWO) == ([NO_LABEL] * 1800, ("-1 is read as no label (1,800 rows)",))

    @pytest.mark.parametrize(
        ("labels", "names"),
        [
            ([-1] * 600 + [1] * 600, TWO),
            ([1] * 999 + [-1], TWO),
            ([-1, 0], TWO),
            ([-1, 0, 1] * 100, THREE),
            ([-1, 1] * 100, THREE),
            ([-1, 0, 1, 2], CLASSES),
            ([-2, -1, 0, 1, 2], THREE),
            ([-1, 1], ("0", "1")),
        ],
    )
    def test_where_it_may_be_a_class_the_user_says(self, labels: list[object], names: tuple[str, ...]) -> None:
        message = refused(labels, names)
        assert message.startswith("-1 may be a class or mean no label: the data's label numbers are -1, ")
        assert "`no_label_value='-1'`" in message
        assert "`label_map`" in message

    def test_what_the_user_says(self) -> None:
        assert checked([-1, 1, 1], TWO, no_label="-1") == ([NO_LABEL, 1, 1], ())
        assert checked([-1, 1], TWO, {"-1": "NEGATIVE", "1": "POSITIVE"}) == ([0, 1], ())
        assert checked([-1, 0, 1], THREE, {"-1": 0, "0": 1, "1": 2}) == ([0, 1, 2], ())
        assert checked([-1, 0, 1], TWO, {"-1": "NEGATIVE", "0": None, "1": "POSITIVE"}) == ([0, UNKNOWN, 1], ())

    def test_classes_that_are_called_so(self) -> None:
        assert checked([-1, 0, 1], ("-1", "0", "1")) == ([0, 1, 2], ())

    def test_a_given_map_that_has_all_classes_leaves_it_no_label(self) -> None:
        mapping = {"0": "POSITIVE", "1": "NEGATIVE"}
        assert checked([0, 1, -1], TWO, mapping) == ([1, 0, NO_LABEL], ("-1 is read as no label (1 rows)",))
        assert "not mention 1 label(s) of the data, with 1 rows: '-1'" in refused([1, -1], TWO, mapping)

    def test_the_names_behind_numbers_make_it_no_label(self) -> None:
        label_map = make_label_map(TWO, ("negative", "positive"))
        assert mapped(label_map, [1, -1]) == [1, NO_LABEL]
        assert check_labels(count_texts(pa.array([1, -1])), label_map).present.tolist() == [False, True]


class TestNoLabelValue:
    def test_any_word(self) -> None:
        labels = ["?", "World", "? ", "Sports"]
        assert checked(labels, CLASSES, no_label="?")[0] == [NO_LABEL, 0, NO_LABEL, 1]
        assert checked([9.0, 0.0], CLASSES, no_label="9")[0] == [NO_LABEL, 0]

    @pytest.mark.parametrize(("value", "stands"), [("World", "World"), (" world", "World"), ("1", "Sports")])
    def test_a_class_is_refused(self, value: str, stands: str) -> None:
        with pytest.raises(LabelError, match=facts("`no_label_value`", f"stands for the class '{stands}'")):
            make_label_map(CLASSES, None, None, value)


class TestGivenMaps:
    def test_labels_that_it_does_not_mention_are_refused_with_their_list(self) -> None:
        message = refused(["a"] * 900 + ["b"] * 2 + ["c"], CLASSES, {"a": "World"})
        assert "does not mention 2 label(s) of the data, with 3 rows: 'b', 'c'; the model's classes" in message
        assert "null to leave its rows out" in message
        assert checked(["a", "b", "c", "Sports"], CLASSES, {"a": 0, "b": None, "c": None})[0] == [0, -2, -2, 1]

    def test_numbers_are_not_matched_by_position_beside_a_map(self) -> None:
        assert "'2'" in refused([1, 2], TWO, {"1": "NEGATIVE"})

    def test_two_classes_for_one_label(self) -> None:
        with pytest.raises(LabelError, match="sends 'world ' to two classes"):
            make_label_map(CLASSES, None, {"World": "Sports", "world ": "Business"})

    def test_an_open_label_is_named(self) -> None:
        with pytest.raises(LabelError, match=r"no class for 'b' yet; .*null.*'World', 'Sports', 'Business'"):
            make_label_map(CLASSES, None, {"a": "World", "b": "", "c": ""})


class TestPermutations:
    TWO = make_label_map(TWO, None)

    def test_two_classes(self) -> None:
        with pytest.raises(LabelError, match=re.escape('would fit: {"0": "POSITIVE", "1": "NEGATIVE"}')):
            refuse_permutation(confusion_of(np.array([[10, 90], [80, 20]])), self.TWO)
        with pytest.raises(LabelError):
            refuse_permutation(confusion_of(np.array([[0, 10], [10, 0]])), self.TWO)

    @pytest.mark.parametrize(
        "confusion",
        [
            [[90, 10], [10, 90]],
            [[10, 90], [10, 90]],  # a model that says POSITIVE
            [[10, 90], [0, 0]],  # sorted data, before the second class
            [[10, 90], [4, 5]],
            [[4, 6], [6, 4]],  # chance
            [[45, 55], [55, 45]],
            [[49, 51], [80, 20]],
        ],
    )
    def test_what_is_none(self, confusion: list[list[int]]) -> None:
        refuse_permutation(confusion_of(np.array(confusion)), self.TWO)

    def test_a_map_without_a_class_of_the_data_is_not_given(self) -> None:
        label_map = make_label_map(CLASSES, None)
        swapped = np.zeros((4, 4), dtype=np.int64)
        swapped[0, 1] = swapped[1, 0] = 50
        with pytest.raises(LabelError, match="`write_label_map`"):
            refuse_permutation(confusion_of(swapped), label_map)
        with pytest.raises(LabelError, match="`write_label_map`"):
            refuse_permutation(confusion_of(swapped), label_map, np.array([True, True, True, False]))
        with pytest.raises(LabelError, match=re.escape('would fit: {"0": "Sports", "1": "World"}')):
            refuse_permutation(confusion_of(swapped), label_map, np.array([True, True, False, False]))


class TestMessages:
    """At most 400 characters on one line, with 1,000 classes of names of 500 characters."""

    def test_every_refusal_is_short(self) -> None:
        assert len(LONG[0]) >= 490
        strange = [f"{i}\n\x00\U0001f600 " + "nothing like a class " * 24 for i in range(1000)]
        numbers = [f"LABEL_{i}" for i in range(1000)]
        refused(strange, LONG)
        refused([*LONG, *strange], LONG)
        refused([*LONG, *strange], LONG, {LONG[0]: 5})
        refused(list(range(1, 1001)), LONG)
        refused([-1, *range(999)], LONG)
        refused([-(10**17), -1, *range(0, 999, 2)], LONG)
        for mapping in (
            {strange[0]: strange[1]},
            {strange[0]: ""},
            {strange[0]: [strange]},
            {LONG[1] + " ": 7, LONG[1]: 8},
        ):
            refused(["a"], LONG, mapping)
        for names, data_names, mapping in (
            (LONG, tuple(strange), None),
            (tuple(numbers), tuple(strange[:999]), None),
            (LONG, tuple(strange), {LONG[3]: 3}),
        ):
            with pytest.raises(LabelError) as caught:
                make_label_map(names, data_names, mapping)
            assert len(str(caught.value)) <= 400
        with pytest.raises(LabelError) as caught:
            make_label_map(LONG, None, None, LONG[7])
        assert len(str(caught.value)) <= 400
        with pytest.raises(LabelError) as caught:
            refuse_permutation(
                confusion_of(np.roll(np.eye(1000, dtype=np.int64) * 50, 1, axis=1)), make_label_map(LONG, None)
            )
        assert len(str(caught.value)) <= 400
        with pytest.raises(LabelError) as caught:
            single_labels(pa.array([strange]), pa.list_(pa.string()), strange[0])
        assert len(str(caught.value)) <= 400
