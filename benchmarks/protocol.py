"""The input and output of a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BATCH = 32  # rows per batch of a candidate that keeps the data's order


@dataclass(frozen=True)
class Info:
    """The description of a candidate.

    ``distributions`` are the packages whose versions are reported. ``sorts`` is true if the candidate
    batches rows by length. ``tolerance`` (nats) is the largest allowed difference from torch's losses. It is None for a
    candidate in other arithmetic, such as int8, whose difference is only reported.
    """

    title: str
    distributions: tuple[str, ...]
    sorts: bool
    precision: str = "fp32"
    tolerance: float | None = 1e-4
    lossrank: bool = False


@dataclass(frozen=True)
class Job:
    """A model to load: its Hugging Face folder, optimum's plain graph, lossrank's bundle, and a folder for files."""

    folder: Path
    graph: Path
    bundle: Path
    scratch: Path
    limit: int
    cores: int
    classes: tuple[str, ...]
    calibration: tuple[str, ...]
    """Texts for quantisation; none of them is timed."""

    def as_json(self) -> dict[str, Any]:
        """Return the job as values for JSON."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Job":
        """Return the job that ``as_json`` wrote."""
        paths = {name: Path(values[name]) for name in ("folder", "graph", "bundle", "scratch")}
        return cls(
            **{**values, **paths, "classes": tuple(values["classes"]), "calibration": tuple(values["calibration"])}
        )


@dataclass
class Scored:
    """The losses [n] of one timed repeat, and its ``seconds`` if the candidate measures its own time."""

    losses: NDArray[np.float64]
    seconds: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class Scorer(Protocol):
    """A loaded candidate."""

    def __call__(self, texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        """Return the softmax cross-entropy of every row, in row order."""
        ...


def cross_entropy(logits: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return -log softmax(logits)[label] of every row, [n], from logits [n, C]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
