"""Confusion matrices for tests."""

import numpy as np
from numpy.typing import NDArray

from scorer.data.labels.confusion import Confusion


def confusion_of(matrix: NDArray[np.int64] | list[list[int]]) -> Confusion:
    """Return the counts of a matrix [C, C], added row by row of the data in a random order."""
    dense = np.asarray(matrix)
    given, predicted = np.nonzero(dense)
    order = np.random.default_rng(0).permutation(int(dense.sum()))
    rows = dense[given, predicted]
    found = Confusion(len(dense))
    found.add(np.repeat(given, rows)[order], np.repeat(predicted, rows)[order])
    return found
