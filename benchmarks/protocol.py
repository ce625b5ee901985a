"""What a candidate is given, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BATCH = 32  # rows of a batch where a candidate walks the data in its order


@dataclass(frozen=True)
class Info:
    """What is known of a candidate before it runs.

    ``distributions`` are the packages whose versions matter; ``sorts`` says that rows are batched by length, so that
    the speed doesn't depend on how many there are; ``tolerance`` (nats) is how far a loss may be from torch's, None
    where the arithmetic is not the same and the difference is reported instead.
    """

    title: str
    distributions: tuple[str, ...]
    sorts: bool
    precision: str = "fp32"
    tolerance: float | None = 1e-4
    lossrank: bool = False


@dataclass(frozen=True)
class Job:
    """A model to load: its Hugging Face folder, optimum's plain graph of it, lossrank's bundle, where to write."""

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
        """Return the job as JSON can hold it."""
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
    """The losses [n] of one timed repeat; ``seconds`` where the candidate has measured itself."""

    losses: NDArray[np.float64]
    seconds: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class Scorer(Protocol):
    """A loaded candidate."""

    def __call__(self, texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        """Return every row's softmax cross-entropy, in the order of the rows."""
        ...


def cross_entropy(logits: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return -log softmax(logits)[label] of every row, [n], from logits [n, C]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
