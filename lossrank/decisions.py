"""Decisions: the decisions in force on a run's rows, as a table."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import pyarrow as pa

from lossrank.results import TableResult
from lossrank.review.decided_rows import Decided, decided_rows
from lossrank.review.decision import Decision
from lossrank.tables.json_values import plain
from lossrank.tables.values import records
from scorer.run.directory import RunDirectory


class Decisions(TableResult, Sequence[Decision]):
    """The decisions in force on a run's rows: a sequence of ``Decision`` by row number, ascending.

    A row that was relabelled to the label it has counts as kept. A notebook shows the decisions as a table.

    Example:
        >>> run.decisions().counts()
        {'kept': 1, 'relabelled': 3, 'discarded': 1, 'unreviewed': 495}
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._decided: Decided = decided_rows(run, required=False)

    def __len__(self) -> int:
        return len(self._decided.decisions)

    @overload
    def __getitem__(self, index: int) -> Decision: ...

    @overload
    def __getitem__(self, index: slice) -> list[Decision]: ...

    def __getitem__(self, index: int | slice) -> Decision | list[Decision]:
        return self._decided.decisions[index]

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decided.decisions)

    def __repr__(self) -> str:
        counts = self._decided.counts(self._run.num_rows)
        shown = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        return f"<Decisions on {self._run.path}: {shown}>"

    def counts(self) -> dict[str, int]:
        """Return how many rows of the run are kept, relabelled, discarded and unreviewed."""
        return self._decided.counts(self._run.num_rows)

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table with one row per decided row.

        Its columns are ``row``, ``id``, ``given`` and ``predicted`` (class names), ``loss`` (nats), ``verdict``
        (``kept``, ``relabelled`` or ``discarded``), ``label`` (the class name that ``Run.apply`` writes, for a kept or
        discarded row the given one), ``annotator``, ``source`` and ``decided_at`` (ISO 8601, UTC).
        """
        decided, names = self._decided, self._run.class_names
        predicted = decided.scores["predicted"].to_pylist()
        labels = [
            given if decision.label is None else decision.label
            for given, decision in zip(decided.given, decided.decisions, strict=True)
        ]
        texts: dict[str, list[str | None]] = {
            "given": decided.given,
            "predicted": [None if index is None else names[index] for index in predicted],
            "verdict": [decision.verdict for decision in decided.decisions],
            "label": labels,
            "annotator": [decision.annotator for decision in decided.decisions],
            "source": [decision.source for decision in decided.decisions],
            "decided_at": [decision.decided_at for decision in decided.decisions],
        }
        columns = {name: pa.array(values, pa.string()) for name, values in texts.items()}
        scores = {name: decided.scores[name] for name in ("row", "id", "loss")}
        order = ("row", "id", "given", "predicted", "loss", "verdict", "label", "annotator", "source", "decided_at")
        return pa.table({name: {**columns, **scores}[name] for name in order})

    def to_dict(self) -> dict[str, Any]:
        """Return the run, the counts by status and the rows as values that JSON can hold."""
        values: dict[str, Any] = plain(
            {"run": str(self._run.path), "counts": self.counts(), "rows": records(self.to_arrow())}
        )
        return values
