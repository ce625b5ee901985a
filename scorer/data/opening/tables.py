"""Turn rows in memory into an Arrow table: DataFrames of pandas and polars, lists of dicts, and data of pyarrow."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scorer.data.arrow import text_array
from scorer.errors import SourceError, first_line

_MISSING = ("NAType", "NaTType")  # pandas' values for nothing, which Arrow takes only from a Series


def is_kind(data: object, library: str, *kinds: str) -> bool:
    """Return whether the data is of a library's class; a library that nobody has imported is not imported for it."""
    classes = (getattr(sys.modules.get(library), kind, None) for kind in kinds)
    return isinstance(data, tuple(kind for kind in classes if isinstance(kind, type)))


def is_table(data: object) -> bool:
    """Return whether ``arrow_table`` takes the data, without reading it."""
    rows = isinstance(data, list | tuple) and bool(data) and all(isinstance(row, Mapping) for row in data)
    of_arrow = isinstance(data, pa.Table | pa.RecordBatch | pa.RecordBatchReader)
    return rows or of_arrow or is_kind(data, "pandas", "DataFrame") or is_kind(data, "polars", "DataFrame")


def arrow_table(data: Any) -> pa.Table:
    """Return pyarrow's data, a DataFrame or a list of dicts as a table.

    Rows keep their order; a DataFrame's index is left out. NaN and None become null.

    Raises:
        SourceError: a column has values that Arrow can't hold together.
        SourceError: a RecordBatchReader fails.
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        try:
            return data.read_all()
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"the RecordBatchReader can't be read ({first_line(error)})", quotes_data=not isinstance(error, OSError)
            ) from error
    if is_kind(data, "pandas", "DataFrame"):
        # Column by column, so that an error can name its column, and no name makes pyarrow warn.
        return _table("the DataFrame", data.columns, (data.iloc[:, i] for i in range(data.shape[1])), _pandas_column)
    if is_kind(data, "polars", "DataFrame"):
        return _table("the DataFrame", data.columns, data.get_columns(), _polars_column)
    names = list(dict.fromkeys(name for row in data for name in row))
    return _table("the list of dicts", names, ([row.get(name) for row in data] for name in names), _list_column)


def _table(
    owner: str, names: Iterable[Any], columns: Iterable[Any], convert: Callable[[Any], pa.Array | pa.ChunkedArray]
) -> pa.Table:
    named = [str(name) for name in names]
    arrays = []
    for name, column in zip(named, columns, strict=True):
        try:
            arrays.append(convert(column))
        except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError) as error:
            raise SourceError(
                f"column {name!r} of {owner} can't be read: it has several types, or one that Arrow lacks "
                f"({first_line(error)}); drop it, or give it one type, such as str",
                quotes_data=True,
            ) from error
    return pa.table(arrays, names=named)


def _pandas_column(column: Any) -> pa.Array | pa.ChunkedArray:
    if type(column.dtype).__module__.startswith("numpy") and column.dtype.kind in "iufb":
        column = column.copy()  # Arrow would share the numbers, and a later change of the DataFrame change them
    try:
        return pa.array(column, from_pandas=True)
    except UnicodeEncodeError:
        return _list_column(column.tolist())


def _polars_column(column: Any) -> pa.Array | pa.ChunkedArray:
    if str(column.dtype) == "Object":
        raise TypeError("polars' type Object")  # its Arrow data are addresses in memory
    return column.to_arrow()


def _list_column(values: Sequence[Any]) -> pa.Array | pa.ChunkedArray:
    plain = [None if _is_missing(value) else value for value in values]
    try:
        return pa.array(plain)
    except UnicodeEncodeError:
        if not all(value is None or isinstance(value, str) for value in plain):
            raise
        return text_array(plain)


def _is_missing(value: Any) -> bool:
    # pyarrow can do this too, but imports pandas for it.
    is_nan = isinstance(value, float | np.floating) and bool(np.isnan(value))
    return is_nan or type(value).__name__ in _MISSING
