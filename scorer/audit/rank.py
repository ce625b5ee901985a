"""rank(): return the worst rows of a run, in bounded memory; join_source(): return the source columns of these rows.

The first pass reads only the columns that the order needs, batch by batch, and keeps the worst rows so far. Then the
remaining columns of the chosen rows are read from the shards that hold them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.arrow import floats, integers, validity
from scorer.data.source import Data
from scorer.errors import RunError
from scorer.layout import MANIFEST
from scorer.run.directory import RunDirectory
from scorer.run.manifest_file import damaged
from scorer.run.reopened import refuse_columns, reopen_data
from scorer.text import fold, nearest, some

TOP_K = 500  # rows of a ranking by default
Keys = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """A measure to rank rows by: the ``column`` of the scores, a ``title``, and whether high or low values are bad."""

    column: str
    title: str
    high_is_bad: bool

    @property
    def order(self) -> str:
        """The title, and which values come first."""
        return f"{self.title}, the {'highest' if self.high_is_bad else 'lowest'} first"


MEASURES = {
    "loss": Measure("loss", "loss", high_is_bad=True),
    "margin": Measure("margin", "margin", high_is_bad=False),
    "self-confidence": Measure("label_prob", "probability of the given label", high_is_bad=False),
    "entropy": Measure("entropy", "entropy", high_is_bad=True),
}


@dataclass(frozen=True)
class RankedRow:
    """One row of a ranking: ``rank`` 1 is the worst row, ``row`` is the row's number in the data, from 0.

    ``label`` and ``predicted`` are class indices, ``given_name`` and ``predicted_name`` the names of these classes,
    ``probs`` [C] is the softmax, ``loss`` and ``entropy`` are in nats. Where a run keeps the probabilities of some
    classes only, because the model has more than 256, ``probs_class`` has the indices of these classes, the most
    probable first, and ``probs`` their probabilities. ``precision`` (``fp32`` or ``int8``) is the precision that these
    numbers were computed in. If the row has no label, the values that depend on a label are None.
    ``label_prob`` and ``top_prob`` (0..1) are the probabilities of the given and of the predicted class, ``margin``
    (-1..1, low is bad) is ``label_prob`` less the largest probability of another class. ``id`` is the row's own id, if
    an id column was scored. ``n_tokens`` counts the tokens that the model saw; ``truncated`` tells whether the text was
    cut.
    """

    rank: int
    row: int
    id: str | None
    label: int | None
    predicted: int
    loss: float | None
    label_prob: float | None
    top_prob: float
    margin: float | None
    entropy: float
    n_tokens: int
    truncated: bool
    precision: str
    probs: tuple[float, ...]
    given_name: str | None
    predicted_name: str
    probs_class: tuple[int, ...] | None = None

    def known_probs(self) -> dict[int, float]:
        """Return the probability of each class index that the run keeps, all if the model has at most 256 classes."""
        return dict(
            enumerate(self.probs) if self.probs_class is None else zip(self.probs_class, self.probs, strict=True)
        )


def rank(
    run: RunDirectory | str | Path,
    top: int | None = None,
    *,
    by: str = "loss",
    per_class: int | None = None,
    pair: tuple[str, str] | str | None = None,
) -> list[RankedRow]:
    """Return the worst rows of a run, worst first; ties are in row order.

    Args:
        run: a finished run, or its directory.
        top: how many rows to return, 500 unless ``per_class`` is given; fewer are returned if fewer have the measure.
        by: ``loss`` or ``entropy`` (high is bad), ``margin`` or ``self-confidence`` (low is bad). ``entropy`` also
            ranks rows without a label.
        per_class: how many rows of each given class to return instead of ``top``, in one list.
        pair: return only rows with this given and this predicted class, by name: ``("World", "Sports")`` or
            ``"World:Sports"``.

    Raises:
        RunError: ``by`` is not a measure, or ``pair`` does not name two classes.
        RunError: ``top`` or ``per_class`` is below 1, or both are given.
        RunError: no row has that measure, for example because the data has no labels.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    if by not in MEASURES:
        raise RunError(f"`by` is {by!r}{nearest(by, list(MEASURES))}; it must be one of: {', '.join(MEASURES)}")
    if top is not None and per_class is not None:
        raise RunError("`top` and `per_class` both say how many rows; give only one of them")
    for name, count in (("top", top), ("per_class", per_class)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise RunError(f"`{name}` is {count!r}; it must be a whole number, at least 1")
    wanted_pair = None if pair is None else _parse_pair(pair, run.class_names)
    rows = _worst(run, by, top or TOP_K, per_class, wanted_pair)
    if not len(rows) and wanted_pair is None:
        hint = "" if by == "entropy" else "; rank by entropy, which needs no label"
        raise RunError(f"{run.path} has no row with a {by} (rows by status: {_statuses(run)}){hint}")
    return _read_rows(run, rows)


def join_source(
    run: RunDirectory, ranked: list[RankedRow], data: Data | None = None, *, scored_only: bool = False
) -> pa.Table:
    """Return the source columns of ranked rows as a table, in the order of ``ranked``.

    ``data`` is where the data is now, if it has moved, or the same rows as another kind of data. With ``scored_only``
    only the columns that the run used are read: text, second text, label and id.

    Raises:
        SourceError: the data is gone, or its rows are not what was scored.
        RunError: the data lacks a column that the run's manifest names.
    """
    source = reopen_data(run, data)
    refuse_columns(run, source)
    scored = list(dict.fromkeys(name for name in run.columns.to_dict().values() if name is not None))
    columns = scored if scored_only else list(source.readable_schema.names)
    return source.take(np.array([row.row for row in ranked], dtype=np.int64), columns)


def _worst(
    run: RunDirectory, by: str, top: int, per_class: int | None, pair: tuple[int, int] | None
) -> NDArray[np.int64]:
    """Return the numbers of the worst rows, worst first; memory holds the worst rows so far and one batch."""
    column, sign = MEASURES[by].column, -1.0 if MEASURES[by].high_is_bad else 1.0  # the worst row has the smallest key
    keys: Keys = np.zeros(0)
    rows = np.zeros(0, dtype=np.int64)
    labels = np.zeros(0, dtype=np.int64)
    for batch in run.batches(["row", column, "label", "predicted"]):
        keep = validity(batch[column])
        label, predicted = integers(batch["label"]), integers(batch["predicted"])
        if pair is not None:
            keep &= (label == pair[0]) & (predicted == pair[1])
        if per_class is not None:
            keep &= label >= 0
        values = sign * floats(batch[column])
        if per_class is None and len(keys) == top:
            keep &= values < keys[-1]  # of equally bad rows, the earliest is kept
            if not keep.any():
                continue
        keys = np.concatenate([keys, values[keep]])
        rows = np.concatenate([rows, integers(batch["row"])[keep]])
        labels = np.concatenate([labels, label[keep]])
        order = np.lexsort((rows, keys))
        order = order[_first_per_label(labels[order], per_class)] if per_class is not None else order[:top]
        keys, rows, labels = keys[order], rows[order], labels[order]
    return rows


def _first_per_label(labels: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Return a mask [n] of the first ``count`` occurrences of each label in ``labels`` [n]."""
    order = np.argsort(labels, kind="stable")
    ascending = labels[order]
    mark = np.zeros(len(labels), dtype=np.bool_)
    mark[order] = np.arange(len(labels)) - np.searchsorted(ascending, ascending) < count
    return mark


def _read_rows(run: RunDirectory, rows: NDArray[np.int64]) -> list[RankedRow]:
    """Return the ranked rows, which are given worst first."""
    table = run.take(np.sort(rows))
    table = table.select([name for name in table.schema.names if name not in ("status", "int8_loss", "text_hash")])
    found: dict[int, dict[str, Any]] = {int(record["row"]): record for record in table.to_pylist()}
    ranked = []
    for place, row in enumerate(rows.tolist(), start=1):
        record = found[row]
        probs, kept = record.pop("probs"), record.pop("probs_class", None)
        classes = len(probs) if kept is None else max(len(run.class_names), 1 + max(kept))
        if classes != len(run.class_names):
            says = f"it names {len(run.class_names)} classes, but the shards have {classes}"
            raise damaged(run.path / MANIFEST, says)
        names = {
            "given_name": None if record["label"] is None else run.class_names[record["label"]],
            "predicted_name": run.class_names[record["predicted"]],
        }
        kept = None if kept is None else tuple(kept)
        ranked.append(RankedRow(rank=place, probs=tuple(probs), probs_class=kept, **record, **names))
    return ranked


def _parse_pair(pair: tuple[str, str] | str, class_names: tuple[str, ...]) -> tuple[int, int]:
    """Return the indices of the given and the predicted class; a class name may contain a colon."""
    folded = {fold(name): i for i, name in enumerate(class_names)}
    if isinstance(pair, str):
        cuts = [i for i, character in enumerate(pair) if character == ":"]
        splits = [(pair[:i], pair[i + 1 :]) for i in cuts]
        if not splits:
            raise RunError(f"`pair` is {pair!r}; it must be GIVEN:PREDICTED, two of: {some(class_names)}")
        pair = next((split for split in splits if all(fold(name) in folded for name in split)), splits[0])
    if len(pair) != 2:
        raise RunError(f"`pair` is {pair!r}; it must be two classes: the given and the predicted one")
    for name in pair:
        if not isinstance(name, str) or fold(name) not in folded:
            raise RunError(
                f"`pair` names {name!r}, which is no class{nearest(str(name), list(class_names))}; the classes are: "
                f"{some(class_names)}"
            )
    return folded[fold(pair[0])], folded[fold(pair[1])]


def _statuses(run: RunDirectory) -> str:
    counts = run.manifest.summary.by_status if run.manifest.summary else {}
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
