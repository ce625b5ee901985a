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
from scorer.data.labels.checks import check_labels, refuse_permutation
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN, LabelMap, make_label_map
from scorer.data.labels.suggest import read_label_map
from scorer.data.labels.values import count_texts
from scorer.text import fold
from tests.scorer.data.labels.helpers import CLASSES, STARS, confusion_of, mapped
from tests.support.facts import facts


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
            match=f"sends 'a' to '{target}', which is no class of the model{close}; .*'World', 'Sports', "
            "'Business', 'Sci/Tech'",
        ):
            make_label_map(CLASSES, None, {"a": target})

    @pytest.mark.parametrize("target", [4, -1, True, 1.0, ["World"], {}, "no"])
    def test_a_target_that_is_no_class(self, target: object) -> None:
        with pytest.raises(LabelError, match=facts("'a'", "no class of the model")):
            make_label_map(CLASSES, None, {"a": target})

    def test_read(self, tmp_path: Path) -> None:
        file = tmp_path / "map.json"
        file.write_text('{"Économie": "Business", "1": 0, "x": null}', encoding="utf-8")
        assert read_label_map(file) == {"Économie": "Business", "1": 0, "x": None}
        file.write_text('{"1": 0}', encoding="utf-8-sig")  # as Windows' editors write it
        assert read_label_map(file) == {"1": 0}

    def test_a_label_twice(self, tmp_path: Path) -> None:
        file = tmp_path / "map.json"
        file.write_text('{"a": "World", "a": "Sports"}')
        with pytest.raises(LabelError, match=facts("map.json", "'a' twice")):
            read_label_map(file)

    @pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe{"])
    def test_that_is_no_json(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "map.json"
        file.write_bytes(content)
        with pytest.raises(LabelError, match=facts("map.json", "can't be read")):
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
        with pytest.raises(LabelError, match=facts("nowhere.json", "No such file")):
            read_label_map(tmp_path / "nowhere.json")


class TestUnknownLabels:
    @staticmethod
    def check(labels: list[str | None], label_map: LabelMap | None = None) -> None:
        check_labels(count_texts(pa.array(labels, pa.string())), label_map or make_label_map(CLASSES, None))

    @pytest.mark.parametrize(("strays", "refused"), [(0, False), (1, False), (5, False), (6, True), (60, True)])
    def test_a_name_that_more_than_a_twentieth_of_the_rows_has_is_refused(self, strays: int, refused: bool) -> None:
        labels = ["World"] * (100 - strays) + ["Wordl"] * strays + [None] * 1000
        if refused:
            with pytest.raises(LabelError, match=facts("'Wordl'", "'World'")):
                self.check(labels)
        else:
            self.check(labels)

    def test_rare_names_are_counted_together(self) -> None:
        self.check(["World"] * 19_000 + [f"stray {i}" for i in range(1000)])
        with pytest.raises(LabelError, match=r"no class for 1,001 of 20,001 labels: 'stray 0', .* and 99\d more;"):
            self.check(["World"] * 19_000 + [f"stray {i}" for i in range(1001)])

    def test_nothing_but_rare_names_is_refused(self) -> None:
        with pytest.raises(LabelError, match=facts("labels", "classes", "`label_map`")):
            self.check([f"stray {i}" for i in range(100)])

    def test_rows_without_labels_pass(self) -> None:
        self.check([None, "", "-1"])
        self.check([])

    def test_labels_that_the_map_leaves_out_pass(self) -> None:
        label_map = make_label_map(CLASSES, None, {"Misc": None, "3": None})
        self.check(["World"] + ["Misc"] * 9, label_map)
        self.check(["Misc", "misc ", "3.0"], label_map)  # also a first window that has nothing else
        with pytest.raises(LabelError, match=facts("not mention 1 label", "with 2 rows: 'Other'", "'World'", "null")):
            self.check(["Misc"] * 10 + ["Other"] * 2, label_map)

    def test_a_text_column_taken_for_the_labels_makes_no_endless_message(self) -> None:
        with pytest.raises(LabelError) as caught:
            self.check(["a long story " * 1000 + str(i) for i in range(30)])
        assert "'a long story a long story" in str(caught.value)
        assert len(str(caught.value)) <= 400


class TestRefusePermutation:
    MAP = make_label_map(CLASSES, None)

    @staticmethod
    def confusion(*rows: list[int]) -> NDArray[np.int64]:
        return np.array(rows, dtype=np.int64)

    def refuses(self, confusion: NDArray[np.int64], fit: dict[str, str]) -> str:
        with pytest.raises(LabelError) as caught:
            refuse_permutation(confusion_of(confusion), self.MAP)
        message = str(caught.value)
        assert f"would fit: {json.dumps(fit)})" in message
        assert "the model's order is 'World', 'Sports', 'Business', 'Sci/Tech'" in message
        assert "`label_map`" in message
        assert len(message) <= 400
        # What the message says would fit is taken, and maps each number to the class its rows go to.
        taken = make_label_map(CLASSES, None, fit)
        assert mapped(taken, [int(number) for number in fit]) == [CLASSES.index(name) for name in fit.values()]
        return message

    def test_a_swap(self) -> None:
        confusion = self.confusion([90, 3, 3, 4], [5, 5, 85, 5], [5, 80, 10, 5], [1, 1, 1, 97])
        message = self.refuses(confusion, {"0": "World", "1": "Business", "2": "Sports", "3": "Sci/Tech"})
        assert "(1 -> 2 'Business', 2 -> 1 'Sports');" in message

    def test_a_rotation(self) -> None:
        confusion = self.confusion([0, 90, 5, 5], [5, 0, 90, 5], [5, 5, 0, 90], [90, 5, 5, 0])
        self.refuses(confusion, {"0": "Sports", "1": "Business", "2": "Sci/Tech", "3": "World"})

    def test_one_based_numbering(self) -> None:
        # 4 is no class of the model: where it is rare enough to pass as a stray, the others still give it away.
        confusion = self.confusion([0, 0, 0, 0], [90, 4, 3, 3], [4, 90, 3, 3], [4, 3, 90, 3])
        with pytest.raises(LabelError, match=r"1 -> 0 'World', 2 -> 1 'Sports', 3 -> 2 'Business'") as caught:
            refuse_permutation(confusion_of(confusion), self.MAP)
        assert "would fit" not in str(caught.value)  # a map of three of the four classes would lose the fourth
        assert "`write_label_map` writes a file to fill in" in str(caught.value)

    def test_a_poor_model_does_not_hide_it(self) -> None:
        confusion = self.confusion([60, 20, 10, 10], [10, 20, 60, 10], [10, 60, 15, 15], [30, 15, 15, 40])
        self.refuses(confusion, {"0": "World", "1": "Business", "2": "Sports", "3": "Sci/Tech"})

    def test_ten_rows_of_a_class_are_enough(self) -> None:
        swap = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        self.refuses(swap * 10, {"0": "Sports", "1": "World", "2": "Business", "3": "Sci/Tech"})
        refuse_permutation(confusion_of(swap * 9), self.MAP)

    def test_names_are_shown_as_they_are_written(self) -> None:
        swap = np.array([[0, 50], [50, 0]])
        with pytest.raises(LabelError, match=r'would fit: \{"0": "Économie", "1": "世界"\}'):
            refuse_permutation(confusion_of(swap), make_label_map(("世界", "Économie"), None))
        with pytest.raises(LabelError, match=r"lacks '科技'; it has '世界', 'Économie'; .*`write_label_map`"):
            make_label_map(("世界", "Économie"), ("科技", "世界"))

    @settings(max_examples=60, deadline=None)
    @given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
    def test_any_permutation_seen_by_a_fair_model(self, order: list[int], seed: int) -> None:
        random = np.random.default_rng(seed)
        share = np.full((4, 4), 0.05) + np.eye(4)[order] * 0.8
        confusion = np.array([random.multinomial(100, row) for row in share])
        if order == [0, 1, 2, 3]:
            refuse_permutation(confusion_of(confusion), self.MAP)
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
        refuse_permutation(confusion_of(confusion), self.MAP)

    def test_a_mapping_by_name_is_not_doubted(self) -> None:
        swapped = self.confusion([0, 99, 0, 0], [99, 0, 0, 0], [0, 0, 99, 0], [0, 0, 0, 99])
        refuse_permutation(confusion_of(swapped), make_label_map(CLASSES, CLASSES))
        refuse_permutation(confusion_of(swapped), make_label_map(CLASSES, None, {"0": "World"}))
        refuse_permutation(confusion_of(swapped), make_label_map(STARS[:4], None))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_fold_is_stable_and_ignores_blanks_at_the_ends(name: str) -> None:
    assert fold(fold(name)) == fold(name)
    assert fold(f" \t{name}\n") == fold(name)
    assert Counter(fold(name))[" "] == max(0, len(name.split()) - 1)


def test_a_label_map_by_number_wins_over_the_names_behind_the_numbers() -> None:
    label_map = make_label_map(("World", "Sports"), ("World", "Sports"), {"0": "Sports", "1": "World"})
    index, unknown = label_map.indices(pa.array([0, 1]))
    assert index.tolist() == [1, 0]
    assert not unknown


def test_a_label_map_of_labels_that_the_data_has_not_is_refused() -> None:
    with pytest.raises(LabelError, match=facts("'Wrold'", "data's labels, 'World', 'Sports'")):
        make_label_map(("a", "b"), ("World", "Sports"), {"Wrold": "a", "Sports": "b"})
