"""score_table(): compute each row's loss, probabilities, margin, entropy and status from the model's logits.

``table_of`` does the same from probabilities. The result is an Arrow table with a shard's columns. The formulas are in
scorer/model/losses.py.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.arrow import row_array
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN
from scorer.model import losses
from scorer.model.tokenizer import TokenWindow
from scorer.pipeline.window import Reused, Window
from scorer.run.schema import (
    BAD_LOGITS_STATUS,
    NO_LABEL_STATUS,
    NO_MEMORY_STATUS,
    OK,
    UNKNOWN_LABEL_STATUS,
    score_schema,
)

_OF_THE_DATA = ("row", "id", "label", "text_hash")


@dataclass(frozen=True)
class Predictions:
    """The predictions for the rows ``window.scored`` [s] of a window.

    ``status`` [s] is OK, or why a row has no predictions. ``log_probs`` and ``probs`` [p, C] belong to the p rows with
    predictions. ``lengths`` [s] counts the tokens of each text, ``truncated`` [s] marks those that were cut.
    """

    status: NDArray[np.object_]
    log_probs: NDArray[np.float64]
    probs: NDArray[np.float64]
    lengths: NDArray[np.int64]
    truncated: NDArray[np.bool_]


def score_table(
    window: Window,
    tokens: TokenWindow,
    logits: NDArray[np.float32],
    no_memory: NDArray[np.bool_],
    class_names: tuple[str, ...],
    precision: str,
) -> pa.Table:
    """Return a table of a window's scores, one row for each row of the window.

    ``logits`` [s, C] and ``tokens`` belong to the rows ``window.scored`` [s]; ``precision`` computed the logits.
    ``no_memory`` [s] marks rows that were too large for the memory; their logits are NaN.

    Losses and probabilities are computed in float64 and stored as float32. A row whose logits aren't all finite
    has no scores and the status ``no_memory`` or ``bad_logits``. Rows that are reused keep the scores of their run.
    """
    finite = np.isfinite(logits).all(axis=1)
    status = np.full(len(logits), OK, dtype=object)
    status[~finite] = BAD_LOGITS_STATUS
    status[no_memory] = NO_MEMORY_STATUS
    log_probs = losses.log_softmax(logits[finite])
    found = Predictions(status, log_probs, np.exp(log_probs), tokens.text_lengths, tokens.truncated)
    return table_of(window, found, class_names, precision)


def table_of(window: Window, found: Predictions, class_names: tuple[str, ...], precision: str) -> pa.Table:
    """Return a table of a window's scores from its predictions; ``precision`` tells what computed them."""
    n, scored = len(window.status), window.scored
    status = window.status.copy()
    status[scored] = found.status
    good, probs = scored[found.status == OK], found.probs
    status[(status == OK) & (window.labels == NO_LABEL)] = NO_LABEL_STATUS
    status[(status == OK) & (window.labels == UNKNOWN)] = UNKNOWN_LABEL_STATUS

    labelled = status[good] == OK
    rows, labels = good[labelled], window.labels[good[labelled]]
    lengths = np.zeros(n, dtype=np.int32)
    lengths[scored] = found.lengths
    truncated = np.zeros(n, dtype=np.bool_)
    truncated[scored] = found.truncated

    all_probs = np.zeros((n, len(class_names)), dtype=np.float32)
    all_probs[good] = probs
    has_probs = np.zeros(n, dtype=np.bool_)
    has_probs[good] = True
    columns = [
        pa.array(window.rows),
        window.ids,
        pa.array(window.labels, pa.int32(), mask=window.labels < 0),
        _column(n, good, probs.argmax(axis=1), pa.int32()),
        _column(n, rows, losses.loss(found.log_probs[labelled], labels), pa.float32()),
        _column(n, rows, probs[labelled, labels], pa.float32()),
        _column(n, good, probs.max(axis=1), pa.float32()),
        _column(n, rows, losses.margin(probs[labelled], labels), pa.float32()),
        _column(n, good, losses.entropy(found.log_probs), pa.float32()),
        pa.array(lengths),
        pa.array(truncated),
        pa.array(status, pa.string()),
        pa.array(np.full(n, precision, dtype=object), pa.string(), mask=~has_probs),
        pa.nulls(n, pa.float32()),
        pa.FixedSizeListArray.from_arrays(pa.array(all_probs.reshape(-1)), len(class_names), mask=pa.array(~has_probs)),
        window.text_hashes,
    ]
    scores = pa.Table.from_arrays(columns, schema=score_schema(class_names, text_hash=True))
    return scores if window.reused is None else _with_reused(scores, window.reused)


def _with_reused(scores: pa.Table, reused: Reused) -> pa.Table:
    """Return the scores with those of an earlier run in their places; the columns of the data itself stay."""
    index = np.arange(len(scores))
    index[reused.places] = len(scores) + np.arange(len(reused.places))
    for at, field in enumerate(scores.schema):
        if field.name not in _OF_THE_DATA:
            both = pa.chunked_array([*scores.column(at).chunks, *reused.scores[field.name].chunks], field.type)
            scores = scores.set_column(at, field, both.take(row_array(index)))
    return scores.combine_chunks()


def _column(n: int, rows: NDArray[np.int64], values: NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    """Return a column of ``n`` rows with the values at ``rows``; every other row is null."""
    column = np.zeros(n, dtype=kind.to_pandas_dtype())
    column[rows] = values
    empty = np.ones(n, dtype=np.bool_)
    empty[rows] = False
    return pa.array(column, kind, mask=empty)
