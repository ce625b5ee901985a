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
_AT_ONCE = 1 << 18  # logits that are computed with at a time, because their float64 values take much memory


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
    top_probs: int | None = None,
) -> pa.Table:
    """Return a table of a window's scores, one row for each row of the window.

    ``logits`` [s, C] and ``tokens`` belong to the rows ``window.scored`` [s]; ``precision`` computed the logits.
    ``no_memory`` [s] marks rows that were too large for the memory; their logits are NaN. ``top_probs`` is how many
    probabilities a row keeps, as for ``score_schema``.

    Losses and probabilities are computed in float64 and stored as float32. A row whose logits aren't all finite
    has no scores and the status ``no_memory`` or ``bad_logits``. Rows that are reused keep the scores of their run.
    """
    scored = window.scored
    numbers = _Numbers(len(window.status), len(class_names), top_probs)
    step = max(1, _AT_ONCE // max(1, len(class_names)))
    for at in range(0, len(scored), step):
        part = logits[at : at + step]
        finite = np.asarray(np.isfinite(part).all(axis=1))
        log_probs = losses.log_softmax(part[_chosen(finite)])
        numbers.add(scored[at : at + step][finite], window.labels, log_probs, np.exp(log_probs))
    status = np.full(len(scored), OK, dtype=object)
    status[~numbers.has_probs[scored]] = BAD_LOGITS_STATUS
    status[no_memory] = NO_MEMORY_STATUS
    return _table(window, numbers, status, tokens.text_lengths, tokens.truncated, class_names, precision)


def table_of(
    window: Window, found: Predictions, class_names: tuple[str, ...], precision: str, top_probs: int | None = None
) -> pa.Table:
    """Return a table of a window's scores from its predictions; ``precision`` tells what computed them."""
    numbers = _Numbers(len(window.status), len(class_names), top_probs)
    numbers.add(window.scored[found.status == OK], window.labels, found.log_probs, found.probs)
    return _table(window, numbers, found.status, found.lengths, found.truncated, class_names, precision)


def _table(
    window: Window,
    numbers: "_Numbers",
    found: NDArray[np.object_],
    text_lengths: NDArray[np.int64],
    were_truncated: NDArray[np.bool_],
    class_names: tuple[str, ...],
    precision: str,
) -> pa.Table:
    """Return the table of a window; ``found``, ``text_lengths`` and ``were_truncated`` are of its scored rows [s]."""
    n, scored, good = len(window.status), window.scored, numbers.has_probs
    status = window.status.copy()
    status[scored] = found
    status[(status == OK) & (window.labels == NO_LABEL)] = NO_LABEL_STATUS
    status[(status == OK) & (window.labels == UNKNOWN)] = UNKNOWN_LABEL_STATUS

    lengths = np.zeros(n, dtype=np.int32)
    lengths[scored] = text_lengths
    truncated = np.zeros(n, dtype=np.bool_)
    truncated[scored] = were_truncated
    columns = [
        pa.array(window.rows),
        window.ids,
        pa.array(window.labels, pa.int32(), mask=window.labels < 0),
        *(pa.array(column, mask=~(numbers.has_loss if of_label else good)) for of_label, column in numbers.columns()),
        pa.array(lengths),
        pa.array(truncated),
        pa.array(status, pa.string()),
        pa.array(np.full(n, precision, dtype=object), pa.string(), mask=~good),
        pa.nulls(n, pa.float32()),
        *numbers.probs(),
        window.text_hashes,
    ]
    schema = score_schema(class_names, text_hash=True, top_probs=numbers.top_probs)
    scores = pa.Table.from_arrays(columns, schema=schema)
    return scores if window.reused is None else _with_reused(scores, window.reused)


class _Numbers:
    """The numbers of a window's rows [n], computed from the probabilities of some rows at a time.

    ``has_probs`` [n] marks the rows with probabilities, ``has_loss`` [n] those of them with a label.
    """

    def __init__(self, n: int, classes: int, top_probs: int | None) -> None:
        self.has_probs, self.has_loss = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        self._predicted = np.zeros(n, dtype=np.int32)
        self._top_prob, self._entropy = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
        self._loss, self._label_prob, self._margin = (np.zeros(n, dtype=np.float32) for _ in range(3))
        self.top_probs = top_probs
        self._kept_count = np.zeros(n, dtype=np.int32)  # of probabilities
        self._kept_classes = [np.zeros(0, dtype=np.int32)]
        self._kept_probs = [np.zeros(0, dtype=np.float32)]
        self._all = None if top_probs is not None else np.zeros((n, classes), dtype=np.float32)

    def add(
        self, rows: NDArray[np.int64], labels: NDArray[np.int32], log_probs: losses.Floats, probs: losses.Floats
    ) -> None:
        """Add the numbers of the rows at the positions ``rows`` [r], with their probabilities [r, C].

        Positions must ascend. ``labels`` [n] has the class index of every row of the window, negative if there is none.
        """
        labelled = labels[rows] >= 0
        of_label, label = rows[labelled], labels[rows[labelled]]
        self.has_probs[rows], self.has_loss[of_label] = True, True
        self._predicted[rows] = probs.argmax(axis=1)
        self._top_prob[rows] = probs.max(axis=1)
        self._entropy[rows] = losses.entropy(log_probs, probs)
        self._loss[of_label] = losses.loss_of(log_probs[_chosen(labelled)], label)
        self._label_prob[of_label] = probs[labelled, label]
        self._margin[of_label] = losses.margin(probs[_chosen(labelled)], label)
        if self._all is not None:
            self._all[rows] = probs
        elif self.top_probs is not None:
            self._keep(rows, labels[rows], probs, self.top_probs)

    def columns(self) -> list[tuple[bool, NDArray[np.generic]]]:
        """Return the columns from ``predicted`` to ``entropy`` [n], and for each whether it depends on the label."""
        return [
            (False, self._predicted),
            (True, self._loss),
            (True, self._label_prob),
            (False, self._top_prob),
            (True, self._margin),
            (False, self._entropy),
        ]

    def probs(self) -> list[pa.Array]:
        """Return the columns of the probabilities: ``probs``, after ``probs_class`` if only some are kept."""
        null = pa.array(~self.has_probs)
        if self._all is not None:
            return [pa.FixedSizeListArray.from_arrays(pa.array(self._all.reshape(-1)), self._all.shape[1], mask=null)]
        offsets = pa.array(np.concatenate([[0], np.cumsum(self._kept_count)]), pa.int32())
        return [
            pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(values)), mask=null)
            for values in (self._kept_classes, self._kept_probs)
        ]

    def _keep(self, rows: NDArray[np.int64], labels: NDArray[np.int32], probs: losses.Floats, most: int) -> None:
        """Keep the most probable classes of each row, then the label's probability if the label is none of them."""
        top = losses.top_classes(probs, most)
        more = (labels >= 0) & ~(top == labels[:, None]).any(axis=1)
        classes = np.concatenate([top, labels[:, None]], axis=1)
        kept = np.ones(classes.shape, dtype=np.bool_)
        kept[:, -1] = more
        self._kept_count[rows] = kept.sum(axis=1)
        self._kept_classes.append(classes[kept].astype(np.int32))
        self._kept_probs.append(np.take_along_axis(probs, np.maximum(classes, 0), axis=1)[kept].astype(np.float32))


def _with_reused(scores: pa.Table, reused: Reused) -> pa.Table:
    """Return the scores with those of an earlier run in their places; the columns of the data itself stay."""
    index = np.arange(len(scores))
    index[reused.places] = len(scores) + np.arange(len(reused.places))
    for at, field in enumerate(scores.schema):
        if field.name not in _OF_THE_DATA:
            both = pa.chunked_array([*scores.column(at).chunks, *reused.scores[field.name].chunks], field.type)
            scores = scores.set_column(at, field, both.take(row_array(index)))
    return scores.combine_chunks()


def _chosen(rows: NDArray[np.bool_]) -> "NDArray[np.bool_] | slice":
    """Return an index of the marked rows, which takes all without copying them."""
    return slice(None) if rows.all() else rows
