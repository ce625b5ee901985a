"""Work: the loop that scores a run window by window: read, tokenise, run the model, compute losses, write shards.

The next window is read and tokenised while the model runs the current one. The losses are computed by
``score_table`` (scores.py).
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET
from numpy.typing import NDArray

from scorer.data.columns import Columns
from scorer.data.labels.checks import CheckedLabels
from scorer.data.labels.label_map import LabelMap
from scorer.data.source import Source
from scorer.model.engine import BatchDone, Engine, Running
from scorer.model.tokenizer import BundleTokenizer, TokenWindow
from scorer.pipeline.label_watch import LabelWatch
from scorer.pipeline.open_shard import OpenShard
from scorer.pipeline.prefetch import Reader
from scorer.pipeline.rescored import replace_rows
from scorer.pipeline.reuse import Reuse
from scorer.pipeline.scores import score_table
from scorer.pipeline.window import Window, join_windows, read_windows, refuse_bad, window_ranges
from scorer.run.directory import RunDirectory
from scorer.run.schema import INVALID_TEXT, UNREADABLE
from scorer.run.shard_file import count_words
from scorer.run.unfinished import read_windows_of

Prepared = tuple[Window, TokenWindow] | None  # None after the last window
Started = tuple[Window, TokenWindow, Running]


@dataclass
class Progress:
    """The progress of a run: this process's rows, tokens and seconds, and the ``kept`` rows of earlier processes.

    ``padded_tokens`` counts the tokens that the model was given, padding included. ``rescored`` counts the rows that
    were scored again in fp32.
    """

    total_rows: int
    kept: int = 0
    rows: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    rescored: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """The number of scored rows, including those of earlier processes."""
        return self.kept + self.rows

    @property
    def left(self) -> int:
        """The number of rows that are not scored yet."""
        return self.total_rows - self.done

    @property
    def rows_per_second(self) -> float:
        """The rows that this process scored per second."""
        return self.rows / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """The estimated seconds for the rows that are left, at this process's speed so far."""
        return self.left * self.seconds / max(self.rows, 1)

    @property
    def padding(self) -> float:
        """The share (0..1) of the model's input that is padding; high is bad."""
        return 1.0 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0


@dataclass
class Work:
    """Scores a run's rows: ``first`` is the engine for all rows, ``again`` the fp32 engine for a screen's worst rows.

    ``seconds`` adds up the time of each stage. ``read`` and ``tokenise`` overlap the other stages. ``wait``, ``model``
    and ``rescore`` are the time blocked on tokens, on the model, and on a screen's second runs in fp32. ``reuse`` has
    the scores of an earlier run, which are not computed again.
    """

    run: RunDirectory
    source: Source
    columns: Columns
    labels: LabelMap | None
    checked: CheckedLabels | None
    tokenizer: BundleTokenizer
    reader: Reader
    window_rows: int
    precision: str
    first: Engine
    again: Engine | None
    progress: Progress
    report: Callable[[], None]
    on_error: str = "skip"
    reuse: Reuse | None = None
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("read", "tokenise", "wait", "model", "rescore", "score", "write"), 0.0)
    )

    @property
    def seconds_in_model(self) -> float:
        """The seconds spent in the model, summed over all threads."""
        return self.first.seconds + (self.again.seconds if self.again else 0.0)

    def score_missing(self) -> None:
        """Score and write the shards that the run lacks.

        Raises:
            SourceError: the data can't be read or has changed.
            SourceError: a row can't be read and ``on_error`` is ``fail``.
            LabelError: the labels don't match the model's classes.
            RunError: a shard can't be written.
        """
        run, size = self.run, self.window_rows
        ranges = [
            cut
            for i in run.missing_shards()
            for cut in window_ranges(*run.shard_range(i), size)
            if cut[0] >= run.shard_range(i)[0] + run.kept_windows(i)
        ]
        watch = LabelWatch(run, self.labels, self.checked, size)
        shard = OpenShard(run, self.source)
        self.report()
        windows = read_windows(self.source, self.columns, self.labels, ranges, self.tokenizer.shorten)
        if self.reuse is not None:
            windows = map(self.reuse.applied, windows)
        try:
            for window, tokens, running in self._started(self.first, windows, watch.before):
                if self.on_error == "fail":
                    refuse_bad(self.source, window)
                fed = self.progress.tokens, self.progress.padded_tokens
                table = self._table(window, running, self._logits(running), self.precision)
                self.progress.rows += len(window.rows) - int(np.count_nonzero(tokens.text_lengths))
                watch.after(window, table)
                fed = self.progress.tokens - fed[0], self.progress.padded_tokens - fed[1]
                with _timed(self.seconds, "write"):
                    shard.add(window, table, *fed, running.duplicates)
        except BaseException:
            shard.keep_at_end()
            raise

    def rescore(self, wanted: Callable[[int], NDArray[np.int64]]) -> None:
        """Score rows again in fp32 and rewrite their shards; ``wanted`` returns a shard's rows to score again.

        The wanted rows form windows of ``window_rows`` rows that do not depend on what an earlier process rescored, so
        that a resumed run has the same batches.

        Raises:
            SourceError: the data can't be read or has changed.
            RunError: a shard can't be read or written.
        """
        if self.again is None:
            raise ValueError("this run has no fp32 engine")
        for window, _, running in self._started(self.again, self._wanted(wanted), lambda window: None):
            with _timed(self.seconds, "rescore"):
                logits = running.logits(lambda done: self.report())
            table = self._table(window, running, logits, "fp32")
            self.source.refuse_change(window.first_row, window.stop)
            with _timed(self.seconds, "write"):
                for shard in np.unique(window.rows // self.run.shard_rows).tolist():
                    start, stop = np.searchsorted(window.rows, self.run.shard_range(shard)).tolist()
                    before, again = self.run.read_shard(shard), table.slice(start, stop - start)
                    notes = self.run.notes(shard)
                    if notes.by_status is not UNSET:  # runs of older versions have no counts
                        old = before.take(pa.array(again["row"].to_numpy() - self.run.shard_range(shard)[0]))
                        counts = Counter(notes.by_status) + count_words(again["status"]) - count_words(old["status"])
                        notes.by_status = dict(counts)
                    self.run.write_shard(shard, replace_rows(before, again), notes)
            self.progress.rescored += len(window.rows)
            self.report()

    def refuse_kept(self) -> None:
        """Raise SourceError if a shard of an earlier process holds an unreadable row, which that process skipped."""
        for kept in self._kept_scores():
            bad = kept.filter(pc.is_in(kept["status"], pa.array([UNREADABLE, INVALID_TEXT])))["row"].to_pylist()
            if bad:  # the shard does not record why: read the row again
                refuse_bad(self.source, next(read_windows(self.source, self.columns, None, [(bad[0], bad[0] + 1)])))

    def _kept_scores(self) -> Iterator[pa.Table]:
        """Yield the rows and statuses that earlier processes scored, in order."""
        missing = set(self.run.missing_shards())
        for i in range(self.run.num_shards):
            if i not in missing:
                yield self.run.read_shard(i, ["row", "status"])
            elif tables := read_windows_of(self.run, i)[0]:
                yield pa.concat_tables(tables)

    def _wanted(self, wanted: Callable[[int], NDArray[np.int64]]) -> Iterator[Window]:
        """Yield windows of ``window_rows`` wanted rows, except windows whose rows are all in fp32 already.

        The data is read once from the start, because text formats have no index.
        """
        ranges = window_ranges(0, self.run.num_rows, self.window_rows)
        windows = read_windows(self.source, self.columns, self.labels, ranges, self.tokenizer.shorten)
        window: Window | None = None
        for rows in self._pieces(wanted):
            if self._in_fp32(rows):
                continue
            parts = []
            while window is None or rows[-1] >= window.stop:
                if window is not None:
                    parts.append(window.take(np.flatnonzero(np.isin(window.rows, rows))))
                window = next(windows)
            yield join_windows([*parts, window.take(np.flatnonzero(np.isin(window.rows, rows)))])

    def _pieces(self, wanted: Callable[[int], NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
        """Yield the wanted rows of all shards, ascending, in pieces of ``window_rows``."""
        held = np.zeros(0, dtype=np.int64)
        for shard in range(self.run.num_shards):
            held = np.concatenate([held, wanted(shard)])
            while len(held) >= self.window_rows:
                yield held[: self.window_rows]
                held = held[self.window_rows :]
        if len(held):
            yield held

    def _in_fp32(self, rows: NDArray[np.int64]) -> bool:
        shards = rows // self.run.shard_rows
        for shard in np.unique(shards).tolist():
            precision = self.run.read_shard(shard, ["precision"])["precision"]
            index = rows[shards == shard] - self.run.shard_range(shard)[0]
            if set(precision.take(pa.array(index)).to_pylist()) != {"fp32"}:
                return False
        return True

    def _started(self, engine: Engine, windows: Iterator[Window], check: Callable[[Window], None]) -> Iterator[Started]:
        """Yield each window after it and the next window were given to the model's threads, so that they never idle.

        ``check`` is called with a window when the caller has finished the window before it. Only the first window is
        checked before it runs.
        """
        ahead: Started | None = None
        for window, tokens in self._tokenised(windows):
            if ahead is None:
                check(window)
            started = window, tokens, engine.start(tokens, len(self.run.class_names))
            if ahead is not None:
                yield ahead
                check(window)
            ahead = started
        if ahead is not None:
            yield ahead

    def _tokenised(self, windows: Iterator[Window]) -> Iterator[tuple[Window, TokenWindow]]:
        """Yield windows with their tokens; the next window is read and tokenised meanwhile, in the reader's thread."""

        def prepare() -> Prepared:
            with _timed(self.seconds, "read"):
                window = next(windows, None)
            if window is None:
                return None
            with _timed(self.seconds, "tokenise"):
                return window, self.tokenizer.tokenise_short(window.texts, window.text_pairs)

        pending = self.reader.start(prepare)
        while True:
            with _timed(self.seconds, "wait"):
                prepared = pending.result()
            if prepared is None:
                return
            pending = self.reader.start(prepare)
            yield prepared

    def _logits(self, running: Running) -> NDArray[np.float32]:
        def count(done: BatchDone) -> None:
            self.progress.rows += done.rows
            self.progress.tokens += done.tokens
            self.progress.padded_tokens += done.padded_tokens
            self.report()

        with _timed(self.seconds, "model"):
            return running.logits(count)

    def _table(self, window: Window, running: Running, logits: NDArray[np.float32], precision: str) -> pa.Table:
        with _timed(self.seconds, "score"):
            names, top = self.run.class_names, self.run.manifest.options.top_probs or None
            scores = score_table(window, running.tokens, logits, running.no_memory, names, precision, top)
            return scores.select(self.run.schema.names)  # a run of an older version has fewer columns


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] += time.perf_counter() - started
