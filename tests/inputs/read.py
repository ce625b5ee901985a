"""What a run holds of its data, read back through the run: each row's text, label and status."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import Result

from scorer import RunDirectory
from scorer.run.reopened import reopen_data
from tests.inputs.case import Row
from tests.support.commands import error_line

LONGEST = 400  # characters in a message


def message(result: Result) -> str:
    """Return the message of an error, checking that it is one line."""
    return error_line(result).removeprefix("Error: ")


def shards(run: Path) -> pa.Table:
    """Return the scores of a run, in order."""
    return pa.concat_tables(pq.read_table(file) for file in sorted((run / "scores").glob("*.parquet")))


def rows_of(run: Path) -> list[Row]:
    """Return the rows of a run: texts from its data, labels and statuses from its shards."""
    directory = RunDirectory.open(run)
    scores = shards(run)
    assert scores["row"].to_pylist() == list(range(directory.num_rows))
    columns = [name for name in (directory.columns.text, directory.columns.text_pair) if name is not None]
    data = reopen_data(directory).take(np.arange(directory.num_rows), columns)
    texts = data.column(0).to_pylist()
    pairs = data.column(1).to_pylist() if len(columns) == 2 else [None] * len(texts)
    labels = [None if index is None else directory.class_names[index] for index in scores["label"].to_pylist()]
    return list(map(Row, texts, labels, scores["status"].to_pylist(), pairs))


def difference(found: Iterable[Row], expected: Iterable[Row]) -> str | None:
    """Return a sentence about the first row that differs, or None if none does.

    A text that is none may be stored in any way, and a row without a loss may have its label or not.
    """
    found, expected = list(found), list(expected)
    if len(found) != len(expected):
        return f"{len(found)} rows instead of {len(expected)}: {found[:3]}"
    for number, pair in enumerate(zip(found, expected, strict=True)):
        one, other = map(_comparable, pair)
        if one != other:
            return f"row {number} is {one} instead of {other}"
    return None


def _comparable(row: Row) -> Row:
    if row.status == "ok":
        return row
    return Row(row.text if row.status.endswith("label") else None, None, row.status, row.pair)
