"""Decided: the rows of a run that people have decided, with their decisions, given labels and scores."""

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
    """The rows that have a decision, by row number, each with its decision, given class and scores.

    ``rows`` [d] are the row numbers. ``given`` [d] has class names, None for a row without a label that the model
    knows. ``scores`` [d] has the run's columns row, id, label, predicted and loss. A row that was relabelled to its
    given class counts as kept.
    """

    rows: NDArray[np.int64]
    decisions: list[Decision]
    given: list[str | None]
    scores: pa.Table

    @property
    def codes(self) -> NDArray[np.int8]:
        """Return the index in ``STATUSES`` of each row's status [d]."""
        return np.array([STATUSES.index(decision.verdict) for decision in self.decisions], dtype=np.int8)

    @property
    def changed(self) -> list[int]:
        """Return the positions in ``rows`` of the relabelled and discarded rows."""
        return [i for i, decision in enumerate(self.decisions) if decision.verdict != KEPT]

    @property
    def new_classes(self) -> list[str]:
        """Return the classes that rows were relabelled to, sorted, without repeats."""
        return sorted({decision.label for decision in self.decisions if decision.label is not None})

    def counts(self, num_rows: int) -> dict[str, int]:
        """Return how many of the data's ``num_rows`` rows have each status."""
        found = Counter(decision.verdict for decision in self.decisions)
        found[UNREVIEWED] = num_rows - len(self.decisions)
        return {status: found[status] for status in (KEPT, RELABELLED, DISCARDED, UNREVIEWED)}

    def moves(self) -> list[tuple[str | None, str, int]]:
        """Return (given class, new class, number of rows) for the relabelled rows, the most frequent pair first."""
        pairs = zip(self.given, self.decisions, strict=True)
        found = Counter((given, decision.label) for given, decision in pairs if decision.label is not None)
        ordered = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
        return [(given, str(new), count) for (given, new), count in ordered]


def decided_rows(run: RunDirectory, *, required: bool = True) -> Decided:
    """Return the rows of a run that people have decided.

    Raises:
        RunError: no row has a decision, and ``required`` is true.
        RunError: the decisions or a shard can't be read.
    """
    decisions = list((read_decisions(run) or {}).values())
    if not decisions and required:
        quoted = shlex.quote(str(run.path))
        raise RunError(
            f"no row of {run.path} has a decision yet; review the worst rows with `lossrank review {quoted}`, or "
            f"bring decisions from a review tool with `lossrank pull {quoted}`"
        )
    rows = np.array([decision.row for decision in decisions], dtype=np.int64)
    schema = pa.schema([score_schema(run.class_names).field(name) for name in _SCORES])
    scores = run.take(rows).select(_SCORES).cast(schema).combine_chunks()
    given = [None if label is None else run.class_names[label] for label in scores["label"].to_pylist()]
    settled = [
        replace(decision, verdict=KEPT, label=None)
        if decision.label is not None and decision.label == name
        else decision
        for decision, name in zip(decisions, given, strict=True)
    ]
    return Decided(rows, settled, given, scores)
