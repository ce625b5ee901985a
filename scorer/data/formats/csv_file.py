"""Read CSV files.

They are read by the standard library, not pyarrow, for two reasons: pyarrow guesses types from the first block, and a
wrong guess would end a run a million rows later; and a text may be longer than any block.
"""

import pyarrow as pa

from scorer.data.arrow import text_array
from scorer.data.filesystem import DataFile
from scorer.data.formats.base import NO_END, Batches, Format, Inspected, Wanted
from scorer.data.formats.chunks import chunk_of, with_problems
from scorer.data.formats.text_files import csv_rows
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError


def _inspect(file: DataFile, options: ReadOptions) -> Inspected:
    rows = csv_rows(file)
    header = next(rows, None)
    if header is None:
        raise SourceError(f"{file} is empty: a CSV file must begin with a line of column names")
    return Inspected(pa.schema([(name, pa.string()) for name in header[0]]), sum(1 for _ in rows))


def _batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    records = csv_rows(file)
    header, _ = next(records)
    picked = [(name, header.index(name)) for name in columns]
    rows = ((record, problem, sum(map(len, record))) for record, problem in records)
    start = 0
    while wanted(start, NO_END) and (chunk := chunk_of(rows)):
        if wanted(start, start + len(chunk)):
            arrays = [
                text_array([None if problem else record[i] or None for record, problem, _ in chunk]) for _, i in picked
            ]
            names = [name for name, _ in picked]
            yield start, with_problems(arrays, names, [problem for _, problem, _ in chunk])
        start += len(chunk)


CSV = Format("CSV", _inspect, _batches, is_text=True)
