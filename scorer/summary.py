"""RunStats: what a finished run says of itself, counted from its shards."""

import platform
import resource
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow.compute as pc

from scorer.run import RunDirectory

_PACKAGES = ("lossrank", "numpy", "pyarrow", "tokenizers", "onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True)
class RunStats:
    """The whole run's counts, and the work of the process that finished it.

    ``mean_loss`` (nats) and ``accuracy`` are over the rows with status ``ok``, None when there are none; ``padding``
    is a share 0..1; ``seconds`` are by stage (tokenising goes on while the model runs); ``kept_rows`` were scored
    before this process; ``problems`` has the first few unreadable lines.
    """

    rows: int
    kept_rows: int
    by_status: dict[str, int]
    mean_loss: float | None
    accuracy: float | None
    truncated: int
    tokens: int
    padding: float
    seconds: dict[str, float]
    peak_memory_bytes: int
    unknown_labels: dict[str, int]
    problems: list[str]

    @property
    def rows_per_second(self) -> float:
        return (self.rows - self.kept_rows) / max(self.seconds["total"], 1e-9)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(
    run: RunDirectory,
    *,
    kept_rows: int,
    tokens: int,
    padding: float,
    seconds: dict[str, float],
    unknown_labels: Counter[str],
    problems: list[str],
) -> RunStats:
    """Count a finished run's rows from its shards.

    Raises:
        RunError: a shard is missing or can't be read.
    """
    status: Counter[str] = Counter()
    losses = right = truncated = 0.0
    for batch in run.batches(["label", "predicted", "loss", "truncated", "status"]):
        status.update({str(v["values"]): int(v["counts"]) for v in batch["status"].value_counts().to_pylist()})
        loss = batch["loss"].drop_null().to_numpy()
        losses += float(np.sum(loss, dtype=np.float64))
        right += pc.sum(pc.equal(batch["label"], batch["predicted"]).filter(batch["loss"].is_valid())).as_py() or 0
        truncated += batch["truncated"].true_count
    ok = status["ok"]
    return RunStats(
        rows=run.num_rows,
        kept_rows=kept_rows,
        by_status=dict(sorted(status.items(), key=lambda item: (-item[1], item[0]))),
        mean_loss=losses / ok if ok else None,
        accuracy=right / ok if ok else None,
        truncated=int(truncated),
        tokens=tokens,
        padding=padding,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        unknown_labels=dict(unknown_labels.most_common(10)),
        problems=problems,
    )


def peak_memory_bytes() -> int:
    """Return the largest resident memory this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the packages that numbers depend on."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
