"""bench(): what this machine does with a model on a sample of the user's own rows, next to what it could do."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scorer.bench.peak import matrix_peak
from scorer.data.source import Data, open_source
from scorer.errors import RunError
from scorer.machine import hardware, versions
from scorer.model.bundle import ModelBundle
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.score import Plan, score_dataset

ROWS = 2000
_WARM_UP_ROWS = 256
_PEAK_SECONDS = 0.5
_SEED = 0


@dataclass(frozen=True)
class BenchResult:
    """One run's speed, on the sample, the device and the machine that it was measured on.

    ``data_rows`` are what ``rows`` were drawn from. ``tokens`` (and ``tokens_per_second``) are real ones, without the
    padding, whose share of the model's input is ``padding``, 0..1, and without ``duplicates``, the texts that another
    one's run served. ``seconds`` are by stage, as in ``RunStats``, and ``model_share`` is the share, 0..1, of the
    threads' time that was spent inside onnxruntime. ``peak_memory_bytes`` is this process's, the sample and some ten
    MiB for the matrix peak included. ``options`` are those that were set.

    ``matrix_peak_flops`` is in fp32 operations per second, on as many cores as the run had; None on a GPU.
    ``token_parameters`` is the bundle's; None if it was exported before they were counted.
    """

    model: str
    data: str
    data_rows: int
    rows: int
    columns: dict[str, str | None]
    options: dict[str, Any]
    device: str
    threads: int
    batch_tokens: int
    tokens: int
    truncated: int
    duplicates: int
    rows_per_second: float
    tokens_per_second: float
    padding: float
    seconds: dict[str, float]
    model_share: float
    peak_memory_bytes: int
    token_parameters: int | None
    matrix_peak_flops: float | None
    hardware: dict[str, Any]
    versions: dict[str, str]

    @property
    def roofline_share(self) -> float | None:
        """What the whole unpruned model would need at the matrix peak, as a share of the time that scoring took.

        ``2 * token_parameters * tokens / (seconds * matrix_peak_flops)``: larger is better, 1 is what a perfect fp32
        engine would reach that computes the model as it is; past 1 is possible, by leaving out work or by numbers of
        fewer bits. None where one of the two is not known.
        """
        if self.token_parameters is None or self.matrix_peak_flops is None:
            return None
        return 2.0 * self.token_parameters * self.tokens_per_second / self.matrix_peak_flops

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ``roofline_share`` too, as JSON can hold it."""
        return {**asdict(self), "roofline_share": self.roofline_share}


def bench(
    bundle: ModelBundle | str | Path,
    data: Data,
    options: ScoreOptions | None = None,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    rows: int = ROWS,
    progress: Callable[[str], None] | None = None,
) -> BenchResult:
    """Score a random sample of the data, the same one every time, and return how fast that was.

    The sample is held in memory, so ``read`` is not the time that the files take; what is scored is thrown away, also
    on Ctrl-C. All else is as ``score_dataset`` does it, with its ``options``; a first, short run warms up.

    Args:
        bundle: an exported model, or its directory.
        data: what ``open_source`` takes, with ``config``, ``split`` and ``streaming``.
        rows: how many are drawn; all of them if there are fewer.
        progress: told what is being done.

    Raises:
        RunError: ``rows`` is not positive, or the temporary folder can't be written.
        BundleError, SourceError, LabelError, DeviceError: as for ``score_dataset``.
    """
    if rows < 1:
        raise RunError(f"rows is {rows}; it must be at least 1")
    say = progress or (lambda doing: None)
    options = options or ScoreOptions()
    bundle = bundle if isinstance(bundle, ModelBundle) else ModelBundle.load(bundle)
    say("drawing the sample")
    source = open_source(data, config=config, split=split, streaming=streaming)
    count = min(rows, source.num_rows)
    top = options.screened(source.num_rows)
    if top is not None:  # as many of the sample's rows as there would be of the data's
        options = replace(options, screen_top=max(1, round(top * count / source.num_rows)))
    drawn = np.sort(np.random.default_rng(_SEED).choice(source.num_rows, size=count, replace=False))
    sample = source.take(drawn)
    plans: list[Plan] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory(prefix="lossrank-bench-") as folder:
        warm_up = sample.take(pa.array(np.arange(0, count, -(-count // _WARM_UP_ROWS))))
        say(f"warming up with {len(warm_up):,} rows")
        score_dataset(bundle, warm_up, Path(folder) / "warm-up", options, on_plan=plans.append)
        plan = plans[0]
        # Before and after: a core that others use for one of them would make the peak too low, which flatters us.
        if plan.device == "cpu":
            say("measuring the fp32 matrix product")
            peaks.append(matrix_peak(plan.threads, _PEAK_SECONDS))
        say(f"scoring {count:,} of {source.num_rows:,} rows")
        stats = score_dataset(bundle, sample, Path(folder) / "run", options)
        if plan.device == "cpu":
            say("measuring the fp32 matrix product again")
            peaks.append(matrix_peak(plan.threads, _PEAK_SECONDS))
    total = max(stats.seconds["total"], 1e-9)
    return BenchResult(
        model=bundle.model,
        data=source.name,
        data_rows=source.num_rows,
        rows=count,
        columns=plan.columns.as_dict(),
        options={name: value for name, value in asdict(options).items() if value is not None},
        device=plan.device,
        threads=plan.threads,
        batch_tokens=plan.batch_tokens,
        tokens=stats.tokens,
        truncated=stats.truncated,
        duplicates=stats.duplicates,
        rows_per_second=count / total,
        tokens_per_second=stats.tokens / total,
        padding=stats.padding,
        seconds=stats.seconds,
        model_share=stats.model_share,
        peak_memory_bytes=stats.peak_memory_bytes,
        token_parameters=bundle.token_parameters,
        matrix_peak_flops=max(peaks, default=None),
        hardware=hardware(),
        versions=versions(),
    )
