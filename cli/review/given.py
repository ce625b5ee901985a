"""given_labels(): the labels that rows have in the data, as class names."""

from collections.abc import Sequence

import numpy as np

from scorer import RunDirectory, RunError
from scorer.reading import take_rows


def given_labels(run: RunDirectory, rows: Sequence[int]) -> dict[int, str | None]:
    """Return each row's class name, None of a row without a usable label; only the shards that hold rows are read.

    Raises:
        RunError: there is no such row, or a shard can't be read.
    """
    if strange := [row for row in rows if not 0 <= row < run.num_rows]:
        raise RunError(f"there is no row {strange[0]}; the data has the rows 0 to {run.num_rows - 1}")
    wanted = np.unique(np.array(rows, dtype=np.int64))
    found: dict[int, str | None] = {}
    for shard in np.unique(wanted // run.shard_rows).tolist():
        of_shard = wanted[wanted // run.shard_rows == shard]
        table = take_rows(run.sound_shard(shard), of_shard - run.shard_range(shard)[0])
        for row, label in zip(of_shard.tolist(), table["label"].to_pylist(), strict=True):
            found[row] = None if label is None else run.class_names[label]
    return found
