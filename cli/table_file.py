"""A table as a file: Parquet, CSV or JSON lines."""

from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from cli.output import json_line
from cli.refusals import refuse_existing
from scorer import RunError
from scorer.files import write_atomically


def check_output(output: Path, force: bool) -> None:
    """Refuse a file that can't be written, before any work is done.

    Raises:
        RunError: the ending is not one of .parquet, .csv, .jsonl, its folder is not there, it is a folder itself, or
            it is there (without ``force``).
    """
    if output.suffix.lower() not in _WRITERS:
        raise RunError(f"{output} must end in {', '.join(_WRITERS)}, which says the format")
    refuse_existing(output, force)


def write_table(table: pa.Table, output: Path) -> None:
    """Write a table as the format its name ends in, whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written.
    """
    write_atomically(output, lambda stream: _WRITERS[output.suffix.lower()](table, stream))


def _write_csv(table: pa.Table, stream: IO[bytes]) -> None:
    for i, column in enumerate(table.schema):
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            values = [None if value is None else json_line(value) for value in table.column(i).to_pylist()]
            table = table.set_column(i, column.name, pa.array(values, pa.string()))
    pa.csv.write_csv(table, stream)


def _write_jsonl(table: pa.Table, stream: IO[bytes]) -> None:
    for record in table.to_pylist():
        stream.write(json_line(record).encode() + b"\n")


_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    ".parquet": lambda table, stream: pq.write_table(table, stream, compression="zstd"),
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
