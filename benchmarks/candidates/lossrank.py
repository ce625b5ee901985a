"""The code that lossrank's candidates share: they run all of `score_dataset` on an Arrow table."""

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.protocol import Info, Job, Scored
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset

SCREEN_SHARE = 0.01  # share of worst rows that screen scores again in fp32
_TITLES = {"fp32": "lossrank fp32", "int8": "lossrank int8", "screen": "lossrank screen (int8, worst 1% again in fp32)"}


def lossrank_info(precision: str) -> Info:
    """Return the description of lossrank in one precision."""
    return Info(
        _TITLES[precision],
        ("lossrank", "onnxruntime", "tokenizers", "numpy", "pyarrow"),
        sorts=True,
        precision=precision,
        tolerance=1e-4 if precision == "fp32" else None,
        lossrank=True,
    )


def score_by_lossrank(job: Job, precision: str) -> Callable[..., Scored]:
    """Return a scorer that times reading, tokenising, the model and writing, but not opening the session."""
    bundle = ModelBundle.load(job.bundle)

    def score(texts: Sequence[str], labels: NDArray[np.int64], **others: Any) -> Scored:
        table = pa.table({"text": texts, "label": [job.classes[label] for label in labels]})
        options: dict[str, Any] = {"threads": job.cores, "device": "cpu", **others}
        if precision != "fp32":
            options["precision"] = precision
        if precision == "screen":
            options["screen_top"] = max(1, round(SCREEN_SHARE * len(texts)))
        return run(bundle, table, job, ScoreOptions(**options))

    return score


def run(bundle: ModelBundle, table: pa.Table, job: Job, options: ScoreOptions) -> Scored:
    """Score a table into a run directory; the time starts when the sessions are open, as in lossrank's own reports."""
    output = job.scratch / "run"
    shutil.rmtree(output, ignore_errors=True)
    opened: list[float] = []
    stats = score_dataset(
        bundle,
        table,
        output,
        options,
        on_progress=lambda progress: opened.append(time.perf_counter() - progress.seconds),
    )
    seconds = time.perf_counter() - opened[0]
    finished = RunDirectory.open(output)
    batches = list(finished.batches(["loss"]))
    losses = np.concatenate([batch["loss"].to_numpy(zero_copy_only=False) for batch in batches])
    notes = {
        "padding": stats.padding,
        "stages": stats.seconds,
        "screen": stats.screen.to_dict() if stats.screen else None,
    }
    return Scored(losses.astype(np.float64), seconds, notes)
