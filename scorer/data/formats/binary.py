"""Read Parquet and Arrow files."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.data.filesystem import READ_AHEAD, DataFile
from scorer.data.formats.base import CHUNK, CHUNK_SIZE, Batches, Format, Inspected, Wanted
from scorer.data.read_options import ReadOptions


def _parquet_inspect(file: DataFile, options: ReadOptions) -> Inspected:
    with file.open() as stream, pq.ParquetFile(stream) as parquet:
        return Inspected(parquet.schema_arrow, int(parquet.metadata.num_rows))


def _parquet_batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    # A buffer streams each column: a row group may be larger than memory.
    with file.open() as stream, pq.ParquetFile(stream, buffer_size=READ_AHEAD, pre_buffer=False) as parquet:
        start = 0
        for number in range(parquet.num_row_groups):
            group = parquet.metadata.row_group(number)
            stop = start + group.num_rows
            if wanted(start, stop):
                row = start
                size = min(CHUNK, max(1, CHUNK_SIZE * group.num_rows // max(1, group.total_byte_size)))
                for batch in parquet.iter_batches(size, row_groups=[number], columns=columns, use_threads=False):
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


def _ipc_inspect(file: DataFile, options: ReadOptions) -> Inspected:
    with file.open() as stream:
        return Inspected(_ipc_schema(stream), sum(len(batch) for batch in _ipc_batches_of(stream, [0])))


def _ipc_batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    with file.open() as stream:
        names = _ipc_schema(stream).names
        start = 0
        for whole in _ipc_batches_of(stream, [names.index(name) for name in columns]):
            for at in range(0, len(whole), CHUNK):
                batch = whole.slice(at, CHUNK)
                if wanted(start + at, start + at + len(batch)):
                    yield start + at, batch.select(columns)
            start += len(whole)


PARQUET = Format("Parquet", _parquet_inspect, _parquet_batches)
ARROW = Format("Arrow", _ipc_inspect, _ipc_batches)
