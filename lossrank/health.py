"""Health: the statuses, classes, confusions and losses of a run; charts in a notebook."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from lossrank.results import TableResult, losses_in_words
from lossrank.tables.json_values import plain
from scorer.run.directory import RunDirectory
from scorer.run.health import ClassHealth, ConfusedPair, LossHistogram, RunHealth, run_health

_PAIRS = 20


class Health(TableResult):
    """The counts of a run: rows by status, class and confusion, and their losses. ``Run.health`` returns it.

    A notebook shows charts of the losses, the confusions and the classes.

    Attributes:
        class_names: the classes [C], in index order.
        rows: the number of rows.
        by_status: the number of rows by status; ``RunStats`` lists the statuses.
        mean_loss: in nats, high is bad; None without labels.
        accuracy: the share (0..1, low is bad) of the rows with a loss whose label the model predicts; None without
            labels.
        counts: all counts, as the scorer made them: ``confusion`` [C, C] counts rows by given class (axis 0) and
            predicted class (axis 1); ``matrix.cells()`` gives only the pairs of classes that occur.

    Example:
        >>> health = run.health()
        >>> health
        <Health of run: 500 rows, mean loss 0.35... nats, 88.40% of the labels are the predicted ones>
        >>> worst_pair = health.pairs()[0]
        >>> worst_pair.given, worst_pair.predicted, worst_pair.rows
        ('World', 'Business', 9)
    """

    def __init__(self, run: RunDirectory) -> None:
        self.counts: RunHealth = run_health(run)
        self.class_names = self.counts.class_names
        self.rows = self.counts.rows
        self.by_status = self.counts.by_status
        self.mean_loss = self.counts.mean_loss
        self.accuracy = self.counts.accuracy
        self._run = run

    def __repr__(self) -> str:
        return f"<Health of {self._run.path}: {self.rows:,} rows, {self._losses()}>"

    def classes(self) -> list[ClassHealth]:
        """Return each class's rows, mean loss and accuracy, in index order."""
        return self.counts.classes()

    def pairs(self, top: int = _PAIRS) -> list[ConfusedPair]:
        """Return the ``top`` pairs of a given and another predicted class that most rows have, most rows first."""
        return self.counts.pairs(top)

    def histogram(self) -> LossHistogram:
        """Return the rows by loss, in bins of equal width (nats)."""
        return self.counts.histogram()

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table with one row per class [C], in index order.

        Its columns are ``name``, ``given`` and ``predicted`` (how many rows with a loss have the class as label and as
        prediction), ``mean_loss`` (nats, high is bad) and ``accuracy`` (0..1, low is bad) of the rows with that label.
        """
        return pa.Table.from_pylist([asdict(counts) for counts in self.classes()])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as values that JSON can hold, with the names that `lossrank report --format json` uses.

        ``confusion`` is the matrix [C, C]. With more than 256 classes it is None, and ``confusion_cells`` lists the
        pairs of classes that occur, each as the indices of the given and the predicted class, and the rows.
        """
        labelled = self.counts.scored > 0
        values: dict[str, Any] = plain(
            {
                "run": str(self._run.path),
                "rows": self.rows,
                "scored": self.counts.scored,
                "by_status": self.by_status,
                "mean_loss": self.mean_loss,
                "accuracy": self.accuracy,
                "class_names": list(self.class_names),
                "classes": [asdict(counts) for counts in self.classes()] if labelled else None,
                "pairs": [asdict(pair) for pair in self.pairs()] if labelled else None,
                **self.counts.confusion_values(),
                "histogram": asdict(self.histogram()) if labelled else None,
            }
        )
        return values

    def _repr_html_(self) -> str:
        if not self.counts.scored:
            return super()._repr_html_()
        from lossrank.report.notebook import health_html  # imported late, since the chart library loads slowly

        return health_html(self.counts, f"{self.rows:,} rows of {self._run.data_name}: {self._losses()}")

    def _losses(self) -> str:
        none = "no losses, because no row has a label that the model knows"
        return losses_in_words(self.mean_loss, self.accuracy) or none
