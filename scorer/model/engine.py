"""Engine: the tokens of a window in, their logits out; batches run side by side, equal texts run once."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.model.buckets import cut, pad
from scorer.model.session import Session
from scorer.model.tokenizer import TokenWindow

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class BatchDone:
    """What one batch of the model amounted to: texts and their duplicates, tokens, tokens with padding."""

    rows: int
    tokens: int
    padded_tokens: int


@dataclass(frozen=True)
class _Batch:
    """One batch's logits [b, C], how many tokens it had with padding, its seconds; [b]: there was no memory for it."""

    logits: Logits
    padded_tokens: int
    seconds: float
    no_memory: NDArray[np.bool_]


class Engine:
    """Runs a session's batches on a pool of threads.

    A batch that memory is too small for is run in halves, and a single text once more when no other batch runs.

    ``seconds`` adds up what the session took of the threads: of processor time on a CPU, where a batch runs in the
    thread that asks for it and shares its core with the tokenizer; of time on a GPU.
    """

    def __init__(self, session: Session, runners: ThreadPoolExecutor, batch_tokens: int, pad_id: int) -> None:
        self.batch_tokens = batch_tokens
        self.seconds = 0.0
        self._session = session
        self._runners = runners
        self._pad_id = pad_id
        self._turns = _Turns()
        self._clock = time.thread_time if session.device == "cpu" else time.perf_counter

    def start(self, tokens: TokenWindow, num_classes: int) -> "Running":
        """Hand a window's texts to the runners, largest batches first."""
        first, same = distinct(tokens)
        pieces = tokens if len(first) == len(same) else tokens.take(first)
        batches = cut(pieces.lengths, self.batch_tokens)
        futures = [self._runners.submit(self._run, pieces, rows, num_classes) for rows in batches]
        return Running(self, tokens, pieces, same, num_classes, batches, futures)

    def _run(self, pieces: TokenWindow, rows: NDArray[np.int64], num_classes: int) -> _Batch:
        try:
            with self._turns.beside():
                return self._try(pieces, rows)
        except MemoryError:
            pass  # and out of the handler, so that nothing of the failed batch is held
        if len(rows) > 1:
            half = len(rows) // 2
            one, other = (self._run(pieces, part, num_classes) for part in (rows[:half], rows[half:]))
            return _Batch(
                np.concatenate([one.logits, other.logits]),
                one.padded_tokens + other.padded_tokens,
                one.seconds + other.seconds,
                np.concatenate([one.no_memory, other.no_memory]),
            )
        try:
            with self._turns.alone():
                return self._try(pieces, rows)
        except MemoryError:  # a row that can't be run ends no run
            nothing = np.full((1, num_classes), np.nan, dtype=np.float32)
            return _Batch(nothing, int(pieces.lengths[rows[0]]), 0.0, np.ones(1, dtype=np.bool_))

    def _try(self, pieces: TokenWindow, rows: NDArray[np.int64]) -> _Batch:
        batch = pad(pieces, rows, self._pad_id)
        started = self._clock()
        logits = self._session.run(batch)
        return _Batch(logits, batch.input_ids.size, self._clock() - started, np.zeros(len(rows), dtype=np.bool_))


class _Turns:
    """Lets batches run side by side, or one alone: it waits for those that run, and those to come wait for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._alone = 0

    @contextmanager
    def beside(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._running)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._alone -= 1
                self._changed.notify_all()


@dataclass(frozen=True)
class Running:
    """A window that is with the runners."""

    engine: Engine
    tokens: TokenWindow
    pieces: TokenWindow
    same: NDArray[np.int64]
    num_classes: int
    batches: list[NDArray[np.int64]]
    futures: list[Future[_Batch]]

    @property
    def duplicates(self) -> int:
        """The texts of which nothing was run, because others of the window have the same tokens."""
        ran = np.zeros(len(self.tokens.truncated), dtype=np.bool_)
        ran[self.tokens.texts[np.unique(self.same, return_index=True)[1]]] = True
        return int(np.count_nonzero(~ran & (self.tokens.text_lengths > 0)))

    @property
    def no_memory(self) -> NDArray[np.bool_]:
        """Wait and say for which texts, [s], there was too little memory, or for a piece of them."""
        failed = np.zeros(len(self.pieces.lengths), dtype=np.bool_)
        for rows, future in zip(self.batches, self.futures, strict=True):
            failed[rows] = future.result().no_memory
        return np.bincount(self.tokens.texts, failed[self.same], len(self.tokens.truncated)) > 0

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
            batch = future.result()
            found[rows] = batch.logits
            self.engine.seconds += batch.seconds
            on_batch(BatchDone(int(copies[rows].sum()), int(lengths[rows].sum()), batch.padded_tokens))
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
