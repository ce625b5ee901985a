"""run_health(): the statuses, classes, confusions and losses of a run, counted in one pass over its shards.

Memory holds one batch of rows, a count for each pair of given and predicted class that occurs, and a fixed number of
bins. The run's summary, reports and pages all take their numbers from here, so they agree.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scorer.data.labels.confusion import Confusion
from scorer.errors import RunError
from scorer.layout import MANIFEST
from scorer.run.directory import RunDirectory
from scorer.run.shard_file import count_words

_FINE = 1 / 16  # nats; the width of the counted bins, which a histogram joins into wider ones
_TOP = 64.0  # nats; losses from here up go into one more bin
WHOLE_MATRIX = 256  # classes up to which the whole confusion matrix is written as JSON
_BINS = round(_TOP / _FINE)
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ClassHealth:
    """One class: how many rows with a loss have it as ``given`` label, and how many as ``predicted`` class.

    ``mean_loss`` (nats, high is bad) and ``accuracy`` (0..1, low is bad: the share that the model predicts as this
    class) are over the rows with a loss and this given label; None if there are none.
    """

    name: str
    given: int
    predicted: int
    mean_loss: float | None
    accuracy: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """A given class, another predicted class, and the number of rows that have both.

    ``share`` (0..1) is ``rows`` as a share of all rows with that given label.
    """

    given: str
    predicted: str
    rows: int
    share: float


@dataclass(frozen=True)
class LossHistogram:
    """Rows by loss: bin i counts the rows with ``edges[i]`` <= loss < ``edges[i + 1]``, in nats; widths are equal.

    ``agree`` [bins] counts the rows where the model predicts the given label, ``disagree`` [bins] the others. If there
    are losses of 64 nats or more, one more bin holds them and the last edge is infinite.
    """

    edges: tuple[float, ...]
    agree: tuple[int, ...]
    disagree: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RunHealth:
    """The counts of a run; the counts of losses and classes are over the rows with status ``ok``.

    ``matrix`` counts rows by given and predicted class. ``loss_sums`` [C] adds up losses (nats) by given class.
    ``loss_bins`` [1025, 2] counts rows by loss in bins of 1/16 nat: column 0 the rows where the model disagrees with
    the given label, column 1 the rows where it agrees. ``by_precision`` counts the rows that have predictions by the
    precision that made them.
    """

    class_names: tuple[str, ...]
    rows: int
    by_status: dict[str, int]
    by_precision: dict[str, int]
    truncated: int
    mean_loss: float | None
    matrix: Confusion = field(repr=False)
    loss_sums: NDArray[np.float64] = field(repr=False)
    loss_bins: Counts = field(repr=False)

    @property
    def confusion(self) -> Counts:
        """Rows by given class (axis 0) and predicted class (axis 1) [C, C], of 8 bytes a cell; ``matrix`` is sparse."""
        return self.matrix.to_dense()

    @property
    def scored(self) -> int:
        """The number of rows that have a loss."""
        return self.matrix.total

    @property
    def disagreeing(self) -> int:
        """The number of rows where the model disagrees with the given label."""
        return self.scored - int(self.matrix.diagonal().sum())

    @property
    def accuracy(self) -> float | None:
        """The share (0..1, low is bad) of the rows with a loss where the model predicts the label; None if no rows."""
        return int(self.matrix.diagonal().sum()) / self.scored if self.scored else None

    def classes(self) -> list[ClassHealth]:
        """Return every class, in index order."""
        given, predicted, right = self.matrix.given, self.matrix.predicted, self.matrix.diagonal()
        return [
            ClassHealth(
                name=name,
                given=int(given[k]),
                predicted=int(predicted[k]),
                mean_loss=float(self.loss_sums[k] / given[k]) if given[k] else None,
                accuracy=float(right[k] / given[k]) if given[k] else None,
            )
            for k, name in enumerate(self.class_names)
        ]

    def pairs(self, most: int) -> list[ConfusedPair]:
        """Return at most ``most`` confused pairs of classes, the most frequent first; ties are in index order."""
        total = self.matrix.given
        return [
            ConfusedPair(self.class_names[i], self.class_names[j], int(rows), float(rows / total[i]))
            for i, j, rows in zip(*self.matrix.off_diagonal(most), strict=True)
        ]

    def most_confused(self, most: int) -> list[int]:
        """Return the indices, ascending, of the ``most`` classes that most confused rows have, given or predicted."""
        wrong = self.matrix.given + self.matrix.predicted - 2 * self.matrix.diagonal()
        return sorted(np.argsort(-wrong, kind="stable")[:most].tolist())

    def confusion_values(self) -> dict[str, list[list[int]] | None]:
        """Return the confusion matrix as JSON values: ``confusion`` [C, C], or ``confusion_cells`` of many classes.

        Both are None if no row has a loss. With more than 256 classes ``confusion`` is None, and ``confusion_cells``
        [m, 3] lists each pair of classes that occurs: the indices of the given and of the predicted class, and the
        rows. Otherwise ``confusion_cells`` is None.
        """
        if not self.scored:
            return {"confusion": None, "confusion_cells": None}
        if len(self.class_names) <= WHOLE_MATRIX:
            return {"confusion": self.confusion.tolist(), "confusion_cells": None}
        return {"confusion": None, "confusion_cells": np.stack(self.matrix.cells(), axis=1).tolist()}

    def histogram(self, most: int = 40) -> LossHistogram:
        """Return the rows by loss in at most ``most`` bins, as narrow as possible, and one more bin from 64 nats up."""
        filled = np.flatnonzero(self.loss_bins[:_BINS].sum(axis=1))
        last = int(filled[-1]) + 1 if len(filled) else 1
        step = 1
        while -(-last // step) > most:
            step *= 2
        bins = -(-last // step)
        inside = self.loss_bins[:_BINS]
        inside = np.pad(inside, ((0, -len(inside) % step), (0, 0))).reshape(-1, step, 2).sum(axis=1)[:bins]
        edges = [step * _FINE * i for i in range(bins + 1)]
        above = self.loss_bins[_BINS]
        if above.any():
            # No loss lies between the last filled bin and 64 nats, so the open bin can begin where that bin ends.
            inside, edges = np.vstack([inside, above]), [*edges, float("inf")]
        return LossHistogram(tuple(edges), tuple(inside[:, 1].tolist()), tuple(inside[:, 0].tolist()))


def run_health(run: RunDirectory) -> RunHealth:
    """Count a finished run's rows; memory holds one batch of rows and 16 bytes for each pair of classes that occurs.

    Raises:
        RunError: a shard is missing or can't be read.
        RunError: a shard holds classes that the manifest doesn't name.
    """
    classes = len(run.class_names)
    status: Counter[str] = Counter()
    precision: Counter[str] = Counter()
    matrix = Confusion(classes)
    loss_sums = np.zeros(classes)
    loss_bins = np.zeros((_BINS + 1, 2), dtype=np.int64)
    total, truncated = 0.0, 0
    for batch in run.batches(["label", "predicted", "loss", "truncated", "status", "precision"]):
        status += count_words(batch["status"])
        precision += count_words(batch["precision"])
        truncated += batch["truncated"].true_count
        scored = batch.filter(batch["loss"].is_valid())
        label, predicted, loss = (scored[name].to_numpy() for name in ("label", "predicted", "loss"))
        if len(loss) and not 0 <= min(label.min(), predicted.min()) <= max(label.max(), predicted.max()) < classes:
            raise RunError(
                f"{run.path / MANIFEST} is damaged: it names {classes} classes, but a shard has other class "
                "indices; score the data again with `overwrite=True`"
            )
        total += float(np.sum(loss, dtype=np.float64))
        matrix.add(label, predicted)
        loss_sums += np.bincount(label, weights=loss, minlength=classes)
        place = np.minimum(loss.astype(np.float64) / _FINE, _BINS).astype(np.int64)
        np.add.at(loss_bins, (place, (label == predicted).astype(np.int64)), 1)
    return RunHealth(
        class_names=run.class_names,
        rows=run.num_rows,
        by_status=dict(sorted(status.items(), key=lambda item: (-item[1], item[0]))),
        by_precision=dict(sorted(precision.items())),
        truncated=truncated,
        mean_loss=total / status["ok"] if status["ok"] else None,
        matrix=matrix,
        loss_sums=loss_sums,
        loss_bins=loss_bins,
    )
