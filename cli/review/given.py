"""given_labels(): the labels that rows have in the data, as class names."""

from collections.abc import Sequence

import numpy as np

from scorer import RunDirectory, RunError


def given_labels(run: RunDirectory, rows: Sequence[int]) -> dict[int, str | None]:
    """Return each row's class name, None of a row without a usable label; only the shards that hold rows are read.

    Raises:
        RunError: there is no such row, or a shard can't be read.
    """
    if strange := [row for row in rows if not 0 <= row < run.num_rows]:
        raise RunError(f"there is no row {strange[0]}; the data has the rows 0 to {run.num_rows - 1}")
    wanted = np.unique(np.array(rows, dtype=np.int64))
    labels = run.take(wanted)["label"].to_pylist()
    names = [None if label is None else run.class_names[label] for label in labels]
    return dict(zip(wanted.tolist(), names, strict=True))
