"""Engine: the tokens of a window in, their logits out; batches run side by side, equal texts run once."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.buckets import cut, pad
from scorer.session import Session
from scorer.tokens import TokenWindow

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class BatchDone:
    """What one batch of the model amounted to: texts and their duplicates, tokens, tokens with padding."""

    rows: int
    tokens: int
    padded_tokens: int


class Engine:
    """Runs a session's batches on a pool of threads; a batch that memory is too small for is run in halves.

    ``seconds`` adds up what the session took of the threads: of processor time on a CPU, where a batch runs in the
    thread that asks for it and shares its core with the tokenizer; of time on a GPU.
    """

    def __init__(self, session: Session, runners: ThreadPoolExecutor, batch_tokens: int, pad_id: int) -> None:
        self.batch_tokens = batch_tokens
        self.seconds = 0.0
        self._session = session
        self._runners = runners
        self._pad_id = pad_id
        self._clock = time.thread_time if session.device == "cpu" else time.perf_counter

    def start(self, tokens: TokenWindow, num_classes: int) -> "Running":
        """Hand a window's texts to the runners, largest batches first."""
        first, same = distinct(tokens)
        pieces = tokens if len(first) == len(same) else tokens.take(first)
        batches = cut(pieces.lengths, self.batch_tokens)
        futures = [self._runners.submit(self._run, pieces, rows, num_classes) for rows in batches]
        return Running(self, tokens, pieces, same, num_classes, batches, futures)

    def _run(self, pieces: TokenWindow, rows: NDArray[np.int64], num_classes: int) -> tuple[Logits, int, float]:
        batch = pad(pieces, rows, self._pad_id)
        started = self._clock()
        try:
            logits = self._session.run(batch)
        except MemoryError:
            if len(rows) == 1:  # a row that can't be run ends no run
                return np.full((1, num_classes), np.nan, dtype=np.float32), batch.input_ids.size, 0.0
            half = len(rows) // 2
            one, other = (self._run(pieces, part, num_classes) for part in (rows[:half], rows[half:]))
            return np.concatenate([one[0], other[0]]), one[1] + other[1], one[2] + other[2]
        return logits, batch.input_ids.size, self._clock() - started


@dataclass(frozen=True)
class Running:
    """A window that is with the runners."""

    engine: Engine
    tokens: TokenWindow
    pieces: TokenWindow
    same: NDArray[np.int64]
    num_classes: int
    batches: list[NDArray[np.int64]]
    futures: list[Future[tuple[Logits, int, float]]]

    @property
    def duplicates(self) -> int:
        """The pieces of text that were not run because another one of the window has the same tokens."""
        copies = np.bincount(self.same, minlength=len(self.pieces.lengths))
        return int((copies[self.pieces.lengths > 0] - 1).sum())

    def logits(self, on_batch: Callable[[BatchDone], None] = lambda done: None) -> Logits:
        """Wait and return the logits [s, C] in the texts' own order; NaN for a text that has no token.

        ``on_batch`` is called as each batch is done; what it raises, and what a batch raised, is passed on.
        """
        lengths = self.pieces.lengths
        found = np.full((len(lengths), self.num_classes), np.nan, dtype=np.float32)
        # A text counts as done with its first piece.
        begins = np.diff(self.tokens.texts, prepend=-1) > 0
        copies = np.bincount(self.same[begins], minlength=len(lengths))
        for rows, future in zip(self.batches, self.futures, strict=True):
            found[rows], padded, seconds = future.result()
            self.engine.seconds += seconds
            on_batch(BatchDone(int(copies[rows].sum()), int(lengths[rows].sum()), padded))
        return self._means(found[self.same])

    def _means(self, logits: Logits) -> Logits:
        """Average the logits [n, C] of each text's pieces; [s, C]."""
        count = len(self.tokens.truncated)
        if count == len(logits):
            return logits
        starts = np.searchsorted(self.tokens.texts, np.arange(count))
        sums = np.add.reduceat(logits.astype(np.float64), starts, axis=0)
        means: Logits = (sums / np.bincount(self.tokens.texts, minlength=count)[:, None]).astype(np.float32)
        return means


def distinct(tokens: TokenWindow) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first text [u] of each sequence of tokens, ascending, and for every text [s] which one it has."""
    seen: dict[tuple[bytes, bytes], int] = {}
    first: list[int] = []
    same = np.empty(len(tokens.lengths), dtype=np.int64)
    for i, (start, stop) in enumerate(zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True)):
        types = b"" if tokens.type_ids is None else tokens.type_ids[start:stop].tobytes()
        same[i] = place = seen.setdefault((tokens.ids[start:stop].tobytes(), types), len(first))
        if place == len(first):
            first.append(i)
    return np.array(first, dtype=np.int64), same
