"""Make the table of changes: only the rows that were relabelled or discarded."""

import numpy as np
import pyarrow as pa

from lossrank.review.decided_rows import Decided
from lossrank.tables.ranking import with_source_columns
from scorer import RunDirectory, Source


def changes_table(run: RunDirectory, decided: Decided, source: Source | None = None) -> pa.Table:
    """Return a table of the relabelled and discarded rows, by row number ascending; labels are class names.

    If ``source`` is given, the rows' texts are added.

    Raises:
        SourceError: the data can't be read.
    """
    places = decided.changed
    scores = decided.scores.take(pa.array(places, pa.int64()))
    chosen = [decided.decisions[i] for i in places]
    given = [decided.given[i] for i in places]
    names = run.class_names
    table = pa.table(
        {
            "row": scores["row"],
            "id": scores["id"],
            "original_label": pa.array(given, pa.string()),
            "label": pa.array([one.label or old for one, old in zip(chosen, given, strict=True)], pa.string()),
            "status": pa.array([one.verdict for one in chosen], pa.string()),
            "annotator": pa.array([one.annotator for one in chosen], pa.string()),
            "loss": scores["loss"],
            "predicted": pa.array(
                [None if i is None else names[i] for i in scores["predicted"].to_pylist()], pa.string()
            ),
        }
    )
    if source is None:
        return table
    texts = [name for name in (run.columns.text, run.columns.text_pair) if name]
    return with_source_columns(table, source.take(scores["row"].to_numpy().astype(np.int64), texts))
