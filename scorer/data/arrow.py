"""Turn Arrow arrays and types into plain ones: valid text, numpy values, no dictionaries, no views."""

import hashlib
import math
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Number = TypeVar("Number", np.int64, np.float64)
_HASHED_ROWS = 4096


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text, dictionary-encoded text included."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def may_be_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text, or nothing but nulls."""
    return is_text(kind) or pa.types.is_null(plain_type(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds lists."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values; for a dictionary-encoded column, the type of the dictionary's values."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def text_array(values: list[str | None]) -> pa.Array:
    """Return texts as a string array; surrogate-escaped bytes become invalid UTF-8 again, for the row's status."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if value is None else _raw(value) for value in values], pa.binary()).view(pa.string())


def valid_text(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return an array with text bytes that aren't UTF-8 replaced by U+FFFD, also in dictionaries and nested types.

    An array without such bytes is returned unchanged.
    """
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        if isinstance(array, pa.ChunkedArray):
            return pa.chunked_array([valid_text(chunk) for chunk in array.chunks], array.type)
        return _mended(array)
    return array


def _mended(array: pa.Array) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, valid_text(array.storage))
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(array.indices, valid_text(array.dictionary), ordered=kind.ordered)
    if pa.types.is_struct(kind):
        children = [valid_text(array.field(i)) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):  # every kind of list, and maps
        own = array.buffers()[: kind.num_buffers]
        children = [valid_text(array.values)]
        return pa.Array.from_buffers(kind, len(array), own, offset=array.offset, children=children)
    if is_text(kind):
        raw = array.cast(pa.large_binary()).to_pylist()
        return pa.array([None if value is None else value.decode(errors="replace") for value in raw], kind)
    return array


def _raw(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        return value.encode("utf-8", "surrogatepass")


# pyarrow's own conversions to and from numpy import pandas if it is installed. That takes 0.3 s, most of the time of
# a ranking, so the functions below avoid them.


def row_array(rows: NDArray[np.int64]) -> pa.Array:
    """Return row numbers [n] as an Arrow array."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])


def validity(array: pa.Array) -> NDArray[np.bool_]:
    """Return a mask [n] that is true for the values of a number column that are not null."""
    bits = array.buffers()[0] if len(array) else None
    if bits is None:
        return np.ones(len(array), dtype=np.bool_)
    end = array.offset + len(array)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=end, bitorder="little")[array.offset :].astype(np.bool_)


def integers(array: pa.Array, missing: int = -1) -> NDArray[np.int64]:
    """Return the values of a column of integers [n], with ``missing`` for nulls."""
    return np.where(validity(array), _values(array.cast(pa.int64()), np.int64), missing)


def floats(array: pa.Array) -> NDArray[np.float64]:
    """Return the values of a column of floats [n], with NaN for nulls."""
    return np.where(validity(array), _values(array.cast(pa.float64()), np.float64), math.nan)


def _values(array: pa.Array, kind: type[Number]) -> NDArray[Number]:
    data = array.buffers()[1] if len(array) else b""
    return np.frombuffer(data, kind)[array.offset : array.offset + len(array)]


def hash_rows(digest: Any, rows: pa.Table | pa.RecordBatch) -> None:
    """Add rows to a hash; the hash does not depend on how the rows are chunked or sliced."""
    bare = rows.replace_schema_metadata(None)
    for start in range(0, len(bare), _HASHED_ROWS):
        # Dictionaries are decoded because a serialised batch leaves out their values.
        part = bare.slice(start, _HASHED_ROWS).cast(decoded(bare.schema))
        # take() copies the rows: a slice would be serialised with offsets into its parent's buffers.
        taken = part.take(pa.array(np.arange(len(part))))
        for batch in taken.combine_chunks().to_batches() if isinstance(taken, pa.Table) else [taken]:
            digest.update(batch.serialize())


def hash_table(schema: pa.Schema, batches: Iterator[pa.RecordBatch], rows: int) -> str:
    """Return a hash of column names, types and rows, which does not depend on how the rows are chunked."""
    digest = hashlib.sha256(str(schema.remove_metadata()).encode())
    pieces = Pieces(batches)
    for start in range(0, rows, _HASHED_ROWS):
        hash_rows(digest, pieces.take(min(_HASHED_ROWS, rows - start)))
    return digest.hexdigest()


def decoded(schema: pa.Schema) -> pa.Schema:
    """Return a schema in which each dictionary-encoded column has the type of its values."""
    for i, field in enumerate(schema):
        schema = schema.set(i, field.with_type(plain_type(field.type)))
    return schema


def plain_array(array: pa.Array) -> pa.Array:
    """Return the values of an array [n], decoded if they are dictionary-encoded."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with decoded dictionaries, because rows taken from a batch keep its whole dictionary in memory."""
    return pa.RecordBatch.from_arrays(list(map(plain_array, batch.columns)), schema=decoded(batch.schema))


def readable(schema: pa.Schema) -> pa.Schema:
    """Return a schema without views (polars writes them) and run-end encoding, which few pyarrow functions accept."""
    for i, field in enumerate(schema):
        kind = field.type.value_type if pa.types.is_run_end_encoded(field.type) else field.type
        schema = schema.set(i, field.with_type(_without_views(kind)))
    return schema


def _without_views(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_without_views(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_views(field.type)) for field in kind])
    return kind


def _without_runs(array: pa.Array) -> pa.Array:
    """Return the values of a run-end encoded array [n] as a plain array."""
    # pyarrow's run_end_decode supports neither dictionaries nor views.
    values = array.values.cast(_without_views(array.type.value_type))
    places = np.arange(array.offset, array.offset + len(array))
    return values.take(pa.array(np.searchsorted(array.run_ends.to_numpy(), places, side="right")))


class Pieces:
    """A stream of record batches, taken in pieces of any number of rows; at most one batch is kept in memory."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: list[pa.RecordBatch] = []

    def take(self, rows: int) -> pa.Table:
        """Return the next ``rows`` rows (1 or more); return fewer rows only at the end of the stream."""
        taken = []
        while rows:
            batch = self._held.pop() if self._held else next(self._batches, None)
            if batch is None:
                break
            if len(batch) > rows:
                self._held.append(batch.slice(rows))
                batch = batch.slice(0, rows)
            taken.append(batch)
            rows -= len(batch)
        return pa.Table.from_batches(taken)
