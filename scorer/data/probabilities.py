"""open_probabilities(): read the probabilities that some model predicted, from a file or from memory.

A file is read in pieces, so memory holds a window of rows. A ``.npy`` file is read, not memory-mapped: if a mapped file
is overwritten, the process dies without a message.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer.address import Address
from scorer.data.labels.class_names import checked_names, class_names_of, is_fraction, refuse_names
from scorer.data.opening.open import open_source
from scorer.data.read_options import ReadOptions
from scorer.data.source import Data, Source
from scorer.errors import NotThereError, SourceError, first_line
from scorer.files import file_sha256
from scorer.text import short

ProbabilityData: TypeAlias = "NDArray[np.floating[np.typing.NBitBase]] | Data"
Floats = NDArray[np.float64]
_NPY = ".npy"
_CSV = (".csv", ".tsv")
_FORMATS = (*_CSV, ".parquet", ".arrow", ".feather", ".jsonl", ".ndjson", ".json")
_HASHED = 1 << 24  # bytes of an array that are hashed at once
_MEMORY = "the array"


@dataclass(frozen=True)
class Probabilities:
    """The predictions of a model, one row for each row of the data: probabilities or logits.

    ``name`` is for messages. ``path`` is the absolute path of the file, None if the predictions are in memory.
    ``sha256`` is the hash of the file or of the values. ``class_names`` [C] are in the order of the columns.
    ``in_order`` tells that the user gave the names in the order of the columns, so that only the predictions can show
    whether the order is right.
    """

    name: str
    path: str | None
    sha256: str
    rows: int
    class_names: tuple[str, ...]
    in_order: bool

    def blocks(self, ranges: list[tuple[int, int]]) -> Iterator[Floats]:
        """Yield the rows [n, C] of each range, which ascend and don't overlap; a value that is no number is NaN.

        Raises:
            SourceError: the file can't be read or has changed.
        """
        raise NotImplementedError

    def refuse_change(self) -> None:
        """Raise SourceError if the file has changed since it was opened.

        Raises:
            SourceError: the file was replaced, written to or removed.
        """


@dataclass(frozen=True)
class _Array(Probabilities):
    """An array in memory."""

    values: NDArray[np.floating[np.typing.NBitBase]] = field(repr=False)

    def blocks(self, ranges: list[tuple[int, int]]) -> Iterator[Floats]:
        for start, stop in ranges:
            yield self.values[start:stop].astype(np.float64)


@dataclass(frozen=True)
class _NpyFile(Probabilities):
    """A ``.npy`` file; its values begin at the byte ``offset``, row by row or (``by_column``) column by column."""

    file: Path
    dtype: np.dtype[np.floating[np.typing.NBitBase]]
    offset: int
    by_column: bool
    version: tuple[int, ...]

    def blocks(self, ranges: list[tuple[int, int]]) -> Iterator[Floats]:
        classes = len(self.class_names)
        for start, stop in ranges:
            if self.by_column:
                columns = [self._values(column * self.rows + start, stop - start) for column in range(classes)]
                yield np.stack(columns, axis=1)
            else:
                yield self._values(start * classes, (stop - start) * classes).reshape(-1, classes)

    def _values(self, first: int, count: int) -> Floats:
        size = self.dtype.itemsize
        try:
            with self.file.open("rb") as stream:
                stream.seek(self.offset + first * size)
                content = stream.read(count * size)
        except OSError as error:
            raise SourceError(f"{self.file} can't be read ({error.strerror})") from error
        if len(content) < count * size:
            raise _changed(self.file)
        return np.frombuffer(content, self.dtype).astype(np.float64)

    def refuse_change(self) -> None:
        _refuse_change(self.file, self.version)


@dataclass(frozen=True)
class _Columns(Probabilities):
    """A table with one column for each class, in a file or in memory."""

    source: Source
    columns: list[str]

    def blocks(self, ranges: list[tuple[int, int]]) -> Iterator[Floats]:
        at = ranges[0][0] if ranges else 0
        batches = self.source.read(self.columns, at)
        rest: Floats = np.zeros((0, len(self.columns)))
        for start, stop in ranges:
            parts = []
            while at < stop:
                if not len(rest):
                    batch = next(batches, None)
                    if batch is None:
                        raise _changed(self.name)
                    rest = np.stack([_floats(batch.column(name)) for name in self.columns], axis=1)
                until = start if at < start else stop
                if at >= start:
                    parts.append(rest[: until - at])
                rest, at = rest[until - at :], min(at + len(rest), until)
            yield np.concatenate(parts)

    def refuse_change(self) -> None:
        self.source.refuse_change()


def open_probabilities(given: ProbabilityData, classes: Sequence[str] | str | Path | None = None) -> Probabilities:
    """Open predictions: a ``.npy`` file or an array [rows, C] of floats, or a table with one column for each class.

    A table is one local file of Parquet, Arrow, CSV or JSON, or data in memory of any kind that ``open_source`` takes.
    ``classes`` [C] are the names of the classes, or a file with them: a JSON list, or one name a line. They choose
    columns of a table by name, or, if none of them is the name of a column, name its columns in order; an array's
    columns they name in order. Without ``classes``, each column of a table is a class.

    Raises:
        TypeError: the predictions are of no such kind.
        NotThereError: the file does not exist.
        SourceError: the file can't be read, has another shape, or the class names don't fit its columns.
    """
    names = None if classes is None else class_names_of(classes)
    if isinstance(given, np.ndarray):
        masked = isinstance(given, np.ma.MaskedArray) and given.dtype.kind == "f"
        return _array(np.asarray(np.ma.filled(given, np.nan) if masked else given), names)
    if not isinstance(given, str | Path):
        try:
            source = open_source(given)
        except TypeError:
            raise TypeError(
                f"`probs` is of type {type(given).__name__}; it must be a path, an array of numpy (numpy.asarray "
                "makes one of most others), or a table: a DataFrame (pandas, polars), an Arrow table, list of dicts"
            ) from None
        return _table(source, None, source.fingerprint, names)
    if Address.parse(str(given)).is_remote:
        raise SourceError(f"the probabilities are at {Address.parse(str(given)).shown}; copy them to a file here first")
    file = Path(given)
    if not file.exists():
        raise NotThereError(f"{file}, which should have the probabilities, does not exist")
    if file.suffix.lower() == _NPY:
        return _npy(file, names)
    if file.is_dir() or file.suffix.lower() not in _FORMATS:
        what = "a folder" if file.is_dir() else "of no known kind"
        raise SourceError(f"{file} is {what}; probabilities are read from one file: {_NPY}, {', '.join(_FORMATS)}")
    read = ReadOptions(header=True) if file.suffix.lower() in _CSV else None
    return _table(open_source(str(file), read=read), file, file_sha256(file), names)


def _array(values: NDArray[np.floating[np.typing.NBitBase]], names: tuple[str, ...] | None) -> Probabilities:
    names = _named(_MEMORY, values.shape, values.dtype, names)
    digest = hashlib.sha256(f"{values.shape}".encode())
    step = max(1, _HASHED // (8 * len(names)))
    for start in range(0, len(values), step):
        digest.update(np.ascontiguousarray(values[start : start + step], dtype="<f8").tobytes())
    return _Array(_MEMORY, None, digest.hexdigest(), len(values), names, True, values)


def _npy(file: Path, names: tuple[str, ...] | None) -> Probabilities:
    version = _version(file)
    try:
        view = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = (
            "it holds no plain numbers" if "allow_pickle" in str(error) or "dtype" in str(error) else first_line(error)
        )
        raise SourceError(f"{file} can't be read as {_NPY} ({why}); write it with numpy.save") from error
    if not isinstance(view, np.memmap):
        raise SourceError(f"{file} is an archive of arrays; write the one array with numpy.save")
    names = _named(str(file), view.shape, view.dtype, names)
    by_column = not view.flags.c_contiguous
    place = str(file.absolute())
    return _NpyFile(
        str(file),
        place,
        file_sha256(file),
        len(view),
        names,
        True,
        file,
        view.dtype,
        int(view.offset),
        by_column,
        version,
    )


def _named(
    name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], names: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Return the class names of an array, whose shape and type are checked."""
    if len(shape) != 2 or shape[0] < 1 or shape[1] < 2:
        one = "; for two classes, numpy.column_stack([1 - p, p]) makes it of p" if shape[1:] in ((), (1,)) else ""
        raise SourceError(f"{name} has the shape {shape}; [rows, classes], at least 2 classes, is needed{one}")
    if dtype.kind != "f":
        raise SourceError(f"{name} holds {dtype}; probabilities are floats (float16, float32 or float64)")
    if names is None:
        raise SourceError(
            f"{name} has no class names; give the names of its {shape[1]} columns, in order, with `classes`"
        )
    if len(names) != shape[1]:
        raise SourceError(
            f"`classes` has {len(names)} names, but {name} has {shape[1]} columns; give one for each, in order"
        )
    return names


def _table(source: Source, file: Path | None, sha256: str, names: tuple[str, ...] | None) -> Probabilities:
    name = source.name if file is None else str(file)
    columns = list(source.schema.names)
    if numbers := [column for column in columns if is_fraction(column)]:
        raise SourceError(f"{name} has no header, but {numbers[0]!r}; write the class names in its first line")
    if names is not None and set(names) <= set(columns):
        columns, in_order = list(names), False
    elif names is not None:
        refuse_names(name, names, columns)
        in_order = True
    else:
        names, in_order = checked_names(columns), False
    if len(columns) < 2:
        raise SourceError(f"{name} has one column of probabilities; one for each class, at least 2, is needed")
    for column in columns:
        kind = source.schema.field(column).type
        if column in source.unusable or not (_is_number(kind) or _is_text(kind)):
            raise SourceError(
                f"{name} has a column {short(column)!r} of type {short(str(kind))}, which is no probability; "
                "name the columns of the classes with `classes`",
                quotes_data=True,
            )
    place = None if file is None else str(file.absolute())
    return _Columns(name, place, sha256, source.num_rows, names, in_order, source, columns)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def _floats(column: pa.Array) -> Floats:
    """Return a column as float64 [n]; a value that is no number, or is missing, is NaN."""
    try:
        values = pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        values = pa.array(list(map(_float, column.to_pylist())), pa.float64())
    floats: Floats = pc.fill_null(values, float("nan")).to_numpy(zero_copy_only=False)
    return floats


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _version(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _refuse_change(file: Path, version: tuple[int, ...]) -> None:
    if not file.exists() or _version(file) != version:
        raise _changed(file)


def _changed(name: object) -> SourceError:
    return SourceError(f"{name} has changed while it was being read; restore it, or import it into another folder")
