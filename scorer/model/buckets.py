"""cut() and pad(): make batches of rows of similar length, each within a token budget.

Pure numpy. A batch of ``b`` rows padded to its longest row costs ``b * t`` tokens, so rows are sorted by length,
and a new batch begins where the padded size would exceed the budget. CTranslate2 and text-embeddings-inference do the
same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.model.tokenizer import TokenWindow


@dataclass(frozen=True)
class Bucket:
    """One padded batch: ``row`` [b] has the rows' positions in the window; the other arrays are [b, t] int64.

    ``token_type_ids`` is None if the model does not read token types or if all of them are 0.
    """

    row: NDArray[np.int64]
    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64] | None


def cut(lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Partition rows of ``lengths`` [n] tokens into batches of at most ``batch_tokens`` padded tokens, longest first.

    A row with tokens is in exactly one batch, a row without tokens in none. A row longer than the budget is alone in
    its batch. Rows of equal length keep their order, so the same lengths always give the same batches.

    Raises:
        ValueError: ``batch_tokens`` is not positive.
    """
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens is {batch_tokens}; it must be at least 1")
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    batches = []
    start = 0
    while start < len(order):
        # The first row is the longest of the batch, so the whole batch is padded to its length.
        size = max(1, batch_tokens // int(lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches


def make_buckets(window: TokenWindow, batch_tokens: int, pad_id: int) -> Iterator[Bucket]:
    """Yield a window's padded batches, longest rows first, so that the first batch allocates most of the memory.

    Raises:
        ValueError: ``batch_tokens`` is not positive.
    """
    for rows in cut(window.lengths, batch_tokens):
        yield pad(window, rows, pad_id)


def pad(window: TokenWindow, rows: NDArray[np.int64], pad_id: int) -> Bucket:
    """Return the rows ``rows`` [b] of a window as a padded batch; the first of them must be the longest."""
    length = window.lengths[rows]
    mask = np.arange(int(length[0]))[None, :] < length[:, None]
    # One gather for the whole batch: positions past a row's end read its last token and are masked out.
    index = window.offsets[rows][:, None] + np.minimum(np.arange(mask.shape[1])[None, :], length[:, None] - 1)
    return Bucket(
        row=rows,
        input_ids=np.where(mask, window.ids[index], pad_id).astype(np.int64),
        attention_mask=mask.astype(np.int64),
        token_type_ids=None if window.type_ids is None else np.where(mask, window.type_ids[index], 0).astype(np.int64),
    )
