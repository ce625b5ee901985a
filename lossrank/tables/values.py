"""Convert a table's values to types that JSON and CSV can represent, for any column type and without pandas.

Arrow formats dates and times, because Python lacks nanoseconds, years after 9999 and some time zones.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from scorer import RunError

UNWRITABLE = (pa.ArrowException, ValueError, TypeError, OverflowError)  # raised by values that a format can't hold
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def records(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table's rows as dictionaries [table.num_rows], which ``json_values.plain`` converts to JSON.

    Raises:
        RunError: a column has a type that JSON can't hold; the message names the column.
    """
    try:
        return raw_records(table)
    except UNWRITABLE as error:
        raise unwritable(table, raw_records, "as JSON", error) from error


def raw_records(table: pa.Table) -> list[dict[str, Any]]:
    """Return the same as ``records``, but raise one of ``UNWRITABLE`` instead of RunError."""
    columns = [column_values(column) for column in table.columns]
    rows = zip(*columns, strict=True)
    return [dict(zip(table.column_names, row, strict=True)) for row in rows]


def unwritable(table: pa.Table, write: Callable[[pa.Table], Any], where: str, error: Exception) -> RunError:
    """Return the error for a table that ``write`` can't write; the message names the first such column."""
    what = "the table"
    for i, column in enumerate(table.schema):
        try:
            write(table.select([i]))
        except UNWRITABLE as column_error:
            what, error = f"column {column.name!r}, of type {column.type},", column_error
            break
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return RunError(
        f"{what} can't be written {where} ({reason}); choose another format, or cast the column in the data to another "
        "type and score the data again",
        quotes_data=True,
    )


def column_values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values, with dates, times, durations and UUIDs as strings, including those in nested types."""
    return [value for chunk in column.chunks for value in _values(chunk)]


def _values(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _values(array.dictionary_decode())
    if isinstance(kind, pa.UuidType):
        return [None if value is None else str(value) for value in array.to_pylist()]
    if isinstance(kind, pa.BaseExtensionType):
        return _values(array.storage)
    if pa.types.is_interval(kind):
        return [None if value is None else _interval(*value) for value in array.to_pylist()]
    if pa.types.is_duration(kind):
        return [None if value is None else _span(value, kind.unit) for value in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_temporal(kind):
        return _moments(array)
    if _is_plain(kind) or pa.types.is_union(kind):
        return list(array.to_pylist())
    if pa.types.is_struct(kind):
        return _structs(array)
    rows = [None if row.values is None else _values(row.values) for row in array]
    if pa.types.is_map(kind):
        return [None if row is None else [list(entry.values()) for entry in row] for row in rows]
    return rows


def _is_plain(kind: pa.DataType) -> bool:
    """Return whether ``to_pylist`` suits a type: no part of the type is temporal, a dictionary or an extension."""
    if pa.types.is_temporal(kind) or pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        return False
    return all(_is_plain(kind.field(i).type) for i in range(kind.num_fields))


def _structs(array: pa.StructArray) -> list[dict[str, Any] | None]:
    names = [field.name for field in array.type]
    columns = [_values(array.field(i)) for i in range(len(names))]
    rows = zip(array.is_valid().to_pylist(), *columns, strict=True)
    return [dict(zip(names, row, strict=True)) if valid else None for valid, *row in rows]


def _moments(array: pa.Array) -> list[str | int | None]:
    """Return dates and times in ISO 8601, in UTC if the type has a time zone.

    A value that is out of Arrow's range is returned as its raw integer.
    """
    kind = array.type
    numbers = array.view(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
    zone = "Z" if pa.types.is_timestamp(kind) and kind.tz else ""
    if zone:
        array = array.cast(pa.timestamp(kind.unit))  # Arrow stores UTC, so the zone need not be known
    texts = array.cast(pa.string()).to_pylist()
    return [
        None if text is None else number if text.startswith("<") else _iso(text) + zone
        for text, number in zip(texts, numbers, strict=True)
    ]


def _iso(text: str) -> str:
    return re.sub(r"\.0+$", "", text.replace(" ", "T"))


def _span(value: int, unit: str) -> str:
    return f"PT{Decimal(value).scaleb(-_DIGITS[unit]):f}S"


def _interval(months: int, days: int, nanoseconds: int) -> str:
    return f"P{months}M{days}D{_span(nanoseconds, 'ns').removeprefix('P')}"
