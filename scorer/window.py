"""Window: a fixed range of input rows, with each row's text, label and, where it can't be scored, the reason."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.columns import Columns
from scorer.errors import SourceError
from scorer.formats import PROBLEM, valid_text
from scorer.labels import NO_LABEL, LabelMap
from scorer.source import Source

OK = "ok"
NO_TEXT = "no_text"
INVALID_TEXT = "invalid_text"
UNREADABLE = "unreadable"
_FIRST_ROWS = 512


@dataclass(frozen=True)
class Window:
    """Some rows of the data, ascending: a whole range as they are read.

    ``rows`` [n] are their places in the data, ``status`` [n] is OK or why a row has no usable text; ``scored`` [s] are
    the positions of the rows that do, and ``texts`` (and ``text_pairs``) theirs. ``labels`` [n] are class indices,
    NO_LABEL or UNKNOWN; ``unknown`` counts the unknown ones by name. ``problems`` says why a
    row's line could not be read.
    """

    rows: NDArray[np.int64]
    status: NDArray[np.object_]
    scored: NDArray[np.int64]
    texts: list[str]
    text_pairs: list[str] | None
    labels: NDArray[np.int32]
    ids: pa.Array
    unknown: Counter[str]
    problems: dict[int, str]

    @property
    def first_row(self) -> int:
        return int(self.rows[0])

    @property
    def stop(self) -> int:
        return int(self.rows[-1]) + 1

    def take(self, index: NDArray[np.int64]) -> "Window":
        """Return some of the rows, by their places in the window, ascending; ``unknown`` and ``problems`` are empty."""
        place = np.full(len(self.rows), -1, dtype=np.int64)
        place[self.scored] = np.arange(len(self.scored))
        kept = place[index]
        kept = kept[kept >= 0]
        return Window(
            rows=self.rows[index],
            status=self.status[index],
            scored=np.flatnonzero(place[index] >= 0).astype(np.int64),
            texts=[self.texts[i] for i in kept],
            text_pairs=None if self.text_pairs is None else [self.text_pairs[i] for i in kept],
            labels=self.labels[index],
            ids=self.ids.take(pa.array(index)),
            unknown=Counter(),
            problems={},
        )


def window_ranges(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Cut a range of rows into windows of ``size`` rows; the data's very first one is short, so that a run starts soon.

    What the windows are depends on the rows alone, not on where a run was cut off.
    """
    first = min(start + (min(size, _FIRST_ROWS) if start == 0 else size), stop)
    return [(start, first), *((at, min(at + size, stop)) for at in range(first, stop, size))]


def join_windows(windows: list[Window]) -> Window:
    """Return the rows of windows that follow one another as one."""
    starts = np.cumsum([0, *(len(window.rows) for window in windows[:-1])])
    pairs = [window.text_pairs for window in windows if window.text_pairs is not None]
    return Window(
        rows=np.concatenate([window.rows for window in windows]),
        status=np.concatenate([window.status for window in windows]),
        scored=np.concatenate([window.scored + start for window, start in zip(windows, starts, strict=True)]),
        texts=[text for window in windows for text in window.texts],
        text_pairs=[text for texts in pairs for text in texts] if pairs else None,
        labels=np.concatenate([window.labels for window in windows]),
        ids=pa.concat_arrays([window.ids for window in windows]),
        unknown=sum((window.unknown for window in windows), Counter()),
        problems={row: why for window in windows for row, why in window.problems.items()},
    )


def read_windows(
    source: Source, columns: Columns, label_map: LabelMap | None, ranges: list[tuple[int, int]]
) -> Iterator[Window]:
    """Yield one window for each range of rows; ranges ascend and don't overlap.

    Raises:
        SourceError: the data can't be read, or ends before a range does.
    """
    names = columns.names()
    for start, stop, cuts in _runs(ranges):
        batches = source.read(names, start, stop)
        held: list[pa.RecordBatch] = []
        rows = 0
        at = start
        for cut in cuts:
            while at + rows < cut:
                batch = next(batches, None)
                if batch is None:
                    raise SourceError(f"{source.name} ended at row {at + rows} of {source.num_rows}; did it change?")
                held.append(batch)
                rows += len(batch)
            table = pa.Table.from_batches(held)
            yield _window(table.slice(0, cut - at), at, columns, label_map)
            held = table.slice(cut - at).to_batches()
            rows -= cut - at
            at = cut


def refuse_bad(source: Source, window: Window) -> None:
    """Pass a window of rows that could all be read.

    Raises:
        SourceError: one is a broken line or holds bytes that are not UTF-8; it says which and where.
    """
    bad = window.rows[(window.status == UNREADABLE) | (window.status == INVALID_TEXT)]
    if not len(bad):
        return
    row = int(bad[0])
    what = window.problems.get(row, "bytes that are not UTF-8")
    raise SourceError(
        f"{source.place_of(row)}, from 0, can't be read ({what}); mend it, or count such rows and go on with "
        "--on-error skip"
    )


def _runs(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int, list[int]]]:
    """Join ranges that touch: yield ``(start, stop, [each range's end])``, so that each run is read once."""
    cuts: list[int] = []
    start = 0
    for low, high in ranges:
        if cuts and cuts[-1] != low:
            yield start, cuts[-1], cuts
            cuts = []
        start = start if cuts else low
        cuts.append(high)
    if cuts:
        yield start, cuts[-1], cuts


def _window(table: pa.Table, first_row: int, columns: Columns, label_map: LabelMap | None) -> Window:
    n = table.num_rows
    status = np.full(n, OK, dtype=object)
    problems: dict[int, str] = {}
    if PROBLEM in table.column_names:
        for i, problem in enumerate(table.column(PROBLEM).to_pylist()):
            if problem is not None:
                status[i] = UNREADABLE
                problems[first_row + i] = problem
    texts = _texts(table, columns.text, status)
    pairs = None if columns.text_pair is None else _texts(table, columns.text_pair, status)
    scored = np.flatnonzero(status == OK).astype(np.int64)
    labels, unknown = np.full(n, NO_LABEL, dtype=np.int32), Counter[str]()
    if columns.label is not None and label_map is not None:
        labels, unknown = label_map.indices(_one_array(table, columns.label))
    return Window(
        rows=np.arange(first_row, first_row + n, dtype=np.int64),
        status=status,
        scored=scored,
        texts=[texts[i] for i in scored],
        text_pairs=None if pairs is None else [pairs[i] for i in scored],
        labels=labels,
        ids=pa.nulls(n, pa.string())
        if columns.id is None
        else valid_text(_one_array(table, columns.id)).cast(pa.string()),
        unknown=unknown,
        problems=problems,
    )


def _texts(table: pa.Table, column: str, status: NDArray[np.object_]) -> list[str]:
    """Return a column's texts, marking in ``status`` the rows that have none or hold bytes that aren't UTF-8."""
    array = _one_array(table, column)
    try:
        values: list[str | None] = array.to_pylist()
    except UnicodeDecodeError:
        values = []
        for i in range(len(array)):
            try:
                values.append(array[i].as_py())
            except UnicodeDecodeError:
                values.append(None)
                status[i] = INVALID_TEXT
    for i, value in enumerate(values):
        if status[i] == OK and (value is None or not value.strip()):
            status[i] = NO_TEXT
    return [value or "" for value in values]


def _one_array(table: pa.Table, column: str) -> pa.Array:
    array = table.column(column).combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # older pyarrow keeps an empty or a single chunk wrapped
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
