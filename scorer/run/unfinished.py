"""The finished windows of an unfinished shard, kept in a hidden file, so that an interrupted run goes on after them.

The file is an Arrow file with a record batch per window, because the bytes of the finished shard depend on how its rows
are cut. Its name has the number of its rows: a longer file is written and listed in the manifest before the shorter one
is removed, so whichever of the two the manifest lists is there after a kill.
"""

import contextlib
import io

import pyarrow as pa
from msgspec.structs import replace

from scorer.files import file_sha256, write_atomically
from scorer.layout import windows_file
from scorer.run.directory import RunDirectory, shard_name
from scorer.run.manifest import Manifest, ShardNotes, UnfinishedShard
from scorer.run.shard_file import unreadable


def write_windows(run: RunDirectory, index: int, tables: list[pa.Table], notes: ShardNotes) -> None:
    """Write the first windows of a shard, each a table, and list them with their notes in the manifest.

    Raises:
        RunError: the disk is full or the folder can't be written; what was kept before stays whole.
    """
    rows, before = sum(map(len, tables)), run.kept_windows(index)
    file = windows_file(run.shard_file(index), rows)
    content = io.BytesIO()
    with pa.ipc.new_file(content, tables[0].schema) as stream:
        for table in tables:
            stream.write_table(table.combine_chunks())
    write_atomically(file, lambda stream: stream.write(content.getbuffer()))
    run.list_windows(index, UnfinishedShard(rows=rows, sha256=file_sha256(file), notes=notes))
    if before and before != rows:
        with contextlib.suppress(OSError):  # the next start removes it
            windows_file(run.shard_file(index), before).unlink()


def read_windows_of(run: RunDirectory, index: int) -> tuple[list[pa.Table], ShardNotes]:
    """Return the kept windows of an unfinished shard, each a table, and a copy of their notes; empty if none are kept.

    Raises:
        RunError: the file is missing or can't be read.
    """
    rows = run.kept_windows(index)
    if not rows:
        return [], ShardNotes()
    file = windows_file(run.shard_file(index), rows)
    try:
        with pa.ipc.open_file(pa.py_buffer(file.read_bytes())) as stream:
            tables = [pa.Table.from_batches([stream.get_batch(i)]) for i in range(stream.num_record_batches)]
    except (OSError, pa.ArrowException) as error:
        raise unreadable(file, error) from error
    return tables, replace(run.manifest.unfinished[shard_name(index)].notes)


def whole_windows(run: RunDirectory, old: Manifest) -> dict[str, UnfinishedShard]:
    """Return the windows listed in a manifest whose files have the recorded SHA-256, of shards that ``run`` lacks."""
    kept = {}
    for index in run.missing_shards():
        name = shard_name(index)
        if (windows := old.unfinished.get(name)) is not None and _holds(run, index, windows):
            kept[name] = windows
    return kept


def _holds(run: RunDirectory, index: int, windows: UnfinishedShard) -> bool:
    file = windows_file(run.shard_file(index), windows.rows)
    return file.is_file() and file_sha256(file) == windows.sha256
