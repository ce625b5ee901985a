"""What these tests share."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.labels.confusion import Confusion
from scorer.data.labels.label_map import (
    LabelMap,
)

CLASSES = ("World", "Sports", "Business", "Sci/Tech")


STARS = ("1", "2", "3", "4", "5")


def mapped(label_map: LabelMap, values: object, kind: pa.DataType | None = None) -> list[int]:
    return label_map.indices(pa.array(values, kind))[0].tolist()  # type: ignore[no-any-return]


def confusion_of(matrix: NDArray[np.int64] | list[list[int]]) -> Confusion:
    """Return the counts of a matrix [C, C], added row by row of the data in a random order."""
    dense = np.asarray(matrix)
    given, predicted = np.nonzero(dense)
    order = np.random.default_rng(0).permutation(int(dense.sum()))
    rows = dense[given, predicted]
    found = Confusion(len(dense))
    found.add(np.repeat(given, rows)[order], np.repeat(predicted, rows)[order])
    return found
