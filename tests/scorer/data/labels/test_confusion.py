"""Confusion: the numbers of numpy's dense matrix, in memory that grows with the pairs that occur."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.data.labels import confusion as module
from scorer.data.labels.checks import refuse_permutation
from scorer.data.labels.confusion import Confusion
from scorer.data.labels.label_map import make_label_map
from scorer.errors import LabelError
from tests.scorer.data.labels.helpers import confusion_of


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(0, 40), max_size=5), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_every_number_is_that_of_the_dense_matrix(classes: int, batches: list[int], seed: int, held: int) -> None:
    random = np.random.default_rng(seed)
    dense = np.zeros((classes, classes), dtype=np.int64)
    found = Confusion(classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_HELD", held)
        for rows in batches:
            label, predicted = random.integers(0, classes, (2, rows)).astype(np.int32)
            np.add.at(dense, (label, predicted), 1)
            found.add(label, predicted)
    np.testing.assert_array_equal(found.to_dense(), dense)
    np.testing.assert_array_equal(found.given, dense.sum(axis=1))
    np.testing.assert_array_equal(found.predicted, dense.sum(axis=0))
    np.testing.assert_array_equal(found.diagonal(), np.diag(dense))
    assert found.total == sum(batches)
    goes_to, most = found.most_predicted()
    np.testing.assert_array_equal(goes_to, dense.argmax(axis=1))
    np.testing.assert_array_equal(most, dense.max(axis=1))
    chosen = random.permutation(classes)[: random.integers(0, classes + 1)].tolist()
    np.testing.assert_array_equal(found.among(chosen), dense[np.ix_(chosen, chosen)])
    cells = [(i, j, dense[i, j]) for i in range(classes) for j in range(classes) if dense[i, j]]
    assert list(zip(*(part.tolist() for part in found.cells()), strict=True)) == cells
    wrong = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: -cell[2])
    assert list(zip(*(part.tolist() for part in found.off_diagonal(3)), strict=True)) == wrong[:3]


def test_ten_thousand_classes_take_memory_for_their_rows_only() -> None:
    random = np.random.default_rng(0)
    label, predicted = random.integers(0, 10_000, (2, 300_000)).astype(np.int32)
    tracemalloc.start()
    found = Confusion(10_000)
    for at in range(0, len(label), 4096):
        found.add(label[at : at + 4096], predicted[at : at + 4096])
    given_classes, predicted_classes, rows = found.cells()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    keys, counts = np.unique(label.astype(np.int64) * 10_000 + predicted, return_counts=True)
    np.testing.assert_array_equal(given_classes * 10_000 + predicted_classes, keys)
    np.testing.assert_array_equal(rows, counts)
    assert peak < 60 * 2**20  # the dense matrix has 800 MB


def test_a_shift_of_ten_thousand_classes_is_refused_in_one_line() -> None:
    names = tuple(f"class number {i}" for i in range(10_000))
    label_map = make_label_map(names, None)
    label = np.repeat(np.arange(10_000), 12)
    right, shifted = Confusion(10_000), Confusion(10_000)
    right.add(label, label)
    shifted.add(label, (label + 1) % 10_000)
    refuse_permutation(right, label_map)
    with pytest.raises(LabelError, match=r"0 -> 1 'class number 1', .* and 9,99\d more") as caught:
        refuse_permutation(shifted, label_map)
    assert len(str(caught.value)) <= 400


def test_a_class_without_rows_is_no_fault() -> None:
    confusion = confusion_of([[0, 0, 0], [0, 50, 0], [0, 0, 50]])
    refuse_permutation(confusion, make_label_map(("a", "b", "c"), None))
    assert confusion.most_predicted()[0].tolist() == [0, 1, 2]
