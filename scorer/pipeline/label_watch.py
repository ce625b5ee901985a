"""LabelWatch: stop a run whose labels do not match the model's classes; a resumed run stops at the same row."""

import numpy as np
import pyarrow as pa

from scorer.data.labels.checks import CheckedLabels, check_labels, refuse_permutation
from scorer.data.labels.confusion import Confusion
from scorer.data.labels.label_map import NO_LABEL, LabelMap
from scorer.pipeline.window import Window, window_ranges
from scorer.run.directory import RunDirectory
from scorer.run.schema import UNKNOWN_LABEL_STATUS
from scorer.run.unfinished import read_windows_of

_SETTLED = 100  # rows of a class from which on its place in the order of the classes is known


class LabelWatch:
    """Checks that numbered labels are in the order of the classes, until each class in the data has enough rows.

    ``checked`` is what a pass over all labels found. If it is None, because the data is a stream, the first labels are
    checked before their window is scored. Both checks count from the run's first row: rows that an earlier process
    scored are read back from its shards, so that a resumed run stops where an uninterrupted one would.
    """

    def __init__(
        self, run: RunDirectory, label_map: LabelMap | None, checked: CheckedLabels | None, window_rows: int
    ) -> None:
        self._run = run
        self._map = label_map
        self._present = None if checked is None else checked.present
        self._by_name = checked is not None and checked.by_name
        self._window_rows = window_rows
        self._next_shard = 0
        self._shard = -1  # of the latest window
        self._any_label = checked is not None
        self._confusion = Confusion(len(run.class_names))

    def before(self, window: Window) -> None:
        """Check a window's labels before the model runs its texts.

        Raises:
            LabelError: the window has a stream's first labels, and they don't match the model's classes.
        """
        if self._map is None:
            return
        shard = window.first_row // self._run.shard_rows
        self._catch_up(shard)
        if shard != self._shard:
            self._shard = shard
            for table in read_windows_of(self._run, shard)[0]:
                self._recall(table)
        if not self._any_label:
            check_labels(window.given, self._map)
            self._any_label = bool(np.any(window.labels != NO_LABEL))

    def after(self, window: Window, table: pa.Table) -> None:
        """Count a window's given labels against its predictions and check the order of the classes.

        Raises:
            LabelError: the labels are numbers that look like the model's classes in another order.
        """
        if self._map is not None and self._count(table):
            refuse_permutation(self._confusion, self._map, self._present, self._by_name)
        if window.stop == self._run.shard_range(self._next_shard)[1]:
            self._next_shard += 1

    def _catch_up(self, shard: int) -> None:
        """Count the shards before ``shard``, which an earlier process scored and checked."""
        while self._next_shard < shard and not (self._any_label and self._is_settled()):
            table = self._run.read_shard(self._next_shard, ["label", "predicted", "loss", "status"])
            first, last = self._run.shard_range(self._next_shard)
            for start, stop in window_ranges(first, last, self._window_rows):
                self._recall(table.slice(start - first, stop - start))
            self._next_shard += 1
        self._next_shard = shard

    def _is_settled(self) -> bool:
        """Return whether each class in the data has enough rows, or no order is checked."""
        if self._map is None or not self._map.check_order:
            return True
        rows = self._confusion.given
        return bool(np.all((rows if self._present is None else rows[self._present]) >= _SETTLED))

    def _recall(self, table: pa.Table) -> None:
        """Count a window that an earlier process scored and checked."""
        unknown = table["status"].to_numpy() == UNKNOWN_LABEL_STATUS
        self._any_label |= bool(unknown.any()) or table["label"].null_count < len(table)
        self._count(table)

    def _count(self, table: pa.Table) -> bool:
        """Count given against predicted classes; return False if enough rows had been counted."""
        if self._is_settled():
            return False
        ok = table.filter(table["loss"].is_valid())
        self._confusion.add(ok["label"].to_numpy(), ok["predicted"].to_numpy())
        return True
