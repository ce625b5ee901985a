"""score_dataset(): score a data set into a run directory: source -> tokens -> batches -> model -> losses -> shards.

Windows and shards are fixed ranges of rows. So every batch holds the same rows, wherever a run was interrupted,
and the shards are the same byte for byte.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from scorer.data.opening.open import open_source
from scorer.data.read_options import ReadOptions
from scorer.data.source import Data
from scorer.model.autotune import calibrate
from scorer.model.bundle import ModelBundle
from scorer.model.calibration import Calibration
from scorer.model.engine import Engine
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from scorer.pipeline.loop import Progress, Work
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.plan import Plan, make_plan, new_manifest
from scorer.pipeline.prefetch import Reader
from scorer.pipeline.reuse import Reuse, open_reused
from scorer.pipeline.screen import control_rows, control_seed, screen
from scorer.pipeline.summary import recount, refuse_hardly_any, summarise
from scorer.pipeline.window import read_windows
from scorer.run.directory import RunDirectory
from scorer.run.integrity import require_whole
from scorer.run.manifest import RunStats
from scorer.run.start import Existing, locked_run
from scorer.run.status import missing_rows

_CALIBRATED_FROM = 10_000  # rows; calibration does not pay for fewer
_CALIBRATION_ROWS = 4096


def score_dataset(
    bundle: ModelBundle | str | Path,
    data: Data,
    output: str | Path,
    options: ScoreOptions | None = None,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    read: ReadOptions | None = None,
    overwrite: bool | Existing = False,
    reuse: str | Path | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunStats:
    """Score every row of a data set into a run directory, or resume a run that was interrupted.

    Args:
        bundle: an exported model, or its directory.
        data: anything ``open_source`` accepts, with ``config``, ``split``, ``streaming`` and ``read``.
        output: the run directory; a run in it with the same bundle, data and options is resumed.
        options: the settings; the defaults suit a CPU.
        overwrite: replace a run in ``output`` instead of resuming it; or, in full, what becomes of that run.
        reuse: a finished run whose scores are taken over for rows with the same text and label.
        on_plan: called once, before the first row is scored.
        on_progress: called after every batch.

    Raises:
        BundleError: the bundle is missing, damaged or newer than this version.
        SourceError: the data can't be read, or changes while it is scored.
        LabelError: the labels don't match the model's classes.
        DeviceError: onnxruntime or the device is not available.
        RunError: the run directory can't be written, or holds another run.
        KeyboardInterrupt: the user pressed Ctrl-C; finished shards are whole.
    """
    options = options or ScoreOptions()
    bundle = bundle if isinstance(bundle, ModelBundle) else ModelBundle.load(bundle)
    source = open_source(data, config=config, split=split, streaming=streaming, read=read)
    plan, tokenizer, models = make_plan(bundle, source, options)
    source = plan.source  # it may have a column that joins several
    report = _Report(Progress(source.num_rows), on_progress)
    manifest = new_manifest(plan, bundle, options, tokenizer)
    keeps_batches = options.batch_tokens is None
    reused = None
    if reuse is not None:
        reused, record = open_reused(reuse, Path(output), manifest)
        manifest = msgspec.structs.replace(manifest, reuse=record)
    with (
        locked_run(Path(output), manifest, source, overwrite, same_batches=keeps_batches) as run,
        ThreadPoolExecutor(plan.threads, thread_name_prefix="model") as runners,
        Reader() as reader,
    ):
        try:
            plan = _tune(run, reused, plan, options, models.first, runners, tokenizer, bundle)
            if on_plan:
                on_plan(plan)
            work = Work(
                run=run,
                source=source,
                columns=plan.columns,
                labels=plan.labels,
                checked=plan.checked,
                tokenizer=tokenizer,
                reader=reader,
                window_rows=options.window,
                precision=plan.precision,
                first=Engine(models.first, runners, plan.batch_tokens, bundle.pad_id),
                again=None if models.again is None else Engine(models.again, runners, plan.batch_tokens, bundle.pad_id),
                progress=report.progress,
                report=report,
                on_error=options.on_error,
            )
            work.progress.kept = run.num_rows - missing_rows(run)
            if options.on_error == "fail":
                work.refuse_kept()
            if not run.missing_shards() and run.manifest.summary is not None:
                return _recounted(run, run.manifest.summary)
            if reused is not None:
                work.reuse = Reuse(reused)
            _score(work, plan)
        except BaseException:
            runners.shutdown(cancel_futures=True)
            raise
        return _finish(work, report, plan.threads)


@dataclass
class _Report:
    """Reports the progress to the caller, with the seconds since scoring began."""

    progress: Progress
    on_progress: Callable[[Progress], None] | None
    started: float = field(default_factory=time.perf_counter)

    def __call__(self) -> None:
        self.progress.seconds = time.perf_counter() - self.started
        if self.on_progress:
            self.on_progress(self.progress)


def _tune(
    run: RunDirectory,
    reused: RunDirectory | None,
    plan: Plan,
    options: ScoreOptions,
    session: OrtSession,
    runners: ThreadPoolExecutor,
    tokenizer: BundleTokenizer,
    bundle: ModelBundle,
) -> Plan:
    """Return the plan with its final batch size: a resumed run keeps its size, a long run on a CPU is calibrated."""
    if options.batch_tokens is not None:
        return plan
    if run.begun:
        return replace(plan, calibration=Calibration(run.batch_tokens, {}, "the size that the run began with"))
    if reused is not None and reused.manifest.options.device == plan.device:
        chosen = Calibration(reused.batch_tokens, {}, "the size of the reused run")
        run.set_calibration(chosen)
        return replace(plan, calibration=chosen)
    if plan.device == "cuda" or run.num_rows < _CALIBRATED_FROM:
        return plan
    first_rows = [(0, min(_CALIBRATION_ROWS, run.num_rows))]
    window = next(read_windows(plan.source, plan.columns, None, first_rows, tokenizer.shorten))
    tokens = tokenizer.tokenise_short(window.texts, window.text_pairs)
    tried = calibrate(session, runners, tokens, bundle.pad_id, len(bundle.class_names), run.num_rows)
    run.set_calibration(tried)
    return replace(plan, calibration=tried)


def _recounted(run: RunDirectory, recorded: RunStats) -> RunStats:
    """Return the statistics of a finished run, counted again, and correct the run's summary if it is wrong."""
    stats = recount(run, recorded)
    counted = msgspec.structs.replace(stats, kept_rows=recorded.kept_rows)
    if counted != recorded or run.manifest.screen != stats.screen:
        run.set_summary(counted)
    return stats


def _score(work: Work, plan: Plan) -> None:
    """Score the missing shards and, in a screen, rescore the worst rows in fp32.

    Raises:
        SourceError: the data has changed since it was opened.
    """
    run = work.run
    work.score_missing()
    if plan.screen_top is not None:
        run.set_screen(screen(run, plan.screen_top, control_rows(run, control_seed(run)), work.rescore))
    plan.source.refuse_change()
    plan.source.refuse_added()


def _finish(work: Work, report: _Report, threads: int) -> RunStats:
    """Count the run, check that its shards are whole and write its summary.

    Raises:
        SourceError: hardly a row could be scored.
    """
    report()
    total = report.progress.seconds
    work.seconds["total"] = total
    model_share = work.seconds_in_model / max(threads * total, 1e-9)
    stats = summarise(work.run, kept_rows=report.progress.kept, seconds=work.seconds, model_share=model_share)
    require_whole(work.run)
    refuse_hardly_any(stats)
    work.run.finish(stats)
    return stats
