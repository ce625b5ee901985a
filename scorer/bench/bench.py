"""bench(): a model's speed on this machine, on a sample of the user's rows, compared with the machine's peak."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scorer.bench.peak import matrix_peak
from scorer.data.opening.open import open_source
from scorer.data.read_options import ReadOptions
from scorer.data.source import Data
from scorer.errors import RunError
from scorer.machine import hardware, versions
from scorer.model.bundle import ModelBundle
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.plan import Plan
from scorer.pipeline.score import score_dataset

ROWS = 2000
_WARM_UP_ROWS = 256
_PEAK_SECONDS = 0.5
_SEED = 0


@dataclass(frozen=True)
class BenchResult:
    """The speed of one run, with the sample, the device and the machine it was measured on.

    ``rows`` is the number of rows in the sample, ``data_rows`` the number in the data. ``tokens`` and
    ``tokens_per_second`` leave out padding and duplicates. ``padding`` (0..1) is the share of the model's input that is
    padding; ``duplicates`` counts the texts that were not run because an earlier text has identical tokens. ``seconds``
    has the time per stage, as in ``RunStats``; ``model_share`` (0..1) is the share of the threads' time spent in
    onnxruntime. ``peak_memory_bytes`` is the peak of this process, including the sample and about ten MiB for the
    matrix peak. ``options`` has the options that were set.

    ``matrix_peak_flops`` is in fp32 operations per second, on as many cores as the run had; None on a GPU.
    ``token_parameters`` comes from the bundle; None in bundles of versions that did not count them.
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
        """The time that the unpruned model would need at the matrix peak, as a share of the time that scoring took.

        The share is ``2 * token_parameters * tokens / (seconds * matrix_peak_flops)``; low is bad. It is 1 for a
        perfect fp32 engine that computes the model unchanged, and can be higher if work is left out or numbers have
        fewer bits. None if ``token_parameters`` or ``matrix_peak_flops`` is unknown.
        """
        if self.token_parameters is None or self.matrix_peak_flops is None:
            return None
        return 2.0 * self.token_parameters * self.tokens_per_second / self.matrix_peak_flops

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and ``roofline_share`` as a dictionary for JSON."""
        return {**asdict(self), "roofline_share": self.roofline_share}


def bench(
    bundle: ModelBundle | str | Path,
    data: Data,
    options: ScoreOptions | None = None,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    read: ReadOptions | None = None,
    rows: int = ROWS,
    progress: Callable[[str], None] | None = None,
) -> BenchResult:
    """Score a random sample of the data, the same sample on every call, and return the speed.

    The sample is held in memory, so ``seconds["read"]`` leaves out the reading of files. A short run warms up first;
    both runs call ``score_dataset`` with ``options``. The scores of both runs are deleted, also after Ctrl-C.

    Args:
        bundle: an exported model, or its directory.
        data: anything ``open_source`` accepts, with ``config``, ``split``, ``streaming`` and ``read``.
        rows: the size of the sample; all rows if the data has fewer.
        progress: called with a description of each step.

    Raises:
        RunError: ``rows`` is not positive.
        RunError: the temporary folder can't be written.
        BundleError, SourceError, LabelError, DeviceError: as for ``score_dataset``.
    """
    if rows < 1:
        raise RunError(f"`rows` is {rows}; it must be at least 1")
    say = progress or (lambda doing: None)
    options = options or ScoreOptions()
    bundle = bundle if isinstance(bundle, ModelBundle) else ModelBundle.load(bundle)
    say("drawing the sample")
    source = open_source(data, config=config, split=split, streaming=streaming, read=read)
    count = min(rows, source.num_rows)
    top = options.screened(source.num_rows)
    if top is not None:  # the same share of the sample as of the data
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
        # Measured before and after: another process on a core would lower the peak, and lossrank would look too good.
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
        columns=plan.columns.to_dict(),
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
