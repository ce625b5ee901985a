"""Convert ranked rows to a table or to JSON records."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from lossrank.tables.values import records
from scorer import RankedRow, RunDirectory


def ranking_table(ranked: Sequence[RankedRow], source: pa.Table) -> pa.Table:
    """Return a table of ranked rows [len(ranked)]: their scores and the columns of ``source``, which has these rows."""
    scores = pa.table(
        {
            "rank": pa.array([row.rank for row in ranked], pa.int64()),
            "row": pa.array([row.row for row in ranked], pa.int64()),
            "loss": pa.array([row.loss for row in ranked], pa.float32()),
            "given": pa.array([row.given_name for row in ranked], pa.string()),
            "predicted": pa.array([row.predicted_name for row in ranked], pa.string()),
            "label_prob": pa.array([row.label_prob for row in ranked], pa.float32()),
            "top_prob": pa.array([row.top_prob for row in ranked], pa.float32()),
            "margin": pa.array([row.margin for row in ranked], pa.float32()),
            "entropy": pa.array([row.entropy for row in ranked], pa.float32()),
            "n_tokens": pa.array([row.n_tokens for row in ranked], pa.int32()),
            "truncated": pa.array([row.truncated for row in ranked], pa.bool_()),
            "precision": pa.array([row.precision for row in ranked], pa.string()),
        }
    )
    return with_source_columns(scores, source)


def with_source_columns(table: pa.Table, source: pa.Table) -> pa.Table:
    """Return ``table`` with every column of ``source`` added; both have the same rows.

    If ``table`` already has a column of that name, the added column gets the prefix ``source_``, repeated until the
    name is unique.
    """
    own = table.column_names
    taken = {*own, *source.column_names}
    for column in source.column_names:
        name = column
        if name in own:
            while name in taken:
                name = f"source_{name}"
            taken.add(name)
        table = table.append_column(name, source.column(column))
    return table


def precision_note(run: RunDirectory, ranked: Sequence[RankedRow]) -> str | None:
    """Return how many rows have int8 numbers and how to score them in fp32; None if no row has int8 numbers."""
    in_int8 = sum(row.precision == "int8" for row in ranked)
    if not in_int8:
        return None
    options = run.manifest.options
    if options.is_screen:
        why = (
            f"only the {options.screen_top:,} worst losses of the run are sure to be exact (fp32); for more exact "
            "losses, score again with a larger `screen_top`; for other measures and filters, with `precision='fp32'`"
        )
    else:
        why = "for exact numbers, score again with `precision='screen'` or `precision='fp32'`"
    return f"{in_int8:,} of these {len(ranked):,} rows have int8 numbers: {why}"


def ranking_records(ranked: Sequence[RankedRow], source: pa.Table) -> list[dict[str, Any]]:
    """Return ranked rows as dictionaries: the fields of ``RankedRow``, and ``source``: the row's columns in the data.

    Raises:
        RunError: a source column has a type that JSON can't hold.
    """
    return [{**asdict(row), "source": columns} for row, columns in zip(ranked, records(source), strict=True)]
