"""Write the corrected data set: one Parquet file, a folder in the hub's layout, or a `datasets.save_to_disk` folder."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from lossrank.publish.card import write_card
from lossrank.publish.corrected import CorrectedRows
from lossrank.publish.destination import CARD, card_there
from lossrank.publish.save_to_disk import save_to_disk
from scorer import RunError
from scorer.errors import shortage
from scorer.files import folder_written, reporting, write_atomically

PARQUET, SAVED = "parquet", "save_to_disk"
FORMATS = (PARQUET, SAVED)
_GROUP_ROWS, _GROUP_BYTES = 65_536, 64 << 20  # a row group ends at whichever is reached first
SHARD_BYTES = 500_000_000


def write_file(rows: CorrectedRows, out: Path) -> None:
    """Write the corrected data set as one Parquet file; after an error no partial file is left.

    Raises:
        RunError: the disk is full, or ``out`` can't be written.
        RunError: Parquet lacks the type of a column.
        SourceError: the data can't be read.
        SourceError: the data has changed since it was opened.
    """
    with _of_parquet(out):
        write_atomically(out, lambda stream: _write(stream, rows.schema, _groups(rows.batches())))


def write_folder(rows: CorrectedRows, out: Path, split: str, form: str, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the corrected data set and its card as a folder; after an error no partial folder is left.

    ``form`` is ``parquet`` (the hub's layout, with files of about ``shard_bytes``) or ``save_to_disk``. If a folder is
    replaced, the new card keeps the text that people wrote into the old card.

    Raises:
        RunError: the disk is full, or ``out`` can't be written.
        RunError: Parquet lacks the type of a column.
        RunError: the card of the folder to replace can't be read.
        RunError: `datasets` can't save the data.
        SourceError: the data can't be read.
        SourceError: the data has changed since it was opened.
    """
    with _of_parquet(out), reporting(out), folder_written(out) as folder:
        if form == SAVED:
            (folder / "parquet").mkdir()
            _write_shards(rows, folder / "parquet", split, shard_bytes)
            save_to_disk(folder / "parquet", folder, split)
        else:
            (folder / "data").mkdir()
            _write_shards(rows, folder / "data", split, shard_bytes)
        write_card(rows, folder / CARD, split, form, card_there(out))


def _write_shards(rows: CorrectedRows, folder: Path, split: str, shard_bytes: int) -> None:
    """Write one or more files of about ``shard_bytes``; the files are named at the end, when their number is known."""
    groups = _groups(rows.batches())
    files: list[Path] = []
    left: pa.Table | None = next(groups, rows.schema.empty_table())
    while left is not None:
        files.append(folder / f"{len(files)}.part")
        with files[-1].open("xb") as stream, pq.ParquetWriter(stream, rows.schema, compression="zstd") as writer:
            while left is not None:
                writer.write_table(left)
                left = next(groups, None)
                if stream.tell() >= shard_bytes:
                    break
    for i, file in enumerate(files):
        file.rename(folder / f"{split}-{i:05d}-of-{len(files):05d}.parquet")


def _write(stream: IO[bytes], schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for group in groups:
            writer.write_table(group)


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield row groups made of several batches: large enough to read fast, small enough to keep in memory."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + len(batch), size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


@contextlib.contextmanager
def _of_parquet(out: Path) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        if shortage(error):
            raise
        reason = str(error).splitlines()[0]
        raise RunError(f"{out}: the data can't be written as Parquet ({reason}); drop or cast that column") from error
