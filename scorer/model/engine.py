"""Engine: compute the logits of a window's tokens; batches run in parallel, identical texts run once."""

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
    """The counts of a finished batch: texts including their duplicates, tokens, and tokens including padding."""

    rows: int
    tokens: int
    padded_tokens: int


@dataclass(frozen=True)
class _Batch:
    """A finished batch: tokens including padding, and seconds; ``no_memory`` [b] marks texts without logits."""

    padded_tokens: int
    seconds: float
    no_memory: NDArray[np.bool_]


class Engine:
    """Runs a session's batches on a pool of threads.

    A batch that is too large for memory is run in two halves; a half that is still too large is halved again. A single
    text that is too large is tried once more while no other batch runs.

    ``seconds`` adds up the time of the session over all threads: processor time on a CPU, where the thread that runs a
    batch shares its core with the tokenizer; wall time on a GPU.
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
        """Start a window's batches on the threads, longest texts first, and return the window that is running."""
        first, same = distinct(tokens)
        pieces = tokens if len(first) == len(same) else tokens.take(first)
        batches = cut(pieces.lengths, self.batch_tokens)
        logits = np.full((len(pieces.lengths), num_classes), np.nan, dtype=np.float32)
        futures = [self._runners.submit(self._run, pieces, rows, logits) for rows in batches]
        return Running(self, tokens, pieces, same, logits, batches, futures)

    def _run(self, pieces: TokenWindow, rows: NDArray[np.int64], logits: Logits) -> _Batch:
        """Run the batch of the pieces ``rows`` [b] and write its logits into ``logits`` [n, C]."""
        try:
            with self._turns.beside():
                return self._try(pieces, rows, logits)
        except MemoryError:
            pass  # retried outside the handler, so that the failed batch is freed first
        if len(rows) > 1:
            half = len(rows) // 2
            one, other = (self._run(pieces, part, logits) for part in (rows[:half], rows[half:]))
            return _Batch(
                one.padded_tokens + other.padded_tokens,
                one.seconds + other.seconds,
                np.concatenate([one.no_memory, other.no_memory]),
            )
        try:
            with self._turns.alone():
                return self._try(pieces, rows, logits)
        except MemoryError:  # the run goes on without this row
            return _Batch(int(pieces.lengths[rows[0]]), 0.0, np.ones(1, dtype=np.bool_))

    def _try(self, pieces: TokenWindow, rows: NDArray[np.int64], logits: Logits) -> _Batch:
        batch = pad(pieces, rows, self._pad_id)
        started = self._clock()
        found = self._session.run(batch)
        seconds = self._clock() - started
        logits[rows] = found
        return _Batch(batch.input_ids.size, seconds, np.zeros(len(rows), dtype=np.bool_))


class _Turns:
    """Lets batches run in parallel, or one batch alone, which waits for the running ones and makes later ones wait."""

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
    """A window whose batches were started on the engine's threads, which write into ``found`` [u, C].

    ``pieces`` [u] has each distinct piece of ``tokens`` once; ``same`` [n] is the index in ``pieces`` of each piece of
    ``tokens``. ``batches`` and ``futures`` have the same order; a batch is an array of indices into ``pieces``.
    """

    engine: Engine
    tokens: TokenWindow
    pieces: TokenWindow
    same: NDArray[np.int64]
    found: Logits
    batches: list[NDArray[np.int64]]
    futures: list[Future[_Batch]]

    @property
    def duplicates(self) -> int:
        """The number of texts that were not run, because an earlier text in the window has identical tokens."""
        ran = np.zeros(len(self.tokens.truncated), dtype=np.bool_)
        ran[self.tokens.texts[np.unique(self.same, return_index=True)[1]]] = True
        return int(np.count_nonzero(~ran & (self.tokens.text_lengths > 0)))

    @property
    def no_memory(self) -> NDArray[np.bool_]:
        """Which texts [s] have a piece that was too large for memory; reading this property waits for all batches."""
        failed = np.zeros(len(self.pieces.lengths), dtype=np.bool_)
        for rows, future in zip(self.batches, self.futures, strict=True):
            failed[rows] = future.result().no_memory
        return np.bincount(self.tokens.texts, failed[self.same], len(self.tokens.truncated)) > 0

    def logits(self, on_batch: Callable[[BatchDone], None] = lambda done: None) -> Logits:
        """Wait for the batches and return each text's logits [s, C], in row order; NaN for a text without tokens.

        ``on_batch`` is called after each batch. Exceptions of a batch or of ``on_batch`` are raised here.
        """
        lengths = self.pieces.lengths
        # A text counts as done with its first piece.
        begins = np.diff(self.tokens.texts, prepend=-1) > 0
        copies = np.bincount(self.same[begins], minlength=len(lengths))
        for rows, future in zip(self.batches, self.futures, strict=True):
            batch = future.result()
            self.engine.seconds += batch.seconds
            on_batch(BatchDone(int(copies[rows].sum()), int(lengths[rows].sum()), batch.padded_tokens))
        return self._means(self.found if len(lengths) == len(self.same) else self.found[self.same])

    def _means(self, logits: Logits) -> Logits:
        """Return each text's logits [s, C]: the means over the text's pieces, whose logits are ``logits`` [n, C]."""
        count = len(self.tokens.truncated)
        if count == len(logits):
            return logits
        starts = np.searchsorted(self.tokens.texts, np.arange(count))
        sums = np.add.reduceat(logits.astype(np.float64), starts, axis=0)
        means: Logits = (sums / np.bincount(self.tokens.texts, minlength=count)[:, None]).astype(np.float32)
        return means


def distinct(tokens: TokenWindow) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first piece of each distinct token sequence [u], ascending, and the sequence of every piece [n]."""
    seen: dict[tuple[bytes, bytes], int] = {}
    first: list[int] = []
    same = np.empty(len(tokens.lengths), dtype=np.int64)
    for i, (start, stop) in enumerate(zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True)):
        types = b"" if tokens.type_ids is None else tokens.type_ids[start:stop].tobytes()
        same[i] = place = seen.setdefault((tokens.ids[start:stop].tobytes(), types), len(first))
        if place == len(first):
            first.append(i)
    return np.array(first, dtype=np.int64), same
