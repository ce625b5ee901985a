"""Decided: the rows of a run that somebody decided of, and what they were."""

import shlex
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, UNREVIEWED, Decision
from lossrank.review.store import read_decisions
from scorer import RunDirectory, RunError
from scorer.run.schema import score_schema

STATUSES = (UNREVIEWED, KEPT, RELABELLED, DISCARDED)
_SCORES = ["row", "id", "label", "predicted", "loss"]


@dataclass(frozen=True)
class Decided:
    """The ``rows`` [d] that have a decision, ascending, and of each its decision, its given class and its scores.

    ``given`` are class names, None where the data has no label that the model knows. ``scores`` [d] has the columns
    row, id, label, predicted and loss of the run. A row that was relabelled to the class it has is a kept one.
    """

    rows: NDArray[np.int64]
    decisions: list[Decision]
    given: list[str | None]
    scores: pa.Table

    @property
    def codes(self) -> NDArray[np.int8]:
        """Each row's place [d] in ``STATUSES``."""
        return np.array([STATUSES.index(one.verdict) for one in self.decisions], dtype=np.int8)

    @property
    def changed(self) -> list[int]:
        """The places, in ``rows``, of those that were relabelled or discarded."""
        return [i for i, one in enumerate(self.decisions) if one.verdict != KEPT]

    @property
    def new_classes(self) -> list[str]:
        """The classes that rows were relabelled to, each once, by name."""
        return sorted({one.label for one in self.decisions if one.label is not None})

    def counts(self, num_rows: int) -> dict[str, int]:
        """Return how many of ``num_rows`` rows have each of ``STATUSES``."""
        found = Counter(one.verdict for one in self.decisions)
        found[UNREVIEWED] = num_rows - len(self.decisions)
        return {status: found[status] for status in (KEPT, RELABELLED, DISCARDED, UNREVIEWED)}

    def moves(self) -> list[tuple[str | None, str, int]]:
        """Return how many rows went from each given class to each new one, the most frequent first."""
        pairs = zip(self.given, self.decisions, strict=True)
        found = Counter((given, one.label) for given, one in pairs if one.label is not None)
        ordered = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
        return [(given, str(new), count) for (given, new), count in ordered]


def decided_rows(run: RunDirectory, *, required: bool = True) -> Decided:
    """Return what was decided of a run's rows.

    Raises:
        RunError: nothing was (unless it is not ``required``), or the store or a shard can't be read.
    """
    decisions = list((read_decisions(run) or {}).values())
    if not decisions and required:
        quoted = shlex.quote(str(run.path))
        raise RunError(
            f"nobody has decided of a row of {run.path} yet; look at the worst with `lossrank review {quoted}`, or "
            f"bring decisions from a review tool with `lossrank pull {quoted}`"
        )
    rows = np.array([one.row for one in decisions], dtype=np.int64)
    schema = pa.schema([score_schema(run.class_names).field(name) for name in _SCORES])
    scores = run.take(rows).select(_SCORES).cast(schema).combine_chunks()
    given = [None if label is None else run.class_names[label] for label in scores["label"].to_pylist()]
    settled = [
        replace(one, verdict=KEPT, label=None) if one.label is not None and one.label == name else one
        for one, name in zip(decisions, given, strict=True)
    ]
    return Decided(rows, settled, given, scores)
