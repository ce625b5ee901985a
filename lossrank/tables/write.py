"""Write a table to a file: Parquet, CSV or JSON lines."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lossrank.tables.json_values import json_line
from lossrank.tables.values import UNWRITABLE, column_values, raw_records, unwritable
from scorer import RunError
from scorer.files import write_atomically
from scorer.run.protect import refuse_existing


def check_output(output: Path, force: bool) -> None:
    """Raise RunError if a table can't be written to ``output``; call this before any other work.

    Raises:
        RunError: the file's extension is none of .parquet, .csv and .jsonl.
        RunError: ``refuse_existing`` refuses the file, for example because the file exists and ``force`` is false.
    """
    if output.suffix.lower() not in _WRITERS:
        raise RunError(f"{output} must end in one of {', '.join(_WRITERS)}")
    refuse_existing(output, force)


def write_table(table: pa.Table, output: Path) -> None:
    """Write a table to a file atomically; the file's extension determines the format.

    Raises:
        RunError: the disk is full.
        RunError: the folder isn't writable.
        RunError: the format can't hold a column; the message names the column.
    """
    write = _WRITERS[output.suffix.lower()]
    try:
        write_atomically(output, lambda stream: write(table, stream))
    except UNWRITABLE as error:
        raise unwritable(table, lambda part: write(part, io.BytesIO()), f"to {output}", error) from error


def _write_csv(table: pa.Table, stream: IO[bytes]) -> None:
    for i, column in enumerate(table.schema):
        if not any(is_type(column.type) for is_type in _CSV_TYPES):
            values = [_cell(value) for value in column_values(table.column(i))]
            table = table.set_column(i, column.name, pa.array(values, pa.string()))
    pa.csv.write_csv(table, stream)


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json_line(value)


def _write_jsonl(table: pa.Table, stream: IO[bytes]) -> None:
    for record in raw_records(table):
        stream.write(json_line(record).encode() + b"\n")


_CSV_TYPES = (  # types that Arrow can write to CSV
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_null,
)
_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    ".parquet": lambda table, stream: pq.write_table(table, stream, compression="zstd"),
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
