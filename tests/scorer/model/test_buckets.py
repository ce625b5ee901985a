"""buckets: every row once, within the budget, padded only past its end."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer.model.buckets import cut, make_buckets
from scorer.model.tokenizer import TokenWindow

LENGTHS = st.lists(st.integers(0, 50), max_size=60)
BUDGETS = st.integers(1, 400)


def window_of(lengths: list[int], *, type_ids: bool = True) -> TokenWindow:
    """A window in which every token is another number, so that none can stand in for another."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.arange(1000, 1000 + offsets[-1], dtype=np.int32)
    return TokenWindow(offsets, ids, ids * 2 if type_ids else None, np.zeros(len(lengths), dtype=np.bool_))


def tokens_of(window: TokenWindow, row: int, ids: NDArray[np.int32]) -> list[int]:
    values: list[int] = ids[window.offsets[row] : window.offsets[row + 1]].tolist()
    return values


@settings(max_examples=200, deadline=None)
@given(LENGTHS, BUDGETS)
def test_every_row_with_tokens_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    batches = cut(np.array(lengths, dtype=np.int64), budget)
    rows = [int(row) for batch in batches for row in batch]
    assert sorted(rows) == [i for i, length in enumerate(lengths) if length > 0]


@settings(max_examples=200, deadline=None)
@given(LENGTHS, BUDGETS)
def test_no_batch_passes_the_budget_but_a_single_long_row(lengths: list[int], budget: int) -> None:
    for batch in cut(np.array(lengths, dtype=np.int64), budget):
        longest = max(lengths[row] for row in batch)
        assert len(batch) * longest <= budget or len(batch) == 1


@settings(max_examples=200, deadline=None)
@given(LENGTHS, BUDGETS)
def test_longest_first_in_stable_order_and_as_full_as_can_be(lengths: list[int], budget: int) -> None:
    batches = cut(np.array(lengths, dtype=np.int64), budget)
    order = [int(row) for batch in batches for row in batch]
    assert order == sorted(order, key=lambda row: (-lengths[row], row))
    for batch, following in pairwise(batches):
        assert (len(batch) + 1) * lengths[batch[0]] > budget, f"{following[0]} would have fitted"


def test_cut_by_hand() -> None:
    batches = cut(np.array([3, 9, 0, 5, 5, 1]), 10)
    assert [batch.tolist() for batch in batches] == [[1], [3, 4], [0, 5]]


def test_a_row_longer_than_the_budget_has_a_batch_of_its_own() -> None:
    assert [batch.tolist() for batch in cut(np.array([2, 500, 2]), 4)] == [[1], [0, 2]]


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]])
def test_nothing_to_score_gives_no_batch(lengths: list[int]) -> None:
    assert cut(np.array(lengths, dtype=np.int64), 8) == []
    assert list(make_buckets(window_of(lengths), 8, pad_id=0)) == []


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_that_is_not_positive_is_refused(budget: int) -> None:
    with pytest.raises(ValueError, match=f"batch_tokens is {budget}; it must be at least 1"):
        cut(np.array([1]), budget)
    with pytest.raises(ValueError, match=f"batch_tokens is {budget}; it must be at least 1"):
        list(make_buckets(window_of([1]), budget, pad_id=0))


@settings(max_examples=150, deadline=None)
@given(LENGTHS, BUDGETS, st.integers(0, 2**31 - 1))
def test_buckets_hold_each_rows_tokens_and_pad_past_its_end_only(lengths: list[int], budget: int, pad_id: int) -> None:
    window = window_of(lengths)
    assert window.type_ids is not None
    seen = []
    for bucket in make_buckets(window, budget, pad_id):
        assert bucket.token_type_ids is not None
        width = max(lengths[row] for row in bucket.row)
        for array in (bucket.input_ids, bucket.attention_mask, bucket.token_type_ids):
            assert array.shape == (len(bucket.row), width)
            assert array.dtype == np.int64
        for place, row in enumerate(bucket.row.tolist()):
            length, padding = lengths[row], width - lengths[row]
            assert bucket.input_ids[place].tolist() == tokens_of(window, row, window.ids) + [pad_id] * padding
            assert bucket.attention_mask[place].tolist() == [1] * length + [0] * padding
            assert bucket.token_type_ids[place].tolist() == tokens_of(window, row, window.type_ids) + [0] * padding
            seen.append(row)
    assert sorted(seen) == [i for i, length in enumerate(lengths) if length > 0]


@settings(max_examples=100, deadline=None)
@given(LENGTHS, BUDGETS)
def test_results_by_row_come_back_in_the_windows_order(lengths: list[int], budget: int) -> None:
    # As the pipeline does it: a number computed from a batch's real tokens is stored at the batch's rows.
    window = window_of(lengths)
    found = np.zeros(len(lengths), dtype=np.int64)
    for bucket in make_buckets(window, budget, pad_id=7):
        found[bucket.row] = (bucket.input_ids * bucket.attention_mask).sum(axis=1)
    assert found.tolist() == [sum(tokens_of(window, row, window.ids)) for row in range(len(lengths))]


def test_the_same_window_gives_the_same_buckets() -> None:
    lengths = np.random.default_rng(0).integers(0, 20, size=300).tolist()
    first, second = ([b.row.tolist() for b in make_buckets(window_of(lengths), 64, 0)] for _ in range(2))
    assert first == second


def test_the_largest_bucket_comes_first() -> None:
    sizes = [bucket.input_ids.shape[1] for bucket in make_buckets(window_of([1, 30, 4, 12, 30, 2]), 60, 0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 30


def test_no_type_ids_where_the_window_has_none() -> None:
    (bucket,) = make_buckets(window_of([2, 3], type_ids=False), 100, 0)
    assert bucket.token_type_ids is None


def test_padding_stays_below_three_percent_on_texts_of_mixed_length() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(3.8, 0.4, size=4096), 4, 512).astype(int).tolist()
    fed = sum(bucket.input_ids.size for bucket in make_buckets(window_of(lengths), 1024, 0))
    assert 1.0 - sum(lengths) / fed < 0.03
