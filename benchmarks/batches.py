"""Turn texts into padded batches, for candidates whose library leaves that to the user."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ids = list[list[int]]


def load_tokenizer(folder: Path, limit: int) -> Tokenizer:
    """Return a folder's fast tokenizer, which cuts texts at ``limit`` tokens and does not pad."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    tokenizer.no_padding()
    return tokenizer


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> Ids:
    """Return the token ids of every text."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]


def in_order(count: int, rows: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of each batch of ``rows`` rows, in the data's order."""
    for start in range(0, count, rows):
        yield np.arange(start, min(start + rows, count))


def by_length(ids: Ids, batch_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of each batch, longest rows first; a padded batch has at most ``batch_tokens`` tokens."""
    lengths = np.array([len(row) for row in ids])
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size


def pad(ids: Ids, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the model's inputs [b, t] for the given rows; the padding id is 0 in all models here."""
    width = max(len(ids[row]) for row in rows)
    input_ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros_like(input_ids)
    for at, row in enumerate(rows):
        input_ids[at, : len(ids[row])] = ids[row]
        mask[at, : len(ids[row])] = 1
    return {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": np.zeros_like(input_ids)}
