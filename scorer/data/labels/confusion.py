"""Confusion: rows counted by given and by predicted class, in memory that grows with the pairs that occur."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Counts = NDArray[np.int64]
_HELD = 1 << 16  # counts of batches that are held until they are merged


class Confusion:
    """A confusion matrix [C, C] that holds only the pairs of classes that occur: at most one for each counted row.

    ``given`` [C] and ``predicted`` [C] count the rows by given class (axis 0 of the matrix) and by predicted class
    (axis 1).
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.given: Counts = np.zeros(classes, dtype=np.int64)
        self.predicted: Counts = np.zeros(classes, dtype=np.int64)
        self._keys: Counts = np.zeros(0, dtype=np.int64)  # given * C + predicted, ascending
        self._rows: Counts = np.zeros(0, dtype=np.int64)
        self._held: list[tuple[Counts, Counts]] = []
        self._held_count = 0

    def add(self, given: NDArray[np.integer], predicted: NDArray[np.integer]) -> None:
        """Count rows by their given [n] and predicted [n] class indices, from 0 to C - 1."""
        self.given += np.bincount(given, minlength=self.classes)
        self.predicted += np.bincount(predicted, minlength=self.classes)
        found = pa.array(given.astype(np.int64) * self.classes + predicted).value_counts()
        self._held.append((found.field("values").to_numpy(), found.field("counts").to_numpy()))
        self._held_count += len(found)
        if self._held_count > max(_HELD, len(self._keys)):
            self._merge()

    def cells(self) -> tuple[Counts, Counts, Counts]:
        """Return the pairs that occur: given classes [m], predicted classes [m] and rows [m], in index order."""
        if self._held:
            self._merge()
        return self._keys // self.classes, self._keys % self.classes, self._rows

    @property
    def total(self) -> int:
        """The number of counted rows."""
        return int(self.given.sum())

    def diagonal(self) -> Counts:
        """Return how many rows of each class [C] are predicted as that class."""
        given, predicted, rows = self.cells()
        right: Counts = np.zeros(self.classes, dtype=np.int64)
        right[given[given == predicted]] = rows[given == predicted]
        return right

    def most_predicted(self) -> tuple[Counts, Counts]:
        """Return the class that most rows of each class are predicted as [C], the first of equals, and these rows [C].

        A class without rows has class 0 and 0 rows.
        """
        given, predicted, rows = self.cells()
        order = np.lexsort((predicted, -rows, given))
        classes, first = np.unique(given[order], return_index=True)
        goes_to, most = np.zeros(self.classes, dtype=np.int64), np.zeros(self.classes, dtype=np.int64)
        goes_to[classes], most[classes] = predicted[order[first]], rows[order[first]]
        return goes_to, most

    def off_diagonal(self, most: int) -> tuple[Counts, Counts, Counts]:
        """Return the ``most`` pairs of two different classes that most rows have, as ``cells`` does; ties in order."""
        given, predicted, rows = self.cells()
        wrong = given != predicted
        given, predicted, rows = given[wrong], predicted[wrong], rows[wrong]
        order = np.argsort(-rows, kind="stable")[:most]
        return given[order], predicted[order], rows[order]

    def among(self, chosen: list[int]) -> Counts:
        """Return the matrix of some classes only [k, k], in their order."""
        place = np.full(self.classes, -1, dtype=np.int64)
        place[chosen] = np.arange(len(chosen))
        given, predicted, rows = self.cells()
        inside = (place[given] >= 0) & (place[predicted] >= 0)
        matrix: Counts = np.zeros((len(chosen), len(chosen)), dtype=np.int64)
        matrix[place[given[inside]], place[predicted[inside]]] = rows[inside]
        return matrix

    def to_dense(self) -> Counts:
        """Return the whole matrix [C, C], of 8 bytes a cell."""
        return self.among(list(range(self.classes)))

    def _merge(self) -> None:
        held = [(self._keys, self._rows), *self._held]
        keys, place = np.unique(np.concatenate([keys for keys, _ in held]), return_inverse=True)
        rows = np.zeros(len(keys), dtype=np.int64)
        np.add.at(rows, place, np.concatenate([rows for _, rows in held]))
        self._keys, self._rows, self._held, self._held_count = keys, rows, [], 0
