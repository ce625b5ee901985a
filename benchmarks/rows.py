"""Make the rows that are scored: the demo's news texts, or longer texts made of them; seeded, without duplicates."""

import functools
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks.models import CLASSES, DEMO
from benchmarks.protocol import BATCH

_SEED = 20
_TAIL_ROWS = 6000
_PREFIXES = (1, 2, 4, 8, 16)  # batches
_MEDIAN, _SIGMA, _SHORTEST, _LONGEST = 60.0, 1.0, 5, 512  # tokens; sigma is the standard deviation of the logarithm


@dataclass(frozen=True)
class Rows:
    """Texts with class indices [n] and token counts [n]; counts include special tokens and are cut at the limit."""

    name: str
    texts: list[str]
    labels: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def without(self, texts: Collection[str]) -> "Rows":
        """Return the rows whose text is not in ``texts``."""
        kept = np.array([text not in texts for text in self.texts])
        return Rows(
            self.name,
            [text for text, keep in zip(self.texts, kept, strict=True) if keep],
            self.labels[kept],
            self.tokens[kept],
        )

    def save(self, path: Path) -> Path:
        """Write texts and labels to a file that a worker can read."""
        path.write_text(json.dumps({"texts": self.texts, "labels": self.labels.tolist()}), encoding="utf-8")
        return path


def make_rows(name: str, limit: int = 512) -> Rows:
    """Return the rows of ``news``, ``tail`` or ``len-N`` (texts of exactly N tokens), in a seeded random order."""
    table = pq.read_table(DEMO / "ag_news_test.parquet", columns=["text", "label"])
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(table.num_rows)
    texts = [table["text"][int(i)].as_py() for i in order]
    labels = np.asarray(table["label"].to_numpy(), dtype=np.int64)[order]
    if name == "tail":
        lengths = np.clip(np.exp(rng.normal(np.log(_MEDIAN), _SIGMA, _TAIL_ROWS)), _SHORTEST, _LONGEST)
        texts, labels = _joined(texts, lengths.astype(np.int64), rng), rng.integers(0, len(CLASSES), _TAIL_ROWS)
    elif name.startswith("len-"):
        count = max(64, 60_000 // int(name[4:]))
        texts = _joined(texts, np.full(count, int(name[4:])), rng)
        labels = rng.integers(0, len(CLASSES), len(texts))
    elif name != "news":
        raise ValueError(f"{name!r} is not a data set; it must be news, tail or len-N")
    tokenizer = _tokenizer()
    tokenizer.enable_truncation(limit)
    tokens = np.array([len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts)], dtype=np.int64)
    start = _typical_start(tokens)
    texts = texts[start:] + texts[:start]
    return Rows(name, texts, np.roll(labels, -start), np.roll(tokens, -start))


def _typical_start(tokens: NDArray[np.int64]) -> int:
    """Return the row to start at so that the first few batches have about the same padding as all batches.

    Slow candidates score only the first few batches, and a batch is padded to its longest row.
    """
    whole = tokens[: len(tokens) // BATCH * BATCH].reshape(-1, BATCH)
    longest, real = whole.max(axis=1) * BATCH, whole.sum(axis=1)
    off = np.zeros(len(whole))
    for count in _PREFIXES:
        batches = np.arange(len(whole))[:, None] + np.arange(count)
        ratio = np.take(longest, batches, mode="wrap").sum(axis=1) / np.take(real, batches, mode="wrap").sum(axis=1)
        off = np.maximum(off, np.abs(ratio / (longest.sum() / real.sum()) - 1))
    return int(np.argmin(off)) * BATCH


def _joined(texts: list[str], lengths: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """Return distinct texts with the given token counts: spans that start at a random word of all texts joined."""
    words, ends = _words(tuple(texts))
    found: dict[str, None] = {}
    for length in lengths:
        while True:
            start = int(rng.integers(0, len(words) - 600))
            stop = int(np.searchsorted(ends, ends[start] + length - 2))
            if ends[stop] - ends[start] == length - 2 and (text := " ".join(words[start:stop])) not in found:
                break
        found[text] = None
    return list(found)


@functools.cache
def _words(texts: tuple[str, ...]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the words of all texts in a row, and the number of tokens before each word and after the last one."""
    words = [word for text in texts for word in text.split()]
    encodings = _tokenizer().encode_batch_fast(words, add_special_tokens=False)
    return words, np.concatenate([[0], np.cumsum([len(encoding.ids) for encoding in encodings])])


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(DEMO / "bundle" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def quantiles(tokens: NDArray[np.int64]) -> dict[str, float]:
    """Return the mean and percentiles of row lengths, in tokens."""
    points = (0, 50, 90, 99, 100)
    values = {f"p{point}": float(value) for point, value in zip(points, np.percentile(tokens, points), strict=True)}
    return {"mean": float(tokens.mean()), **values}
