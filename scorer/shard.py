"""ScoreBatch: the scores of a window of rows as one Arrow table, the rows of a shard file."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer import losses
from scorer.labels import NO_LABEL, UNKNOWN
from scorer.tokens import TokenWindow
from scorer.window import OK, Window

NO_LABEL_STATUS = "no_label"
UNKNOWN_LABEL_STATUS = "unknown_label"
BAD_LOGITS_STATUS = "bad_logits"
NO_MEMORY_STATUS = "no_memory"


def score_schema(class_names: tuple[str, ...]) -> pa.Schema:
    """Return the schema of a shard; the class names, in index order, are in its metadata."""
    return pa.schema(
        [
            ("row", pa.int64()),
            ("id", pa.string()),
            ("label", pa.int32()),
            ("predicted", pa.int32()),
            ("loss", pa.float32()),
            ("label_prob", pa.float32()),
            ("top_prob", pa.float32()),
            ("margin", pa.float32()),
            ("entropy", pa.float32()),
            ("n_tokens", pa.int32()),
            ("truncated", pa.bool_()),
            ("status", pa.string()),
            ("precision", pa.string()),
            ("int8_loss", pa.float32()),
            ("probs", pa.list_(pa.float32(), len(class_names))),
        ],
        metadata={"class_names": json.dumps(list(class_names), ensure_ascii=False)},
    )


def score_table(
    window: Window,
    tokens: TokenWindow,
    logits: NDArray[np.float32],
    no_memory: NDArray[np.bool_],
    class_names: tuple[str, ...],
    precision: str,
) -> pa.Table:
    """Compute a window's scores from the logits [s, C] of one precision and the tokens of its scored rows.

    ``no_memory`` [s] says which of them memory was too small for; their logits are NaN.

    Losses and probabilities are computed in float64 and stored as float32. A row whose logits aren't all finite
    has no scores and the status ``no_memory`` or ``bad_logits``.
    """
    n, scored = len(window.status), window.scored
    status = window.status.copy()
    finite = np.isfinite(logits).all(axis=1)
    status[scored[~finite]] = BAD_LOGITS_STATUS
    status[scored[no_memory]] = NO_MEMORY_STATUS
    status[(status == OK) & (window.labels == NO_LABEL)] = NO_LABEL_STATUS
    status[(status == OK) & (window.labels == UNKNOWN)] = UNKNOWN_LABEL_STATUS

    good = scored[finite]
    log_probs = losses.log_softmax(logits[finite])
    probs = np.exp(log_probs)
    labelled = status[good] == OK
    rows, labels = good[labelled], window.labels[good[labelled]]
    lengths = np.zeros(n, dtype=np.int32)
    lengths[scored] = tokens.text_lengths
    truncated = np.zeros(n, dtype=np.bool_)
    truncated[scored] = tokens.truncated

    all_probs = np.zeros((n, len(class_names)), dtype=np.float32)
    all_probs[good] = probs
    has_probs = np.zeros(n, dtype=np.bool_)
    has_probs[good] = True
    columns = [
        pa.array(window.rows),
        window.ids,
        pa.array(window.labels, pa.int32(), mask=window.labels < 0),
        _column(n, good, probs.argmax(axis=1), pa.int32()),
        _column(n, rows, losses.cross_entropy(logits[finite][labelled], labels), pa.float32()),
        _column(n, rows, probs[labelled, labels], pa.float32()),
        _column(n, good, probs.max(axis=1), pa.float32()),
        _column(n, rows, losses.margin(probs[labelled], labels), pa.float32()),
        _column(n, good, losses.entropy(log_probs), pa.float32()),
        pa.array(lengths),
        pa.array(truncated),
        pa.array(status, pa.string()),
        pa.array(np.full(n, precision, dtype=object), pa.string(), mask=~has_probs),
        pa.nulls(n, pa.float32()),
        pa.FixedSizeListArray.from_arrays(pa.array(all_probs.reshape(-1)), len(class_names), mask=pa.array(~has_probs)),
    ]
    return pa.Table.from_arrays(columns, schema=score_schema(class_names))


def int8_losses(table: pa.Table) -> pa.ChunkedArray:
    """Return the loss that int8 gave each row [n], also those that were scored again; null where it gave none."""
    first = pc.if_else(pc.equal(table["precision"], "int8").fill_null(False), table["loss"], None)
    return pc.coalesce(table["int8_loss"], first)


def replace_rows(table: pa.Table, rescored: pa.Table) -> pa.Table:
    """Return a table with the rows that were scored again in its place, their ``int8_loss`` what it was before.

    Doing it twice changes nothing. Both ascend by row; ``rescored``'s rows are all among the table's.
    """
    place = np.searchsorted(table["row"].to_numpy(), rescored["row"].to_numpy())
    before = int8_losses(table).take(pa.array(place))
    at = rescored.schema.get_field_index("int8_loss")
    rescored = rescored.set_column(at, rescored.schema.field(at), before)
    index = np.arange(len(table))
    index[place] = len(table) + np.arange(len(rescored))
    return pa.concat_tables([table, rescored]).take(pa.array(index)).combine_chunks()


def _column(n: int, rows: NDArray[np.int64], values: NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    """Place values at their rows; every other row is null."""
    column = np.zeros(n, dtype=kind.to_pandas_dtype())
    column[rows] = values
    empty = np.ones(n, dtype=np.bool_)
    empty[rows] = False
    return pa.array(column, kind, mask=empty)
