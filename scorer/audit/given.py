"""given_labels(): the labels that the data gives to rows, as class names."""

from collections.abc import Sequence

import numpy as np

from scorer.errors import RunError
from scorer.run.directory import RunDirectory


def given_labels(run: RunDirectory, rows: Sequence[int]) -> dict[int, str | None]:
    """Return the class name of each row's given label, by row; None for a row without a usable label.

    Only the shards of these rows are read.

    Raises:
        RunError: a row is not in the run, or a shard can't be read.
    """
    if strange := [row for row in rows if not 0 <= row < run.num_rows]:
        raise RunError(f"row {strange[0]} does not exist; the data has rows 0 to {run.num_rows - 1}")
    wanted = np.unique(np.array(rows, dtype=np.int64))
    labels = run.take(wanted)["label"].to_pylist()
    names = [None if label is None else run.class_names[label] for label in labels]
    return dict(zip(wanted.tolist(), names, strict=True))
