"""The files a data set comes in, each read as a stream of Arrow record batches in row order.

Every reader has three functions: ``schema`` (cheap), ``count`` (rows) and ``batches``, which yields
``(first row, batch)`` and asks ``wanted(start, stop)`` before it reads a part, so that a resumed run or a join
reads only the row groups it needs. CSV and JSON lines come from the standard library rather than pyarrow: a type
guessed from the first block must not end a run a million rows later, and a text may be longer than any block.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.columns import is_text
from scorer.errors import SourceError

PROBLEM = "__lossrank_problem__"  # a column of text formats: why a row could not be read, else null
_CHUNK = 4096
_SAMPLE = 1000
_END = "\0 end of file"  # read after a CSV file's last line: a quote left open swallows it
_MOST_LINES = 10_000  # of one CSV record
_COMPRESSION = (".gz", ".bz2", ".zst", ".lz4")

Wanted = Callable[[int, int], bool]
Batches = Iterator[tuple[int, pa.RecordBatch]]


class Format(NamedTuple):
    """How one kind of file is read."""

    name: str
    schema: Callable[[Path], pa.Schema]
    count: Callable[[Path], int]
    batches: Callable[[Path, list[str] | None, Wanted], Batches]


def format_of(path: Path) -> Format | None:
    """Return the reader for a file by its name, or None for a file of another kind."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSION:
        suffixes.pop()
        return _TEXT_FORMATS.get(suffixes[-1]) if suffixes else None
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def is_text_format(path: Path) -> bool:
    """Say whether a file's columns are read as text, whatever they hold."""
    return format_of(path) in _TEXT_FORMATS.values()


def known_suffixes() -> str:
    """Return the endings that can be read, for an error message."""
    return ", ".join(sorted(_FORMATS)) + f" (text formats also with {', '.join(_COMPRESSION)})"


def _parquet_schema(path: Path) -> pa.Schema:
    return pq.read_schema(path)


def _parquet_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _parquet_batches(path: Path, columns: list[str] | None, wanted: Wanted) -> Batches:
    with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            if wanted(start, stop):
                row = start
                for batch in file.iter_batches(_CHUNK, row_groups=[group], columns=columns, use_threads=False):
                    yield row, batch
                    row += len(batch)
            start = stop


def _ipc_reader(path: Path) -> Any:
    """Open an Arrow file or, as `datasets` writes it, an Arrow stream: both are memory-mapped and told by content."""
    source = pa.memory_map(str(path))
    if source.read(6) == b"ARROW1":
        return pa.ipc.open_file(source)
    source.seek(0)
    return pa.ipc.open_stream(source)


def _ipc_schema(path: Path) -> pa.Schema:
    return _ipc_reader(path).schema


def _ipc_count(path: Path) -> int:
    return sum(len(batch) for _, batch in _ipc_batches(path, [], lambda start, stop: True))


def _ipc_batches(path: Path, columns: list[str] | None, wanted: Wanted) -> Batches:
    reader = _ipc_reader(path)
    is_file = isinstance(reader, pa.ipc.RecordBatchFileReader)
    parts = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else iter(reader)
    start = 0
    for batch in parts:
        if wanted(start, start + len(batch)):
            yield start, (batch.select(columns) if columns else batch)
        start += len(batch)


def _open_text(path: Path) -> io.TextIOWrapper:
    # surrogateescape carries bytes that aren't UTF-8 through to the row they belong to.
    raw = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv_rows(path: Path) -> Iterator[tuple[list[str], str | None]]:
    """Yield the header, then every record with what is wrong with it, or None.

    Raises:
        SourceError: the header can't be used, or a quote that is opened is not closed, so that the lines after it
            would all become one text. The rows are counted before a run starts, so it is told before.
    """
    csv.field_size_limit(2**31 - 1)
    delimiter = "\t" if ".tsv" in (suffix.lower() for suffix in path.suffixes) else ","
    with _open_text(path) as stream:
        reader = csv.reader(chain(stream, [_END]), delimiter=delimiter)
        header: list[str] | None = None
        last = 0
        for record in reader:
            begins, last = last + 1, reader.line_num
            if record == [_END]:
                return
            if record and (_END in record[-1] or last - begins > _MOST_LINES):
                ends = "is never closed" if _END in record[-1] else f"is not closed for {last - begins:,} lines"
                raise SourceError(
                    f"{path} line {begins}: a quote that opens in this record {ends}; close it, or double it "
                    '("") where it is part of the text'
                )
            if not record:
                continue
            if header is None:
                header = record
                if not all(_is_utf8(name) for name in header):
                    raise SourceError(f"{path} has column names that aren't UTF-8: {header}; save the file as UTF-8")
                yield header, None
            elif len(record) != len(header):
                yield record, f"{path.name} line {reader.line_num}: {len(record)} fields, not {len(header)}"
            else:
                yield record, None


def _csv_schema(path: Path) -> pa.Schema:
    header = next(_csv_rows(path), None)
    if header is None:
        raise SourceError(f"{path} is empty: a CSV file needs a line of column names")
    return pa.schema([(name, pa.string()) for name in header[0]])


def _csv_count(path: Path) -> int:
    return sum(1 for _ in _csv_rows(path)) - 1


def _csv_batches(path: Path, columns: list[str] | None, wanted: Wanted) -> Batches:
    rows = _csv_rows(path)
    header, _ = next(rows)
    picked = [(name, header.index(name)) for name in columns or header]
    start = 0
    while chunk := list(islice(rows, _CHUNK)):
        if wanted(start, start + len(chunk)):
            arrays = [
                text_array([None if problem else record[i] or None for record, problem in chunk]) for _, i in picked
            ]
            names = [name for name, _ in picked]
            yield start, _with_problems(arrays, names, [problem for _, problem in chunk])
        start += len(chunk)


def _jsonl_rows(path: Path) -> Iterator[tuple[dict[str, Any], str | None]]:
    with _open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if line.isspace():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield {}, f"{path.name} line {number}: not JSON ({error})"
                continue
            if isinstance(record, dict):
                yield record, None
            elif number == 1:
                raise SourceError(f"{path} is not JSON lines: line 1 is a {type(record).__name__}, not an object")
            else:
                yield {}, f"{path.name} line {number}: a {type(record).__name__}, not an object"


def _jsonl_schema(path: Path) -> pa.Schema:
    rows = _jsonl_rows(path)
    sample = [record for record, _ in islice(rows, _SAMPLE)]
    found = dict.fromkeys(name for record in sample for name in record)
    for record, _ in rows:  # a name may turn up late, its type is guessed from the sample
        found.update(dict.fromkeys(record))
    names = [name for name in found if _is_utf8(name)]
    if sample and not names:
        raise SourceError(
            f"{path} is not JSON lines: none of its first {len(sample)} lines is an object with a name in it; write "
            "one object a line (pandas: to_json(orient='records', lines=True))"
        )
    return pa.schema([(name, _infer([record.get(name) for record in sample])) for name in names])


def _infer(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pa.string()  # surrogates of invalid UTF-8 would make pyarrow raise
    try:
        return pa.infer_type(values)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return pa.string()


def _jsonl_count(path: Path) -> int:
    with _open_text(path) as stream:
        return sum(1 for line in stream if not line.isspace())


def _jsonl_batches(path: Path, columns: list[str] | None, wanted: Wanted) -> Batches:
    """Yield every column as text: values that aren't strings as their JSON, so that no mix of types can fail."""
    names = columns or _jsonl_schema(path).names
    rows = _jsonl_rows(path)
    start = 0
    while chunk := list(islice(rows, _CHUNK)):
        if wanted(start, start + len(chunk)):
            arrays = [text_array([_as_text(record.get(name)) for record, _ in chunk]) for name in names]
            yield start, _with_problems(arrays, names, [problem for _, problem in chunk])
        start += len(chunk)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def text_array(values: list[str | None]) -> pa.Array:
    """Make a string array; escaped bytes of invalid UTF-8 go in as they were, for the row's status to tell."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if value is None else _raw(value) for value in values], pa.binary()).view(pa.string())


def valid_text(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return an array with bytes that aren't UTF-8 replaced by U+FFFD; one that doesn't hold text as it is."""
    if is_text(array.type) and not pa.types.is_dictionary(array.type):
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            raw = array.cast(pa.large_binary()).to_pylist()
            return pa.array([None if value is None else value.decode(errors="replace") for value in raw], array.type)
    return array


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        return value.encode("utf-8", "surrogatepass")


def _with_problems(arrays: list[pa.Array], names: list[str], problems: list[str | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*arrays, pa.array(problems, pa.string())], [*names, PROBLEM])


_PARQUET = Format("Parquet", _parquet_schema, _parquet_count, _parquet_batches)
_IPC = Format("Arrow", _ipc_schema, _ipc_count, _ipc_batches)
_CSV = Format("CSV", _csv_schema, _csv_count, _csv_batches)
_JSONL = Format("JSON lines", _jsonl_schema, _jsonl_count, _jsonl_batches)
_TEXT_FORMATS = {".csv": _CSV, ".tsv": _CSV, ".jsonl": _JSONL, ".ndjson": _JSONL, ".json": _JSONL}
_FORMATS = {".parquet": _PARQUET, ".pq": _PARQUET, ".arrow": _IPC, ".feather": _IPC, ".ipc": _IPC, **_TEXT_FORMATS}
