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

from scorer.data.columns import Columns, choose_columns
from scorer.data.labels import LabelMap, make_label_map
from scorer.data.opening.open import open_source
from scorer.data.source import Data, Source
from scorer.errors import RunError
from scorer.machine import versions
from scorer.model.autotune import DEFAULT, calibrate
from scorer.model.bundle import ModelBundle
from scorer.model.calibration import Calibration
from scorer.model.engine import Engine
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from scorer.pipeline.loop import Progress, Work
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.prefetch import Reader
from scorer.pipeline.screen import control_rows, control_seed, screen
from scorer.pipeline.summary import recount, summarise
from scorer.pipeline.window import read_windows
from scorer.run.directory import RunDirectory
from scorer.run.integrity import require_whole
from scorer.run.manifest import (
    FORMAT,
    BundleInfo,
    DataInfo,
    LabelInfo,
    Machine,
    Manifest,
    RunColumns,
    RunOptions,
    RunStats,
)
from scorer.run.manifest_file import refuse_many_shards
from scorer.run.start import locked_run
from scorer.run.status import missing_rows

_CUDA_BATCH_TOKENS = 16384  # a GPU wants large batches
_CALIBRATED_FROM = 10_000  # rows; calibration does not pay for fewer
_CALIBRATION_ROWS = 4096


@dataclass(frozen=True)
class Plan:
    """The choices made for a run, which the user can read before scoring takes a night.

    ``precision`` is the precision in which every row is run first. ``screen_top`` is how many of the worst rows a
    screen must find in fp32; None if the run is no screen.
    """

    source: Source
    columns: Columns
    labels: LabelMap | None
    device: str
    why_device: str
    threads: int
    precision: str
    screen_top: int | None
    calibration: Calibration

    @property
    def batch_tokens(self) -> int:
        return self.calibration.batch_tokens


def score_dataset(
    bundle: ModelBundle | str | Path,
    data: Data,
    output: str | Path,
    options: ScoreOptions | None = None,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunStats:
    """Score every row of a data set into a run directory, or resume a run that was interrupted.

    Args:
        bundle: an exported model, or its directory.
        data: anything ``open_source`` accepts, with ``config``, ``split`` and ``streaming``.
        output: the run directory; a run in it with the same bundle, data and options is resumed.
        options: the settings; the defaults suit a CPU.
        overwrite: replace a run in ``output`` instead of resuming it.
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
    source = open_source(data, config=config, split=split, streaming=streaming)
    plan, tokenizer, models = _plan(bundle, source, options)
    report = _Report(Progress(source.num_rows), on_progress)
    manifest = _manifest(plan, bundle, options, tokenizer.max_tokens)
    keeps_batches = options.batch_tokens is None
    with (
        locked_run(Path(output), manifest, source, overwrite=overwrite, same_batches=keeps_batches) as run,
        ThreadPoolExecutor(plan.threads, thread_name_prefix="model") as runners,
        Reader() as reader,
    ):
        try:
            plan = _tune(run, plan, options, models.first, runners, tokenizer, bundle)
            if on_plan:
                on_plan(plan)
            work = Work(
                run=run,
                source=source,
                columns=plan.columns,
                labels=plan.labels,
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
            _score(work, plan)
        except BaseException:
            runners.shutdown(cancel_futures=True)
            raise
        return _finish(work, report, plan.threads)


@dataclass(frozen=True)
class _Models:
    """The session that runs every row first, and the session that rescores a screen's worst rows in fp32."""

    first: OrtSession
    again: OrtSession | None


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


def _plan(bundle: ModelBundle, source: Source, options: ScoreOptions) -> tuple[Plan, BundleTokenizer, _Models]:
    """Choose columns, labels, device, threads and batch size, and load the tokenizer and the model."""
    refuse_many_shards(source.num_rows, options.shard_rows)
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
    elif options.precision == "screen":
        raise RunError("`precision='screen'` ranks by loss, but the data has no label; use `precision='fp32'`")
    if columns.text_pair is not None and options.long_text == "mean":
        raise RunError("`long_text='mean'` is for single texts, but the data has pairs; use `long_text='head'`")
    tokenizer = BundleTokenizer(bundle, options.max_tokens, options.long_text)
    precision = "fp32" if options.precision == "fp32" else "int8"
    session = OrtSession(bundle.model_file(precision), options.device, options.threads, precision)
    screen_top = options.screened(source.num_rows)
    again = None if screen_top is None else OrtSession(bundle.model_file(), session.device, session.threads)
    chosen = _chosen(options, session.device)
    plan = Plan(source, columns, labels, session.device, session.why, session.threads, precision, screen_top, chosen)
    return plan, tokenizer, _Models(session, again)


def _chosen(options: ScoreOptions, device: str) -> Calibration:
    """Return the batch size of a new run before calibration: the given one, or the device's default."""
    if options.batch_tokens is not None:
        return Calibration(options.batch_tokens, {}, "the requested size")
    if device == "cuda":
        return Calibration(_CUDA_BATCH_TOKENS, {}, "for a GPU")
    return Calibration(DEFAULT, {}, "too few rows to try others")


def _tune(
    run: RunDirectory,
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
    """Count the run, check that its shards are whole and write its summary."""
    report()
    total = report.progress.seconds
    work.seconds["total"] = total
    model_share = work.seconds_in_model / max(threads * total, 1e-9)
    stats = summarise(work.run, kept_rows=report.progress.kept, seconds=work.seconds, model_share=model_share)
    require_whole(work.run)
    work.run.finish(stats)
    return stats


def _manifest(plan: Plan, bundle: ModelBundle, options: ScoreOptions, max_tokens: int) -> Manifest:
    """Return the manifest of a new run, before its first shard."""
    machine = Machine(threads=plan.threads, versions=versions())
    columns = plan.columns
    return Manifest(
        format=FORMAT,
        bundle=BundleInfo(
            path=str(bundle.path.absolute()),
            sha256=bundle.sha256,
            model=bundle.model,
            revision=bundle.revision,
            class_names=bundle.class_names,
        ),
        data=DataInfo(
            name=plan.source.name,
            fingerprint=plan.source.fingerprint,
            rows=plan.source.num_rows,
            spec=plan.source.spec,
        ),
        columns=RunColumns(text=columns.text, text_pair=columns.text_pair, label=columns.label, id=columns.id),
        labels=None if plan.labels is None else LabelInfo(how=plan.labels.how, map=plan.labels.by_value),
        options=RunOptions(
            device=plan.device,
            precision=options.precision,
            screen_top=plan.screen_top,
            max_tokens=max_tokens,
            long_text=options.long_text,
            batch_tokens=plan.batch_tokens,
            window_rows=options.window,
            shard_rows=options.shard_rows,
        ),
        calibration=plan.calibration,
        machine=machine,
        machines=(machine,),
        shards={},
    )
