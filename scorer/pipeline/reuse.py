"""Reuse: the scores of an earlier run, taken over for rows with the same text and label.

A row's scores follow from the model, the tokens of its text and its label. So rows are matched by a hash of the whole
text and by the class of the label, wherever the row is and whatever its id: a row that moved is found, and a row that
was edited or relabelled is not. The earlier run's data is not needed.
"""

import hashlib
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer.data.arrow import row_array
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN
from scorer.errors import RunError
from scorer.pipeline.window import Reused, Window
from scorer.run.directory import RunDirectory
from scorer.run.manifest import Manifest, ReuseInfo
from scorer.run.schema import NO_LABEL_STATUS, OK, UNKNOWN_LABEL_STATUS

_STATUSES = (OK, NO_LABEL_STATUS, UNKNOWN_LABEL_STATUS)  # of rows that have predictions
_COLUMNS = ["row", "label", "status", "precision", "text_hash"]
_SPREAD = 0x9E3779B97F4A7C15  # an odd number: labels that differ move a text's key far apart
_OPTIONS = ("precision", "max_tokens", "long_text")
Keys = NDArray[np.uint64]


class Reuse:
    """The rows of a finished run by text and label; 16 bytes of memory for each different row."""

    def __init__(self, run: RunDirectory) -> None:
        """Read the run's rows.

        Raises:
            RunError: a shard is missing, can't be read, or has changed since it was written.
        """
        self.run = run
        keys, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for batch in run.batches(_COLUMNS):
            predicted = reduce(pc.or_, (pc.equal(batch["status"], status) for status in _STATUSES))
            alike = pc.equal(batch["precision"], run.manifest.options.precision)
            batch = batch.filter(pc.and_(predicted, alike).fill_null(False))
            keys.append(_keys(batch["text_hash"], _labels(batch)))
            rows.append(batch["row"].to_numpy())
        self._keys, first = np.unique(np.concatenate(keys), return_index=True)
        self._rows = np.concatenate(rows)[first]

    def applied(self, window: Window) -> Window:
        """Return the window with the scores of the rows that are in the run, and without the texts of these rows.

        Raises:
            RunError: a shard is missing, can't be read, or has changed since it was written.
        """
        if not len(self._keys) or not len(window.scored):
            return window
        labels = window.labels[window.scored].astype(np.int64)
        hashes = window.text_hashes.take(row_array(window.scored))
        keys = _keys(hashes, labels)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found = np.flatnonzero(self._keys[at] == keys)
        rows, back = np.unique(self._rows[at[found]], return_inverse=True)
        scores = self.run.take(rows).take(row_array(back))
        # A key is half of the text's hash; here all of it is compared.
        alike = pc.equal(scores["text_hash"].combine_chunks(), hashes.take(row_array(found)))
        same = np.flatnonzero(alike.to_numpy(zero_copy_only=False) & (_labels(scores) == labels[found]))
        if not len(same):
            return window
        return window.reusing(Reused(window.scored[found[same]], scores.take(row_array(same))))


def open_reused(path: str | Path, output: Path, plan: Manifest) -> tuple[RunDirectory, ReuseInfo]:
    """Open a run whose scores a new run takes over, and return its record for the new run's manifest.

    ``plan`` is the manifest of the new run, to be written to ``output``.

    Raises:
        RunError: the folder is not a finished run, or is ``output``.
        RunError: the run recorded no texts to compare, as runs of older versions did not.
        RunError: the model or an option that scores depend on is another one.
    """
    path = Path(path).resolve()
    if path == output.resolve():
        raise RunError(f"`reuse` {path} is the run to write; give another folder as `output`")
    run = RunDirectory.open(path)
    there, here = run.manifest, plan
    if there.bundle is None:
        raise RunError(f"{path} is a run of imported probabilities, which has no bundle; score without `reuse`")
    if run.is_screen or here.options.precision == "screen":
        raise RunError("`reuse` takes over the scores of fp32 or of int8, not of a screen; use `precision='fp32'`")
    if there.options.text_hash is not True:
        raise RunError(
            f"{path} was scored by an older lossrank, which recorded no texts to compare; score without `reuse` once"
        )
    different = [
        f"{name.replace('_', ' ')} is {getattr(there.options, name)} there, {getattr(here.options, name)} here"
        for name in _OPTIONS
        if getattr(there.options, name) != getattr(here.options, name)
    ]
    if there.bundle.sha256 != here.origin.sha256:
        different.insert(0, f"the bundle is another one ({there.bundle.sha256[:12]}..., {here.origin.sha256[:12]}...)")
    if (there.columns.text_pair is None) != (here.columns.text_pair is None):
        different.append("only one of the two has text pairs")
    if there.options.top_probs != here.options.top_probs:
        kept, now = (
            f"the {options.top_probs} highest" if options.top_probs else "all"
            for options in (there.options, here.options)
        )
        different.append(f"a row keeps {kept} probabilities there, {now} here (`all_probs`)")
    if different:
        raise RunError(f"the scores of {path} can't be reused: {'; '.join(different)}; score without `reuse`")
    names = sorted(there.shards)
    digest = hashlib.sha256("\n".join(f"{name} {there.shards[name].sha256}" for name in names).encode()).hexdigest()
    return run, ReuseInfo(path=str(path), scores=digest)


def _labels(scores: pa.RecordBatch | pa.Table) -> NDArray[np.int64]:
    """Return each row's class index [n], NO_LABEL or UNKNOWN."""
    none = pc.if_else(pc.equal(scores["status"], UNKNOWN_LABEL_STATUS), UNKNOWN, NO_LABEL)
    labels: NDArray[np.int64] = pc.coalesce(scores["label"], none.cast(pa.int32())).to_numpy().astype(np.int64)
    return labels


def _keys(hashes: pa.Array, labels: NDArray[np.int64]) -> Keys:
    """Return a key of 64 bits for each row's text and label [n]."""
    content = b"".join(hashes.to_pylist())
    halves = np.frombuffer(content, np.uint64).reshape(-1, 2)[:, 0] if content else np.zeros(0, np.uint64)
    keys: Keys = halves ^ (labels.astype(np.uint64) * np.uint64(_SPREAD))
    return keys
