"""Read Parquet, Arrow, CSV and JSON lines files as streams of Arrow record batches in row order.

Every reader has two functions: ``inspect`` returns the schema and counts the rows; ``batches`` yields
``(first row, batch)`` and asks ``wanted(start, stop)`` before it reads a part, so that a resumed run or a join
reads only the row groups it needs, and reads a text file only up to the last wanted row. CSV and JSON lines are read by
the standard library, not pyarrow, for two reasons: pyarrow guesses types from the first block, and a wrong guess would
end a run a million rows later; and a text may be longer than any block.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.data.arrow import text_array
from scorer.data.filesystem import COMPRESSION, READ_AHEAD, DataFile
from scorer.data.text_files import csv_rows, lines, suffixes
from scorer.errors import SourceError
from scorer.text import is_utf8

PROBLEM = "__lossrank_problem__"  # column that text formats add: why the row could not be read, null if it could
_CHUNK = 4096  # rows read at once
_CHUNK_SIZE = 1 << 26  # bytes of Parquet or characters of text read at once; long rows come a few at a time
_SAMPLE = 1000
_UNREAD = (".xz", ".lzma", ".zip", ".7z", ".br", ".sz", ".snappy", ".z")  # compressions that pyarrow can't read
NO_END = 2**62  # more rows than any data has

_Record = TypeVar("_Record")
Wanted = Callable[[int, int], bool]
Batches = Iterator[tuple[int, pa.RecordBatch]]


class Format(NamedTuple):
    """The reader of one file format."""

    name: str
    inspect: Callable[[DataFile], tuple[pa.Schema, int]]
    batches: Callable[[DataFile, list[str], Wanted], Batches]


def format_of(name: str) -> Format | None:
    """Return the reader for a file by its name, or None for an unknown format."""
    found = suffixes(name)
    if found and found[-1] in COMPRESSION:
        found.pop()
        return _TEXT_FORMATS.get(found[-1]) if found else None
    return _FORMATS.get(found[-1]) if found else None


def is_packed(name: str) -> bool:
    """Return whether a file, by its name, has a known format but a compression that can't be read."""
    inner, outer = ["", "", *suffixes(name)][-2:]
    return inner in _FORMATS and (outer in COMPRESSION or outer in _UNREAD) and format_of(name) is None


def is_text_format(name: str) -> bool:
    """Return whether a file, by its name, has a format of which every column is read as text."""
    return format_of(name) in _TEXT_FORMATS.values()


def known_suffixes() -> str:
    """Return a list of the file endings that can be read, for an error message."""
    return ", ".join(sorted(_FORMATS)) + f" (text formats also with {', '.join(COMPRESSION)})"


def _parquet_inspect(file: DataFile) -> tuple[pa.Schema, int]:
    with file.open() as stream, pq.ParquetFile(stream) as parquet:
        return parquet.schema_arrow, int(parquet.metadata.num_rows)


def _parquet_batches(file: DataFile, columns: list[str], wanted: Wanted) -> Batches:
    # A buffer streams each column: a row group may be larger than memory.
    with file.open() as stream, pq.ParquetFile(stream, buffer_size=READ_AHEAD, pre_buffer=False) as parquet:
        start = 0
        for group in range(parquet.num_row_groups):
            found = parquet.metadata.row_group(group)
            stop = start + found.num_rows
            if wanted(start, stop):
                row = start
                size = min(_CHUNK, max(1, _CHUNK_SIZE * found.num_rows // max(1, found.total_byte_size)))
                for batch in parquet.iter_batches(size, row_groups=[group], columns=columns, use_threads=False):
                    yield row, batch
                    row += len(batch)
            start = stop


def _ipc_batches_of(stream: pa.NativeFile, fields: list[int]) -> Iterator[pa.RecordBatch]:
    """Read some fields of an Arrow file or an Arrow stream, which `datasets` writes; the content shows which it is."""
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    stream.seek(0)
    if stream.read(6) == b"ARROW1":
        reader = pa.ipc.open_file(stream, options=options)
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    stream.seek(0)
    return iter(pa.ipc.open_stream(stream, options=options))


def _ipc_schema(stream: pa.NativeFile) -> pa.Schema:
    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(stream).schema


def _ipc_inspect(file: DataFile) -> tuple[pa.Schema, int]:
    with file.open() as stream:
        return _ipc_schema(stream), sum(len(batch) for batch in _ipc_batches_of(stream, [0]))


def _ipc_batches(file: DataFile, columns: list[str], wanted: Wanted) -> Batches:
    with file.open() as stream:
        names = _ipc_schema(stream).names
        start = 0
        for whole in _ipc_batches_of(stream, [names.index(name) for name in columns]):
            for at in range(0, len(whole), _CHUNK):
                batch = whole.slice(at, _CHUNK)
                if wanted(start + at, start + at + len(batch)):
                    yield start + at, batch.select(columns)
            start += len(whole)


def _csv_inspect(file: DataFile) -> tuple[pa.Schema, int]:
    rows = csv_rows(file)
    header = next(rows, None)
    if header is None:
        raise SourceError(f"{file} is empty: a CSV file must begin with a line of column names")
    return pa.schema([(name, pa.string()) for name in header[0]]), sum(1 for _ in rows)


def _csv_batches(file: DataFile, columns: list[str], wanted: Wanted) -> Batches:
    records = csv_rows(file)
    header, _ = next(records)
    picked = [(name, header.index(name)) for name in columns]
    rows = ((record, problem, sum(map(len, record))) for record, problem in records)
    start = 0
    while wanted(start, NO_END) and (chunk := _chunk(rows)):
        if wanted(start, start + len(chunk)):
            arrays = [
                text_array([None if problem else record[i] or None for record, problem, _ in chunk]) for _, i in picked
            ]
            names = [name for name, _ in picked]
            yield start, _with_problems(arrays, names, [problem for _, problem, _ in chunk])
        start += len(chunk)


def _chunk(rows: Iterator[tuple[_Record, str | None, int]]) -> list[tuple[_Record, str | None, int]]:
    """Take the next ``(record, problem, characters)`` rows, as many as may be in memory at once."""
    chunk = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += row[2]
        if len(chunk) >= _CHUNK or characters >= _CHUNK_SIZE:
            break
    return chunk


def _jsonl_rows(file: DataFile) -> Iterator[tuple[dict[str, Any], str | None, int]]:
    """Yield ``(record, problem or None, characters in the line)`` for every line that is not blank."""
    for number, line in enumerate(lines(file), start=1):
        if line.isspace():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield {}, f"{file.name} line {number}: not JSON ({error})", len(line)
            continue
        if isinstance(record, dict):
            yield record, None, len(line)
        elif number == 1:
            raise SourceError(
                f"{file} is not JSON lines: line 1 is a {type(record).__name__}, not an object; write one object a "
                "line (pandas: to_json(orient='records', lines=True))"
            )
        else:
            yield {}, f"{file.name} line {number}: a {type(record).__name__}, not an object", len(line)


def _jsonl_inspect(file: DataFile) -> tuple[pa.Schema, int]:
    rows = _jsonl_rows(file)
    # Texts are replaced by empty ones: types don't depend on them, and a thousand texts may be larger than memory.
    sample = [
        {name: "" if isinstance(value, str) else value for name, value in record.items()}
        for record, _, _ in islice(rows, _SAMPLE)
    ]
    found = dict.fromkeys(name for record in sample for name in record)
    count = len(sample)
    for record, _, _ in rows:  # a name may occur late; types are guessed from the sample only
        found.update(dict.fromkeys(record))
        count += 1
    names = [name for name in found if is_utf8(name)]
    if sample and not names:
        raise SourceError(
            f"{file} is not JSON lines: none of its first {len(sample)} lines is an object with a key; write "
            "one object a line (pandas: to_json(orient='records', lines=True))"
        )
    return pa.schema([(name, _infer([record.get(name) for record in sample])) for name in names]), count


def _infer(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pa.string()  # surrogates of invalid UTF-8 would make pyarrow raise
    try:
        return pa.infer_type(values)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return pa.string()


def _jsonl_batches(file: DataFile, columns: list[str], wanted: Wanted) -> Batches:
    """Yield every column as text, and values that aren't text as JSON, so that a mix of types can't fail."""
    rows = _jsonl_rows(file)
    start = 0
    while wanted(start, NO_END) and (chunk := _chunk(rows)):
        if wanted(start, start + len(chunk)):
            arrays = [text_array([_as_text(record.get(name)) for record, _, _ in chunk]) for name in columns]
            yield start, _with_problems(arrays, columns, [problem for _, problem, _ in chunk])
        start += len(chunk)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _with_problems(arrays: list[pa.Array], names: list[str], problems: list[str | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*arrays, pa.array(problems, pa.string())], [*names, PROBLEM])


_PARQUET = Format("Parquet", _parquet_inspect, _parquet_batches)
_IPC = Format("Arrow", _ipc_inspect, _ipc_batches)
_CSV = Format("CSV", _csv_inspect, _csv_batches)
_JSONL = Format("JSON lines", _jsonl_inspect, _jsonl_batches)
_TEXT_FORMATS = {".csv": _CSV, ".tsv": _CSV, ".jsonl": _JSONL, ".ndjson": _JSONL, ".json": _JSONL}
_FORMATS = {".parquet": _PARQUET, ".pq": _PARQUET, ".arrow": _IPC, ".feather": _IPC, ".ipc": _IPC, **_TEXT_FORMATS}
