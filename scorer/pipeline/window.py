"""Window: a fixed range of input rows, with each row's text, label and, if it has no usable text, the reason."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.arrow import plain_array, valid_text
from scorer.data.columns import Columns
from scorer.data.formats.base import PROBLEM
from scorer.data.labels.label_map import NO_LABEL, LabelMap
from scorer.data.labels.values import count_texts, single_labels
from scorer.data.source import Source
from scorer.errors import SourceError
from scorer.run.content import content_and_hashes
from scorer.run.schema import INVALID_TEXT, NO_TEXT, OK, UNREADABLE
from scorer.text import is_missing

Shorten = Callable[[list[str]], list[str]]
_FIRST_ROWS = 512
_WHOLE = 1 << 26  # characters of texts held in memory until they are shortened


@dataclass(frozen=True)
class Reused:
    """Scores of an earlier run for the rows at the positions ``places`` [m] of a window, ascending."""

    places: NDArray[np.int64]
    scores: pa.Table


@dataclass(frozen=True)
class Window:
    """Rows of the data, ascending; ``read_windows`` yields windows of consecutive rows.

    ``rows`` [n] are the rows' numbers in the data, from 0. ``status`` [n] is OK or why the row has no usable text.
    ``scored`` [s] are the positions in the window of the rows with a usable text; ``texts`` and ``text_pairs`` [s] are
    the texts of these rows. ``labels`` [n] are class indices, NO_LABEL or UNKNOWN. ``given`` counts the rows of each
    label, ``unknown`` those of each unknown label. ``problems`` tells, by row, why a line could not be read.
    ``content`` is the content of all rows, and ``text_hashes`` [n] has a hash of each row's text, both from the whole
    texts (``scorer/run/content.py``). ``reused`` has the scores of rows whose texts are left out of ``texts``.
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
    text_hashes: pa.Array
    content: int = 0
    given: Counter[str] = field(default_factory=Counter)
    reused: "Reused | None" = None

    @property
    def first_row(self) -> int:
        return int(self.rows[0])

    @property
    def stop(self) -> int:
        return int(self.rows[-1]) + 1

    def take(self, index: NDArray[np.int64]) -> "Window":
        """Return a window of the rows at the positions ``index``, ascending, without counts, problems and content."""
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
            text_hashes=self.text_hashes.take(pa.array(index)),
        )

    def reusing(self, reused: "Reused") -> "Window":
        """Return the window without the texts of the rows whose scores are known."""
        left = np.flatnonzero(~np.isin(self.scored, reused.places))
        return replace(
            self,
            scored=self.scored[left],
            texts=[self.texts[i] for i in left],
            text_pairs=None if self.text_pairs is None else [self.text_pairs[i] for i in left],
            reused=reused,
        )


def window_ranges(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Return the windows ``(start, stop)`` of at most ``size`` rows into which a range of rows is cut.

    The first window of the data is short, so that a run starts soon. The windows depend on the arguments alone, not on
    where a run was interrupted.
    """
    first = min(start + (min(size, _FIRST_ROWS) if start == 0 else size), stop)
    return [(start, first), *((at, min(at + size, stop)) for at in range(first, stop, size))]


def join_windows(windows: list[Window]) -> Window:
    """Return one window with the rows of all ``windows``, which must be in row order."""
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
        text_hashes=pa.concat_arrays([window.text_hashes for window in windows]),
        content=sum(window.content for window in windows),
        given=sum((window.given for window in windows), Counter()),
    )


def read_windows(
    source: Source,
    columns: Columns,
    label_map: LabelMap | None,
    ranges: list[tuple[int, int]],
    shorten: Shorten = list,
) -> Iterator[Window]:
    """Yield one window for each range of rows; ranges ascend and don't overlap.

    ``shorten`` takes texts as they are read and returns the part of each to keep, because a window's whole texts may
    not fit in memory.

    Raises:
        SourceError: the data can't be read.
        SourceError: the data ends before a range does.
    """
    kind = None if columns.label is None else source.schema.field(columns.label).type
    for start, stop, cuts in _runs(ranges):
        batches = source.read(columns.names(), start, stop)
        batch: pa.RecordBatch | None = None
        at = start
        for cut in cuts:
            parts = []
            while at < cut:
                batch = batch or next(batches, None)
                if batch is None:
                    raise SourceError(
                        f"{source.name} ended at row {at} of {source.num_rows}, so it has changed; score again"
                    )
                parts.append(_window(batch.slice(0, cut - at), at, columns, kind, label_map, shorten))
                batch = batch.slice(len(parts[-1].rows))
                at += len(parts[-1].rows)
            yield join_windows(parts)


def refuse_bad(source: Source, window: Window) -> None:
    """Raise SourceError if a row of the window can't be read; the message names the row's place.

    Raises:
        SourceError: a row is a broken line or holds bytes that are not UTF-8.
    """
    bad = window.rows[(window.status == UNREADABLE) | (window.status == INVALID_TEXT)]
    if not len(bad):
        return
    row = int(bad[0])
    what = window.problems.get(row, "bytes that are not UTF-8")
    raise SourceError(
        f"{source.place_of(row)}, counted from 0, can't be read ({what}); correct it, or skip and count such rows with "
        "`on_error='skip'`"
    )


def _runs(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int, list[int]]]:
    """Yield ``(start, stop, [the end of each range])`` for each run of adjacent ranges, which are read in one pass."""
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


def _window(
    batch: pa.RecordBatch,
    first_row: int,
    columns: Columns,
    kind: pa.DataType | None,
    label_map: LabelMap | None,
    shorten: Shorten,
) -> Window:
    """Return the rows of a batch; ``kind`` is the type of the label column in the data."""
    n = batch.num_rows
    status = np.full(n, OK, dtype=object)
    problems: dict[int, str] = {}
    if PROBLEM in batch.schema.names:
        for i, problem in enumerate(batch.column(PROBLEM).to_pylist()):
            if problem is not None:
                status[i] = UNREADABLE
                problems[first_row + i] = problem
    texts = _texts(batch.column(columns.text), status, shorten)
    pairs = None if columns.text_pair is None else _texts(batch.column(columns.text_pair), status, shorten)
    scored = np.flatnonzero(status == OK).astype(np.int64)
    labels, unknown, given = np.full(n, NO_LABEL, dtype=np.int32), Counter[str](), Counter[str]()
    if columns.label is not None and kind is not None and label_map is not None:
        column = single_labels(plain_array(batch.column(columns.label)), kind, columns.label, first_row)
        labels, unknown = label_map.indices(column)
        given = count_texts(column)
    content, hashes = content_and_hashes(batch, first_row, columns.to_dict())
    return Window(
        rows=np.arange(first_row, first_row + n, dtype=np.int64),
        status=status,
        scored=scored,
        texts=[texts[i] for i in scored],
        text_pairs=None if pairs is None else [pairs[i] for i in scored],
        labels=labels,
        ids=pa.nulls(n, pa.string())
        if columns.id is None
        else valid_text(plain_array(batch.column(columns.id))).cast(pa.string()),
        unknown=unknown,
        problems=problems,
        text_hashes=hashes,
        content=content,
        given=given,
    )


def _texts(array: pa.Array, status: NDArray[np.object_], shorten: Shorten) -> list[str]:
    """Return a column's texts; rows with no text or with bytes that aren't UTF-8 are marked in ``status``.

    Where they may be too large, texts are decoded one by one: a dictionary's may be much larger than the column.
    """
    if not pa.types.is_dictionary(array.type) and array.nbytes < _WHOLE:
        with suppress(UnicodeDecodeError):
            return shorten(_marked(array.to_pylist(), status, 0))
    texts: list[str] = []
    whole: list[str | None] = []
    characters = 0
    for i, value in enumerate(array):
        try:
            text = value.as_py() or ""
        except UnicodeDecodeError:
            text = ""
            status[i] = INVALID_TEXT
        whole.append(text)
        characters += len(text)
        if characters >= _WHOLE:
            texts += shorten(_marked(whole, status, len(texts)))
            whole, characters = [], 0
    return texts + shorten(_marked(whole, status, len(texts)))


def _marked(texts: list[str | None], status: NDArray[np.object_], start: int) -> list[str]:
    """Return texts with "" for null, and mark those that are missing in ``status``, from the position ``start`` on."""
    known = [text or "" for text in texts]
    for i, text in enumerate(known, start):
        if is_missing(text) and status[i] == OK:
            status[i] = NO_TEXT
    return known
