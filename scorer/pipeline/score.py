"""score_dataset(): source -> tokens -> buckets -> session -> losses -> run directory, one straight line.

Windows and shards are fixed ranges of rows, so every batch holds the same rows whenever and wherever a run is
resumed, and its shards come out byte for byte the same.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scorer.data.columns import Columns, choose_columns
from scorer.data.labels import LabelMap, make_label_map
from scorer.data.source import Data, Source, open_source
from scorer.data.spec import spec_to
from scorer.errors import RunError
from scorer.machine import versions
from scorer.model.autotune import DEFAULT, Calibration, calibrate
from scorer.model.bundle import ModelBundle
from scorer.model.engine import Engine
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from scorer.pipeline.loop import Progress, Work
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.prefetch import Reader
from scorer.pipeline.screen import control_rows, control_seed, screen
from scorer.pipeline.summary import RunStats, recount, summarise
from scorer.pipeline.window import read_windows
from scorer.run.integrity import require_whole
from scorer.run.start import locked_run

_CUDA_BATCH_TOKENS = 16384  # a GPU wants large batches
_CALIBRATED_FROM = 10_000  # rows; fewer are not worth a try
_CALIBRATION_ROWS = 4096
_UNTRIED = "too few rows to try others"


@dataclass(frozen=True)
class Plan:
    """What is about to be done, for the user to see before it takes a night.

    ``precision`` is that of every row's first run; ``screen_top`` is how many of the worst rows a screen must find in
    fp32, None without one.
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
    """Score every row of a data set into a run directory, or go on with a run that was cut off.

    Args:
        bundle: an exported model, or its directory.
        data: what ``open_source`` takes, with ``config``, ``split`` and ``streaming``.
        output: the run directory; finished shards in it are kept where bundle, data and options are the same.
        options: the settings; the defaults suit a CPU.
        overwrite: start anew instead.
        on_plan: called once, when nothing stands in the way of the first row.
        on_progress: called after every batch.

    Raises:
        BundleError, SourceError, LabelError, DeviceError, RunError: as their names say; nothing that was finished
            before is lost.
        KeyboardInterrupt: passed on, with finished shards whole.
    """
    options = options or ScoreOptions()
    bundle = bundle if isinstance(bundle, ModelBundle) else ModelBundle.load(bundle)
    source = open_source(data, config=config, split=split, streaming=streaming)
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
        raise RunError("precision screen looks for the worst losses, and there is no label; use precision int8 or fp32")
    if columns.text_pair is not None and options.long_text == "mean":
        raise RunError("long_text mean is for single texts, not for pairs; use head or tail")
    tokenizer = BundleTokenizer(bundle, options.max_tokens, options.long_text)
    precision = "fp32" if options.precision == "fp32" else "int8"
    session = OrtSession(bundle.model_file(precision), options.device, options.threads, precision)
    screen_top = options.screened(source.num_rows)
    again = None if screen_top is None else OrtSession(bundle.model_file(), session.device, session.threads)
    progress = Progress(source.num_rows)
    started = time.perf_counter()

    def report() -> None:
        progress.seconds = time.perf_counter() - started
        if on_progress:
            on_progress(progress)

    chosen = _chosen(options, session.device)
    plan = Plan(source, columns, labels, session.device, session.why, session.threads, precision, screen_top, chosen)
    manifest = _manifest(plan, bundle, options, tokenizer.max_tokens)
    with (
        locked_run(Path(output), manifest, overwrite=overwrite, same_batches=options.batch_tokens is None) as run,
        ThreadPoolExecutor(session.threads, thread_name_prefix="model") as runners,
        Reader() as reader,
    ):
        missing = run.missing_shards()
        try:
            if run.begun and options.batch_tokens is None:
                plan = replace(plan, calibration=Calibration(run.batch_tokens, {}, "as the run began"))
            elif chosen.why == _UNTRIED and source.num_rows >= _CALIBRATED_FROM:
                rows = [(0, min(_CALIBRATION_ROWS, source.num_rows))]
                window = next(read_windows(source, columns, None, rows, tokenizer.shorten))
                tokens = tokenizer.tokenise_short(window.texts, window.text_pairs)
                tried = calibrate(session, runners, tokens, bundle.pad_id, len(bundle.class_names), source.num_rows)
                plan = replace(plan, calibration=tried)
                run.manifest["options"]["batch_tokens"] = tried.batch_tokens
                run.manifest["calibration"] = tried.as_dict()
                run.save()
            if on_plan:
                on_plan(plan)
            progress.kept = run.num_rows - sum(stop - start for start, stop in map(run.shard_range, missing))
            work = Work(
                run=run,
                source=source,
                columns=columns,
                labels=labels,
                tokenizer=tokenizer,
                reader=reader,
                window_rows=options.window,
                precision=precision,
                first=Engine(session, runners, plan.batch_tokens, bundle.pad_id),
                again=None if again is None else Engine(again, runners, plan.batch_tokens, bundle.pad_id),
                progress=progress,
                report=report,
                on_error=options.on_error,
            )
            if options.on_error == "fail":
                work.refuse_kept()
            if not missing and (said := run.manifest.get("summary")):
                stats = recount(run)
                counted = {**stats.as_dict(), "kept_rows": said["kept_rows"]}
                if counted != said or run.manifest.get("screen") != stats.screen:
                    run.manifest["summary"] = counted
                    if screen_top is not None:
                        run.manifest["screen"] = stats.screen
                    run.save()
                return stats
            work.score_missing()
            if screen_top is not None:
                run.manifest["screen"] = screen(run, screen_top, control_rows(run, control_seed(run)), work.rescore)
            source.refuse_change()
            source.refuse_added()
        except BaseException:
            runners.shutdown(cancel_futures=True)
            raise
        report()
        work.seconds["total"] = progress.seconds
        inside = work.seconds_in_model / max(session.threads * progress.seconds, 1e-9)
        stats = summarise(run, kept_rows=progress.kept, seconds=work.seconds, model_share=inside)
        require_whole(run)
        run.finish(stats.as_dict())
        return stats


def _chosen(options: ScoreOptions, device: str) -> Calibration:
    """Return the batch size of a new run: as given, or the device's until others are tried."""
    if options.batch_tokens is not None:
        return Calibration(options.batch_tokens, {}, "as given")
    if device == "cuda":
        return Calibration(_CUDA_BATCH_TOKENS, {}, "for a GPU")
    return Calibration(DEFAULT, {}, _UNTRIED)


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
            "spec": spec_to(plan.source.spec),
        },
        "columns": plan.columns.as_dict(),
        "labels": None if plan.labels is None else {"how": plan.labels.how, "map": plan.labels.by_value},
        "options": {
            "device": plan.device,
            "precision": options.precision,
            "screen_top": plan.screen_top,
            "max_tokens": max_tokens,
            "long_text": options.long_text,
            "batch_tokens": plan.batch_tokens,
            "window_rows": options.window,
            "shard_rows": options.shard_rows,
        },
        "calibration": plan.calibration.as_dict(),
        "machine": {"threads": plan.threads, "versions": versions()},
    }
