"""score_dataset(): source -> tokens -> buckets -> session -> losses -> run directory, one straight line.

Windows and shards are fixed ranges of rows, so every batch holds the same rows whenever and wherever a run is
resumed, and its shards come out byte for byte the same.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.buckets import make_buckets
from scorer.bundle import ModelBundle
from scorer.columns import Columns, choose_columns
from scorer.errors import RunError
from scorer.labels import LabelMap, make_label_map
from scorer.run import RunDirectory, locked_run
from scorer.session import OrtSession, Session
from scorer.shard import score_table
from scorer.source import Source, open_source
from scorer.summary import RunStats, ShardNotes, summarise, versions
from scorer.tokens import BundleTokenizer, TokenWindow
from scorer.watch import LabelWatch
from scorer.window import Window, read_windows

# Small batches stay in a CPU's cache (4,096 tokens are a fifth slower than 1,024); a GPU wants large ones.
_BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}
_WINDOW_ROWS = 4096


@dataclass(frozen=True)
class ScoreOptions:
    """What can be set of a run; None is chosen by the machine, the model or the data.

    ``batch_tokens`` bounds a padded batch, ``window_rows`` are sorted by length together, ``shard_rows`` are
    written, and on resume kept or redone, together.
    """

    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    label_map: Mapping[str, Any] | None = None
    device: str = "auto"
    threads: int | None = None
    max_tokens: int | None = None
    batch_tokens: int | None = None
    window_rows: int | None = None
    shard_rows: int = 4096

    def __post_init__(self) -> None:
        for name in ("threads", "max_tokens", "batch_tokens", "window_rows", "shard_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RunError(f"{name} is {value}; it must be at least 1")
        if self.window_rows is not None and self.window_rows > self.shard_rows:
            raise RunError(
                f"window_rows is {self.window_rows}, more than shard_rows ({self.shard_rows}); windows end with "
                "their shard: give less, or larger shards"
            )

    @property
    def window(self) -> int:
        """The rows sorted by length together, as given or as many as fit a shard, up to 4,096."""
        return self.window_rows or min(_WINDOW_ROWS, self.shard_rows)


@dataclass
class Progress:
    """How far a run is: rows and tokens of this process, ``kept`` rows of an earlier one, seconds since the start.

    ``padded_tokens`` counts what the model was fed, padding included.
    """

    total_rows: int
    kept: int = 0
    rows: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0

    @property
    def padding(self) -> float:
        """The share of the model's input that is padding, 0..1."""
        return 1.0 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0


@dataclass(frozen=True)
class Plan:
    """What is about to be done, for the user to see before it takes a night."""

    source: Source
    columns: Columns
    labels: LabelMap | None
    device: str
    why_device: str
    threads: int
    batch_tokens: int


def score_dataset(
    bundle: ModelBundle | str | Path,
    data: str | Path | pa.Table,
    output: str | Path,
    options: ScoreOptions | None = None,
    *,
    config: str | None = None,
    split: str | None = None,
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunStats:
    """Score every row of a data set into a run directory, or go on with a run that was cut off.

    Args:
        bundle: an exported model, or its directory.
        data: what ``open_source`` takes, with ``config`` and ``split``.
        output: the run directory; finished shards in it are kept where bundle, data and options are the same.
        options: the settings; the defaults suit a CPU.
        overwrite: start anew instead.
        on_plan: called once, before the first row.
        on_progress: called after every batch.

    Raises:
        BundleError, SourceError, LabelError, DeviceError, RunError: as their names say; nothing that was finished
            before is lost.
        KeyboardInterrupt: passed on, with finished shards whole.
    """
    options = options or ScoreOptions()
    bundle = bundle if isinstance(bundle, ModelBundle) else ModelBundle.load(bundle)
    source = open_source(data, config=config, split=split)
    columns = choose_columns(
        source.schema,
        options.text_column,
        options.text_pair_column,
        options.label_column,
        options.id_column,
        class_labels=source.label_names,
    )
    labels = None
    if columns.label is not None:
        labels = make_label_map(bundle.class_names, source.label_names.get(columns.label), options.label_map)
    tokenizer = BundleTokenizer(bundle, options.max_tokens)
    session = OrtSession(bundle.model_file(), options.device, options.threads)
    batch_tokens = options.batch_tokens or _BATCH_TOKENS[session.device]
    plan = Plan(source, columns, labels, session.device, session.why, session.threads, batch_tokens)
    if on_plan:
        on_plan(plan)
    manifest = _manifest(plan, bundle, options, tokenizer.max_tokens)
    with locked_run(Path(output), manifest, overwrite=overwrite) as run:
        runners = ThreadPoolExecutor(session.threads, thread_name_prefix="model")
        work = _Work(bundle, source, columns, labels, tokenizer, session, batch_tokens, options.window, runners)
        try:
            return work.finish(run, on_progress or (lambda progress: None))
        finally:
            runners.shutdown(cancel_futures=True)


@dataclass
class _Work:
    """A run's parts, put together once."""

    bundle: ModelBundle
    source: Source
    columns: Columns
    labels: LabelMap | None
    tokenizer: BundleTokenizer
    session: Session
    batch_tokens: int
    window_rows: int
    runners: ThreadPoolExecutor

    def finish(self, run: RunDirectory, on_progress: Callable[[Progress], None]) -> RunStats:
        """Score the shards that a run lacks, then sum it up."""
        started = time.perf_counter()
        missing = [run.shard_range(i) for i in run.missing_shards()]
        progress = Progress(run.num_rows, kept=run.num_rows - sum(stop - start for start, stop in missing))
        if not missing and run.manifest.get("summary"):
            return RunStats(**{**run.manifest["summary"], "kept_rows": run.num_rows})
        seconds: dict[str, float] = dict.fromkeys(("read", "tokenise", "wait", "model", "write"), 0.0)
        watch = LabelWatch(run, self.labels, self.window_rows)
        notes = ShardNotes()
        tables: list[pa.Table] = []

        def report() -> None:
            progress.seconds = time.perf_counter() - started
            on_progress(progress)

        report()
        for window, tokens in self._prefetched(missing, seconds):
            watch.before(window)
            before = (progress.tokens, progress.padded_tokens)
            with _timed(seconds, "model"):
                logits = self._logits(tokens, progress, report)
            progress.rows += len(window.status) - len(tokens.lengths)
            table = score_table(window, tokens, logits, self.bundle.class_names)
            watch.after(window, table)
            tables.append(table)
            notes.add(window, progress.tokens - before[0], progress.padded_tokens - before[1])
            shard = window.first_row // run.shard_rows
            if window.stop == run.shard_range(shard)[1]:
                self.source.refuse_change()
                with _timed(seconds, "write"):
                    run.write_shard(shard, pa.concat_tables(tables), asdict(notes))
                tables, notes = [], ShardNotes()
        report()
        seconds["total"] = progress.seconds
        stats = summarise(run, kept_rows=progress.kept, seconds=seconds)
        run.manifest["summary"] = stats.as_dict()
        run.save()
        return stats

    def _prefetched(
        self, shards: list[tuple[int, int]], seconds: dict[str, float]
    ) -> Iterator[tuple[Window, TokenWindow]]:
        """Read and tokenise one window ahead of the model, in a thread of its own."""
        size = self.window_rows
        ranges = [(at, min(at + size, stop)) for start, stop in shards for at in range(start, stop, size)]
        windows = read_windows(self.source, self.columns, self.labels, ranges)

        def prepare() -> tuple[Window, TokenWindow] | None:
            with _timed(seconds, "read"):
                window = next(windows, None)
            if window is None:
                return None
            with _timed(seconds, "tokenise"):
                return window, self.tokenizer.tokenise(window.texts, window.text_pairs)

        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as executor:
            pending = executor.submit(prepare)
            while True:
                with _timed(seconds, "wait"):
                    prepared = pending.result()
                if prepared is None:
                    return
                pending = executor.submit(prepare)
                yield prepared

    def _logits(self, tokens: TokenWindow, progress: Progress, report: Callable[[], None]) -> NDArray[np.float32]:
        """Return the logits [s, C] of a window's texts in their own order; NaN for a text that has no token."""
        logits = np.full((len(tokens.lengths), len(self.bundle.class_names)), np.nan, dtype=np.float32)
        progress.rows += int(np.count_nonzero(tokens.lengths == 0))
        buckets = list(make_buckets(tokens, self.batch_tokens, self.bundle.pad_id))
        for bucket, found in zip(buckets, self.runners.map(self.session.run, buckets), strict=True):
            logits[bucket.row] = found
            progress.rows += len(bucket.row)
            progress.tokens += int(bucket.attention_mask.sum())
            progress.padded_tokens += bucket.attention_mask.size
            report()
        return logits


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] += time.perf_counter() - started


def _manifest(plan: Plan, bundle: ModelBundle, options: ScoreOptions, max_tokens: int) -> dict[str, Any]:
    """Return what run.json says of a run before its first shard."""
    return {
        "bundle": {
            "path": str(bundle.path.absolute()),
            "sha256": bundle.sha256,
            "model": bundle.model,
            "revision": bundle.revision,
            "class_names": list(bundle.class_names),
        },
        "data": {
            "name": plan.source.name,
            "fingerprint": plan.source.fingerprint,
            "rows": plan.source.num_rows,
            "spec": plan.source.spec,
        },
        "columns": plan.columns.as_dict(),
        "labels": None if plan.labels is None else {"how": plan.labels.how, "map": plan.labels.by_value},
        "options": {
            "device": plan.device,
            "max_tokens": max_tokens,
            "batch_tokens": plan.batch_tokens,
            "window_rows": options.window,
            "shard_rows": options.shard_rows,
        },
        "machine": {"threads": plan.threads, "versions": versions()},
    }
