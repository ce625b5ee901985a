"""import_probabilities(): make a run of probabilities that another program predicted, row by row.

Windows, shards, labels and scores are those of ``score_dataset``; no model runs, so texts are read only for the
content of the rows.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from msgspec import UNSET
from numpy.typing import NDArray

from scorer.data.opening.open import open_source
from scorer.data.probabilities import Probabilities
from scorer.data.read_options import ReadOptions
from scorer.data.source import Data, Source
from scorer.errors import LabelError, SourceError
from scorer.model.losses import log_softmax
from scorer.model.origin import IMPORTED, ImportInfo
from scorer.model.probs import LEAST, MOST_BAD, log_probs_of, refuse_other_numbers, sound
from scorer.pipeline.label_watch import LabelWatch
from scorer.pipeline.loop import Progress
from scorer.pipeline.open_shard import OpenShard
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.plan import DataPlan, find_columns, find_labels, manifest_of
from scorer.pipeline.scores import Predictions, table_of
from scorer.pipeline.summary import recount, refuse_hardly_any, summarise
from scorer.pipeline.window import Window, read_windows, refuse_bad, window_ranges
from scorer.run.directory import RunDirectory
from scorer.run.integrity import require_whole
from scorer.run.manifest import RunOptions, RunStats
from scorer.run.manifest_file import refuse_many_shards
from scorer.run.schema import BAD_LOGITS_STATUS, BAD_PROBS_STATUS, NO_LABEL_STATUS, OK, UNKNOWN_LABEL_STATUS
from scorer.run.start import Existing, locked_run
from scorer.run.status import missing_rows
from scorer.text import listed

_FIRST_ROWS = 4096  # whose numbers are looked at before a run is made
_PREDICTED = (OK, NO_LABEL_STATUS, UNKNOWN_LABEL_STATUS)


@dataclass(frozen=True)
class ImportPlan(DataPlan):
    """The choices made for a run of imported probabilities; ``logits`` tells whether they are logits."""

    probs: Probabilities
    logits: bool


def import_probabilities(
    data: Data,
    probs: Probabilities,
    output: str | Path,
    options: ScoreOptions | None = None,
    *,
    logits: bool = False,
    model: str | None = None,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    read: ReadOptions | None = None,
    overwrite: bool | Existing = False,
    on_plan: Callable[[ImportPlan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[RunStats, Source]:
    """Make a run of predicted probabilities, or resume one; return its summary and its data.

    ``probs`` has one row for each row of ``data``, in the same order; with ``logits`` their softmax is taken.
    ``model`` is what reports call the model. The other arguments are those of ``score_dataset``; of ``options``, those
    about columns, labels, shards and bad rows count.

    Raises:
        SourceError: the data or the probabilities can't be read, or change meanwhile; their row counts differ.
        SourceError: most rows are no probabilities.
        LabelError: the labels don't match the classes.
        RunError: the run directory can't be written, or holds another run.
    """
    started = time.perf_counter()
    options = options or ScoreOptions()
    plan = _plan(open_source(data, config=config, split=split, streaming=streaming, read=read), probs, options, logits)
    name = model or f"probabilities of {Path(probs.path).name if probs.path else probs.name}"
    record = ImportInfo(path=probs.path, sha256=probs.sha256, model=name, logits=logits, class_names=probs.class_names)
    settings = RunOptions(
        precision=IMPORTED,
        window_rows=options.window,
        shard_rows=options.shard_rows,
        text_hash=True,
        top_probs=options.top_probs(len(probs.class_names)) or UNSET,
    )
    manifest = manifest_of(plan, record, settings, threads=1)
    with locked_run(Path(output), manifest, plan.source, overwrite) as run:
        if on_plan:
            on_plan(plan)
        progress = Progress(run.num_rows, kept=run.num_rows - missing_rows(run))
        if not run.missing_shards() and run.manifest.summary is not None:
            return recount(run, run.manifest.summary), plan.source
        for rows in _import_missing(run, plan, options):
            progress.rows += rows
            progress.seconds = time.perf_counter() - started
            if on_progress:
                on_progress(progress)
        plan.source.refuse_change()
        plan.source.refuse_added()
        probs.refuse_change()
        seconds = {"total": time.perf_counter() - started}
        stats = summarise(run, kept_rows=progress.kept, seconds=seconds, model_share=0.0)
        require_whole(run)
        _refuse_bad(stats, plan)
        refuse_hardly_any(stats)
        run.finish(stats)
        return stats, plan.source


def _plan(source: Source, probs: Probabilities, options: ScoreOptions, logits: bool) -> ImportPlan:
    """Return the plan, after a look at the first rows of the probabilities.

    Raises:
        SourceError: the row counts differ, or the numbers are no probabilities (no logits).
        LabelError: the labels don't match the classes.
    """
    if source.num_rows != probs.rows:
        raise SourceError(
            f"{source.name} has {source.num_rows:,} rows, but {probs.name} has {probs.rows:,}; rows belong together by "
            "their order, so each row of the data needs one row of probabilities"
        )
    refuse_many_shards(source.num_rows, options.shard_rows)
    first = next(probs.blocks([(0, min(_FIRST_ROWS, probs.rows))]))
    refuse_other_numbers(first, probs.name, logits=logits)
    source, columns = find_columns(source, options)
    labels, checked = find_labels(probs.class_names, source, columns, options)
    if labels is not None and probs.in_order and not labels.is_given:
        labels = replace(labels, check_order=True)  # names that the user gave may be in the wrong order
    return ImportPlan(source, columns, labels, checked, probs, logits)


def _import_missing(run: RunDirectory, plan: ImportPlan, options: ScoreOptions) -> Iterator[int]:
    """Write the shards that the run lacks; yield the number of rows of each window that is done.

    Raises:
        SourceError: the data or the probabilities can't be read or have changed.
        SourceError: a row can't be read and ``on_error`` is ``fail``.
        LabelError: the labels don't match the classes.
        RunError: a shard can't be written.
    """
    ranges = [
        cut
        for i in run.missing_shards()
        for cut in window_ranges(*run.shard_range(i), options.window)
        if cut[0] >= run.shard_range(i)[0] + run.kept_windows(i)
    ]
    watch = LabelWatch(run, plan.labels, plan.checked, options.window)
    shard = OpenShard(run, plan.source)
    windows = read_windows(plan.source, plan.columns, plan.labels, ranges, _no_texts)
    try:
        for window, block in zip(windows, plan.probs.blocks(ranges), strict=True):
            watch.before(window)
            if options.on_error == "fail":
                refuse_bad(plan.source, window)
            table, zeros = _scored(window, block, plan, run.manifest.options.top_probs or None)
            try:
                watch.after(window, table)
            except LabelError as error:
                raise (_other_order(plan) if plan.probs.in_order else error) from error
            if window.stop % run.shard_rows == 0:
                plan.probs.refuse_change()
            shard.add(window, table, zero_probs=zeros)
            yield len(window.rows)
    except BaseException:
        shard.keep_at_end()
        raise


def _scored(
    window: Window, block: NDArray[np.float64], plan: ImportPlan, top_probs: int | None
) -> tuple[pa.Table, int]:
    """Return the scores of a window, whose predictions are ``block`` [n, C], and how many labels have probability 0."""
    given = block[window.scored]
    if plan.logits:
        good = np.isfinite(given).all(axis=1)
        log_probs = log_softmax(given[good])
        probs = np.exp(log_probs)
    else:
        good = sound(given)
        log_probs = log_probs_of(given[good])
        probs = np.clip(given[good], 0.0, 1.0)
    status = np.full(len(given), OK, dtype=object)
    status[~good] = BAD_LOGITS_STATUS if plan.logits else BAD_PROBS_STATUS
    lengths, cut = np.zeros(len(given), dtype=np.int64), np.zeros(len(given), dtype=np.bool_)
    found = Predictions(status, log_probs, probs, lengths, cut)
    table = table_of(window, found, plan.probs.class_names, IMPORTED, top_probs)
    if plan.logits:
        return table, 0
    labels = window.labels[window.scored][good]
    at = np.flatnonzero(labels >= 0)
    return table, int((probs[at, labels[at]] < LEAST).sum())


def _no_texts(texts: list[str]) -> list[str]:
    return [""] * len(texts)


def _other_order(plan: ImportPlan) -> LabelError:
    return LabelError(
        "most rows of several labels are predicted as another class, so `classes` seems to be in another order than "
        f"the columns of {plan.probs.name}; it is {listed(plan.probs.class_names, 60)}; give the names in the order of "
        "the columns (scikit-learn's `classes_`), or what each label means with `label_map`"
    )


def _refuse_bad(stats: RunStats, plan: ImportPlan) -> None:
    """Raise SourceError if most rows with a text have numbers that are no probabilities, or no logits."""
    status = BAD_LOGITS_STATUS if plan.logits else BAD_PROBS_STATUS
    bad = stats.by_status.get(status, 0)
    total = bad + sum(stats.by_status.get(name, 0) for name in _PREDICTED)
    if total and bad > MOST_BAD * total:
        what = "NaN or infinite" if plan.logits else "not finite, not in 0..1, or do not sum to 1"
        raise SourceError(
            f"{bad:,} of {total:,} rows of {plan.probs.name} are {what}; correct the file, then import it into another "
            "folder"
        )
