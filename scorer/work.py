"""Work: a run's parts at work, one window ahead of themselves: tokenise, run, score, write."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.columns import Columns
from scorer.engine import BatchDone, Engine, Running
from scorer.labels import LabelMap
from scorer.run import RunDirectory
from scorer.shard import replace_rows, score_table
from scorer.source import Source
from scorer.summary import ShardNotes
from scorer.tokens import BundleTokenizer, TokenWindow
from scorer.watch import LabelWatch
from scorer.window import OK, Window, join_windows, read_windows, window_ranges

_GROUP_ROWS = 65_536  # rows of whose shards those that are scored again share batches

Started = tuple[Window, TokenWindow, Running]


@dataclass
class Progress:
    """How far a run is: rows and tokens of this process, ``kept`` rows of an earlier one, seconds since the start.

    ``padded_tokens`` counts what the model was fed, padding included; ``rescored`` rows were scored again in fp32.
    """

    total_rows: int
    kept: int = 0
    rows: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    rescored: int = 0
    seconds: float = 0.0

    @property
    def padding(self) -> float:
        """The share of the model's input that is padding, 0..1."""
        return 1.0 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0


@dataclass
class Work:
    """Scores a run's rows; ``first`` runs all of them, ``again`` in fp32 those of a screen that need it.

    ``seconds`` adds up what each stage took; ``read`` and ``tokenise`` go on beside the others, ``wait`` and ``model``
    are what was waited for tokens and for the model.
    """

    run: RunDirectory
    source: Source
    columns: Columns
    labels: LabelMap | None
    tokenizer: BundleTokenizer
    window_rows: int
    precision: str
    first: Engine
    again: Engine | None
    control: NDArray[np.int64]
    progress: Progress
    report: Callable[[], None]
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("read", "tokenise", "wait", "model", "score", "write"), 0.0)
    )

    @property
    def seconds_in_model(self) -> float:
        """The seconds that all threads together spent in the model."""
        return self.first.seconds + (self.again.seconds if self.again else 0.0)

    def score_missing(self) -> None:
        """Score the shards that the run lacks.

        Raises:
            SourceError: the data can't be read or has changed.
            LabelError: the labels turn out not to be the model's.
            RunError: a shard can't be written.
        """
        run, size = self.run, self.window_rows
        ranges = [cut for i in run.missing_shards() for cut in window_ranges(*run.shard_range(i), size)]
        watch = LabelWatch(run, self.labels, size)
        notes, tables = ShardNotes(), []
        self.report()
        windows = read_windows(self.source, self.columns, self.labels, ranges)
        for window, tokens, running in self._started(self.first, windows, watch.before):
            fed = self.progress.tokens, self.progress.padded_tokens
            table = self._table(window, tokens, self._logits(running), self.precision)
            self.progress.rows += len(window.rows) - int(np.count_nonzero(tokens.lengths))
            if self.again:
                table = self._with_control(table, window)
            watch.after(window, table)
            tables.append(table)
            notes.add(window, self.progress.tokens - fed[0], self.progress.padded_tokens - fed[1], running.duplicates)
            shard = window.first_row // run.shard_rows
            if window.stop == run.shard_range(shard)[1]:
                self.source.refuse_change()
                with _timed(self.seconds, "write"):
                    run.write_shard(shard, pa.concat_tables(tables), asdict(notes))
                notes, tables = ShardNotes(), []

    def rescore(self, wanted: Callable[[int], NDArray[np.int64]]) -> None:
        """Score rows again in fp32, those that ``wanted`` names of a shard, and write their shards anew.

        The rows of a fixed group of shards share batches, whatever was done of it before an interruption.

        Raises:
            SourceError: the data can't be read or has changed.
            RunError: a shard can't be read or written.
        """
        if self.again is None:
            raise ValueError("this run has no fp32 engine")
        for window, tokens, running in self._started(self.again, self._groups(wanted), lambda window: None):
            table = self._table(window, tokens, running.logits(), "fp32")
            self.source.refuse_change()
            with _timed(self.seconds, "write"):
                for shard in np.unique(window.rows // self.run.shard_rows).tolist():
                    start, stop = np.searchsorted(window.rows, self.run.shard_range(shard)).tolist()
                    whole = replace_rows(self.run.read_shard(shard), table.slice(start, stop - start))
                    self.run.write_shard(shard, whole, self.run.notes(shard))
            self.progress.rescored += len(window.rows)
            self.report()

    def _groups(self, wanted: Callable[[int], NDArray[np.int64]]) -> Iterator[Window]:
        """Yield the wanted rows of each group of shards, but for groups that have them all in fp32 already."""
        run, size = self.run, self.window_rows
        shards = max(1, _GROUP_ROWS // run.shard_rows)
        for group in range(0, run.num_shards, shards):
            parts = [wanted(shard) for shard in range(group, min(group + shards, run.num_shards))]
            if all(self._in_fp32(group + i, rows) for i, rows in enumerate(parts)):
                continue
            rows = np.concatenate(parts)
            ranges = []
            # Windows begin with their shard.
            for start in np.unique(rows - rows % run.shard_rows % size).tolist():
                ranges.append((start, min(start + size, run.shard_range(start // run.shard_rows)[1])))
            windows = read_windows(self.source, self.columns, self.labels, ranges)
            yield join_windows([window.take(np.flatnonzero(np.isin(window.rows, rows))) for window in windows])

    def _in_fp32(self, shard: int, rows: NDArray[np.int64]) -> bool:
        if not len(rows):
            return True
        precision = self.run.read_shard(shard, ["precision"])["precision"]
        return set(precision.take(pa.array(rows - self.run.shard_range(shard)[0])).to_pylist()) == {"fp32"}

    def _with_control(self, table: pa.Table, window: Window) -> pa.Table:
        """Score the control sample's rows of a window in fp32 too."""
        labelled = (window.status == OK) & (window.labels >= 0)
        chosen = np.flatnonzero(labelled & np.isin(window.rows, self.control))
        if self.again is None or not len(chosen):
            return table
        part = window.take(chosen)
        tokens = self.tokenizer.tokenise(part.texts, part.text_pairs)
        logits = self.again.start(tokens, len(self.run.class_names)).logits()
        return replace_rows(table, self._table(part, tokens, logits, "fp32"))

    def _started(self, engine: Engine, windows: Iterator[Window], check: Callable[[Window], None]) -> Iterator[Started]:
        """Yield windows that are with the runners, each when the next one is with them too, so that they never idle.

        ``check`` sees a window when all before it are done with; only the first one is checked before it runs.
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
        """Read and tokenise one window ahead, in a thread of its own."""

        def prepare() -> tuple[Window, TokenWindow] | None:
            with _timed(self.seconds, "read"):
                window = next(windows, None)
            if window is None:
                return None
            with _timed(self.seconds, "tokenise"):
                return window, self.tokenizer.tokenise(window.texts, window.text_pairs)

        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as executor:
            pending = executor.submit(prepare)
            while True:
                with _timed(self.seconds, "wait"):
                    prepared = pending.result()
                if prepared is None:
                    return
                pending = executor.submit(prepare)
                yield prepared

    def _logits(self, running: Running) -> NDArray[np.float32]:
        def count(done: BatchDone) -> None:
            self.progress.rows += done.rows
            self.progress.tokens += done.tokens
            self.progress.padded_tokens += done.padded_tokens
            self.report()

        with _timed(self.seconds, "model"):
            return running.logits(count)

    def _table(self, window: Window, tokens: TokenWindow, logits: NDArray[np.float32], precision: str) -> pa.Table:
        with _timed(self.seconds, "score"):
            return score_table(window, tokens, logits, self.run.class_names, precision)


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] += time.perf_counter() - started
