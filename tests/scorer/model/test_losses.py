"""losses: against sums done in 60-digit decimals, and at the ends of what floats can hold."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from scorer.model.losses import cross_entropy, entropy, log_softmax, margin

Floats = NDArray[np.float64]


def exact_loss(logits: list[float], label: int) -> float:
    """``log(sum(exp(z))) - z[label]`` by definition, unshifted, with digits and exponents to spare."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**9, -(10**9)
        z = [Decimal(value) for value in logits]
        return float(sum(value.exp() for value in z).ln() - z[label])


def logits_of(rows: int = 8, classes: int = 9, largest: float = 1e4) -> st.SearchStrategy[Floats]:
    shape = st.tuples(st.integers(1, rows), st.integers(1, classes))
    return arrays(np.float64, shape, elements=st.floats(-largest, largest, width=32))


@settings(max_examples=60, deadline=None)
@given(logits_of(rows=3, classes=5), st.data())
def test_loss_is_its_definition(logits: Floats, data: st.DataObject) -> None:
    labels = data.draw(arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    expected = [exact_loss(row.tolist(), int(label)) for row, label in zip(logits, labels, strict=True)]
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-13, abs=1e-13)


@settings(max_examples=100, deadline=None)
@given(logits_of())
def test_probabilities_sum_to_one_over_the_classes(logits: Floats) -> None:
    log_probs = log_softmax(logits)
    assert log_probs.shape == logits.shape
    assert log_probs.dtype == np.float64
    assert [math.fsum(row) for row in np.exp(log_probs).tolist()] == pytest.approx([1.0] * len(logits), abs=1e-12)
    assert np.all(log_probs <= 0.0)


@settings(max_examples=100, deadline=None)
@given(logits_of(), st.data())
def test_a_rows_loss_does_not_depend_on_the_other_rows(logits: Floats, data: st.DataObject) -> None:
    labels = data.draw(arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    alone = [float(cross_entropy(logits[i : i + 1], labels[i : i + 1])[0]) for i in range(len(logits))]
    assert cross_entropy(logits, labels).tolist() == alone
    order = np.array(data.draw(st.permutations(range(len(logits)))))
    assert cross_entropy(logits[order], labels[order]).tolist() == [alone[i] for i in order]


@settings(max_examples=100, deadline=None)
@given(logits_of(largest=1e3), st.floats(-1e4, 1e4), st.data())
def test_loss_is_never_negative_and_a_shift_of_a_row_changes_nothing(
    logits: Floats, shift: float, data: st.DataObject
) -> None:
    labels = data.draw(arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    loss = cross_entropy(logits, labels)
    assert np.all(loss >= 0.0)
    assert not np.any(np.signbit(loss))  # a certain row is 0.0, never -0.0
    assert cross_entropy(logits + shift, labels) == pytest.approx(loss.tolist(), abs=1e-9)


def test_softmax_over_the_batch_would_give_other_numbers() -> None:
    # The tutorial's softmax over dim 0 gives row 0's class 0 a probability of 1 / (1 + e).
    assert np.exp(log_softmax([[0.0, 0.0], [1.0, 1.0]])).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_loss_by_hand() -> None:
    logits = [[0.0, math.log(3.0)], [math.log(3.0), 0.0]]
    assert cross_entropy(logits, [0, 0]) == pytest.approx([math.log(4.0), math.log(4.0 / 3.0)], rel=1e-15)


def test_far_apart_logits_are_finite_and_exact() -> None:
    loss = cross_entropy([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]], [1, 0, 1, 2])
    assert loss == pytest.approx([2e4, 0.0, math.log(2.0), math.log(3.0)], rel=1e-15)
    assert cross_entropy([[1e308, -1e308]], [0]).tolist() == [0.0]
    assert cross_entropy([[1e308, -1e308]], [1]).tolist() == [math.inf]


def test_minus_infinity_is_probability_zero() -> None:
    assert log_softmax([[-np.inf, 0.0, 0.0]]).tolist() == [[-np.inf, -math.log(2.0), -math.log(2.0)]]
    assert cross_entropy([[-np.inf, 0.0]], [0]).tolist() == [math.inf]
    assert cross_entropy([[-np.inf, 0.0]], [1]).tolist() == [0.0]


def test_one_plus_infinity_is_probability_one() -> None:
    assert log_softmax([[np.inf, 3.0, -np.inf]]).tolist() == [[0.0, -np.inf, -np.inf]]


@pytest.mark.parametrize(
    "row",
    [[math.nan, 0.0, 1.0], [math.inf, math.nan, 0.0], [math.inf, math.inf, 0.0], [-math.inf, -math.inf, -math.inf]],
)
def test_rows_without_a_meaning_are_nan_and_spoil_no_other(row: list[float]) -> None:
    log_probs = log_softmax([[0.0, 0.0, math.log(2.0)], row])
    assert np.exp(log_probs[0]) == pytest.approx([0.25, 0.25, 0.5])
    assert np.all(np.isnan(log_probs[1]))
    assert math.isnan(float(cross_entropy([row], [2])[0]))
    assert math.isnan(float(entropy([log_probs[1]])[0]))


def test_a_single_class_is_certain() -> None:
    assert log_softmax([[-7.0], [7.0]]).tolist() == [[0.0], [0.0]]
    assert cross_entropy([[-7.0], [7.0]], [0, 0]).tolist() == [0.0, 0.0]
    assert margin([[1.0]], [0]).tolist() == [1.0]
    assert entropy([[0.0]]).tolist() == [0.0]


def test_many_classes() -> None:
    classes = 100_000
    logits = np.zeros((2, classes))
    logits[1] = np.random.default_rng(0).normal(scale=5.0, size=classes)
    expected = math.log(math.fsum(math.exp(value) for value in logits[1])) - logits[1, 17]
    assert cross_entropy(logits, [99_999, 17]) == pytest.approx([math.log(classes), expected], rel=1e-12)
    assert entropy(log_softmax(logits[:1])) == pytest.approx([math.log(classes)], rel=1e-12)


def test_no_rows() -> None:
    assert log_softmax(np.zeros((0, 3))).shape == (0, 3)
    assert cross_entropy(np.zeros((0, 3)), []).shape == (0,)
    assert margin(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int32])
def test_the_sum_is_in_float64_whatever_comes_in(kind: type) -> None:
    logits = np.array([[12, -3, 4], [0, 0, 1]], dtype=kind)
    loss = cross_entropy(logits, [1, 2])
    assert loss.dtype == np.float64
    # In float16 or float32 e^-15 is lost beside 1.
    assert loss == pytest.approx([exact_loss([12, -3, 4], 1), exact_loss([0, 0, 1], 2)], rel=1e-15)


@pytest.mark.parametrize("shape", [(3,), (2, 0), (1, 2, 3), ()])
def test_logits_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"logits have shape \(.*\); \[n, C\] with at least one class is needed"):
        log_softmax(np.zeros(shape))


@pytest.mark.parametrize("labels", [[0, -1], [3, 0], [0.0, 1.0], [True, False], ["0", "1"], [2**40, 0]])
@pytest.mark.parametrize("function", [cross_entropy, margin])
def test_labels_that_are_no_index_are_refused(function: Callable[..., Floats], labels: list[object]) -> None:
    with pytest.raises(ValueError, match="labels must be whole numbers from 0 to 2"):
        function(np.full((2, 3), 1 / 3), labels)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2], [[0, 1]], 0])
@pytest.mark.parametrize("function", [cross_entropy, margin])
def test_labels_of_another_length_are_refused(function: Callable[..., Floats], labels: object) -> None:
    with pytest.raises(ValueError, match=r"labels have shape \(.*\); values of shape \(2, 3\) need one label a row"):
        function(np.full((2, 3), 1 / 3), labels)


def test_margin_by_hand() -> None:
    probs = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.25, 0.5, 0.25]])
    before = probs.copy()
    assert margin(probs, [0, 2, 0, 2]) == pytest.approx([0.5, -0.6, -1.0, -0.25])
    assert np.array_equal(probs, before)  # the caller's array is not written to


@settings(max_examples=100, deadline=None)
@given(logits_of(), st.data())
def test_margin_is_positive_exactly_where_the_label_is_the_best_class(logits: Floats, data: st.DataObject) -> None:
    labels = data.draw(arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    probs = np.exp(log_softmax(logits))
    own = [
        float(row[label]) - max((float(p) for i, p in enumerate(row) if i != label), default=0.0)
        for row, label in zip(probs, labels.tolist(), strict=True)
    ]
    found = margin(probs, labels)
    assert found.tolist() == own
    assert np.all(np.abs(found) <= 1.0 + 1e-12)


def test_entropy_by_hand() -> None:
    log_probs = np.log([[0.5, 0.5, 1.0], [0.25, 0.25, 0.5]])
    log_probs[0, 2] = -np.inf  # a class with probability 0 adds nothing
    found = entropy(log_probs)
    assert found == pytest.approx([math.log(2.0), 1.5 * math.log(2.0)], rel=1e-15)
    assert entropy([[0.0, -np.inf], [0.0, -800.0]]).tolist() == [0.0, 0.0]
    assert not np.any(np.signbit(entropy([[0.0, -np.inf]])))


@settings(max_examples=100, deadline=None)
@given(logits_of(largest=50))
def test_entropy_lies_between_zero_and_the_log_of_the_classes(logits: Floats) -> None:
    log_probs = log_softmax(logits)
    found = entropy(log_probs)
    expected = [-math.fsum(math.exp(value) * value for value in row) for row in log_probs.tolist()]
    assert found == pytest.approx(expected, abs=1e-12)
    assert np.all((found >= 0.0) & (found <= math.log(logits.shape[1]) + 1e-12))
