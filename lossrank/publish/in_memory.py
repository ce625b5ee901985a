"""corrected_data(): the corrected data set in memory, as an Arrow table, a DataFrame or a `datasets` Dataset."""

import warnings
from typing import Any

import pyarrow as pa

from lossrank.errors import ArgumentError
from lossrank.publish.card import troubles
from lossrank.publish.corrected import CorrectedRows, corrected_rows
from lossrank.publish.save_to_disk import require_datasets
from lossrank.publish.split import refuse_test_split
from lossrank.review.decided_rows import decided_rows
from lossrank.review.decision import DISCARDED
from scorer.data.source import Data
from scorer.run.directory import RunDirectory
from scorer.run.reopened import reopen_data

DATASET = "dataset"
IN_MEMORY = (DATASET, "arrow", "pandas")


def corrected_data(
    run: RunDirectory,
    format: str = DATASET,
    *,
    drop_discarded: bool = False,
    reviewers: bool = False,
    allow_test_split: bool = False,
    data: Data | None = None,
) -> Any:
    """Return a run's data with the labels that people decided on: every row, in order, with all its columns.

    ``format`` is ``dataset`` for a `datasets.Dataset`, ``arrow`` for a pyarrow.Table or ``pandas`` for a DataFrame. In
    a Dataset the label column is a ClassLabel: with the data's names if it has them, else with the model's.

    Raises:
        ArgumentError: ``format`` is unknown.
        RunError: no row has a decision, or the data is a test split and ``allow_test_split`` is not set.
        RunError: `datasets` is not installed.
        SourceError: the data is gone or has changed.
    """
    if format not in IN_MEMORY:
        raise ArgumentError(f"`format` is {format!r}; without `output` it must be one of: {', '.join(IN_MEMORY)}")
    if format == DATASET:
        require_datasets("`format='dataset'`")
    decided = decided_rows(run)
    source = reopen_data(run, data)
    if not allow_test_split:
        refuse_test_split(run.manifest.data.spec, source.spec)
    rows = corrected_rows(run, source, decided, drop_discarded=drop_discarded, reviewers=reviewers)
    table = pa.Table.from_batches(rows.batches(), rows.schema)
    for note in (*rows.notes, *troubles(rows)):
        warnings.warn(note, stacklevel=3)
    if format == "arrow":
        return table
    return table.to_pandas() if format == "pandas" else _dataset(rows, table)


def _dataset(rows: CorrectedRows, table: pa.Table) -> Any:
    import datasets

    for i, field in enumerate(table.schema):
        if pa.types.is_large_string(field.type):  # pandas and polars have it; `datasets` joins no two kinds of text
            table = table.set_column(i, field.with_type(pa.string()), table.column(i).cast(pa.string()))
    if rows.spelling.class_labels is not None:
        return datasets.Dataset(table)
    name = rows.columns.label
    labels = pa.array(_class_indices(rows), pa.int64())
    table = table.set_column(table.column_names.index(name), name, labels)
    features = datasets.Dataset(table).features  # casting instead would show a progress bar
    features[name] = datasets.ClassLabel(names=list(rows.class_names))
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=features))


def _class_indices(rows: CorrectedRows) -> list[int | None]:
    """Return each corrected row's class index; None for a row without a label that the model knows."""
    run, decided = rows.run, rows.decided
    found = [label for batch in run.batches(["label"]) for label in batch["label"].to_pylist()]
    dropped = set()
    for row, decision in zip(decided.rows.tolist(), decided.decisions, strict=True):
        if decision.label is not None:
            found[row] = run.class_names.index(decision.label)
        if rows.drop_discarded and decision.verdict == DISCARDED:
            dropped.add(row)
    return [label for row, label in enumerate(found) if row not in dropped]
