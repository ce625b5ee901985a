"""RunDirectory: ``run.json`` and ``scores/part-00000.parquet`` ..., written so that a kill loses no finished shard.

A shard is a fixed range of input rows. Its file is written under a temporary name, flushed to disk and renamed. Then
the manifest, written the same way, lists the shard with its SHA-256. If a kill comes between
the two steps, the manifest does not list the shard, and it is scored again. ``RunDirectory`` compares a shard with its
SHA-256 before reading the shard for the first time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import UNSET
from msgspec.structs import replace
from numpy.typing import NDArray

from scorer.errors import RunError
from scorer.events import event
from scorer.files import file_sha256, write_atomically
from scorer.layout import SCORES, windows_file
from scorer.model.calibration import Calibration
from scorer.run.content import digits
from scorer.run.history import FINISHED, MOST, Stint
from scorer.run.manifest import (
    HistoryEntry,
    Machine,
    Manifest,
    RunColumns,
    RunStats,
    ScreenReport,
    ShardInfo,
    ShardNotes,
    UnfinishedShard,
)
from scorer.run.manifest_file import read_manifest, write_manifest
from scorer.run.schema import PARQUET, score_schema
from scorer.run.shard_file import read_batches, reading, refuse_size, take_rows, unreadable


@dataclass
class RunDirectory:
    """A run's directory and its manifest, which changes only through these methods.

    ``begun`` is true if an earlier process had scored rows of the run. ``stint`` is this process's work on the run,
    None if the process only reads the run.
    """

    path: Path
    manifest: Manifest
    begun: bool = False
    stint: Stint | None = field(default=None, repr=False, compare=False)
    _compared: set[str] = field(default_factory=set, repr=False, compare=False)
    _earlier: tuple[HistoryEntry, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Open a run, finished or not.

        Raises:
            RunError: the folder is not a run directory, or a run of another format.
            RunError: the manifest is damaged or can't be read.
        """
        return cls(Path(path), read_manifest(Path(path)))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a finished run.

        Raises:
            RunError: as for ``read``, or the run is not finished.
        """
        run = cls.read(path)
        again = "score again with the same arguments to finish it"
        if missing := run.missing_shards():
            done = run.num_shards - len(missing)
            raise RunError(f"{path} is not finished ({done} of {run.num_shards} shards); {again}")
        if run.awaits_rescoring:
            raise RunError(f"{path} is not finished (the worst rows are not rescored in fp32 yet); {again}")
        return run

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.manifest.origin.class_names

    @property
    def schema(self) -> pa.Schema:
        options = self.manifest.options
        return score_schema(self.class_names, text_hash=options.text_hash is True, top_probs=options.top_probs or None)

    @property
    def model_name(self) -> str:
        return self.manifest.origin.model

    @property
    def data_name(self) -> str:
        return self.manifest.data.name

    @property
    def data_fingerprint(self) -> str:
        return self.manifest.data.fingerprint

    @property
    def content_fingerprint(self) -> str | None:
        """The content of all rows, in 64 hexadecimal digits; None if a shard is missing or has none recorded."""
        if self.missing_shards():
            return None
        contents = [self.shards[shard_name(i)].content for i in range(self.num_shards)]
        return None if UNSET in contents else digits(sum(int(str(content), 16) for content in contents))

    @property
    def columns(self) -> RunColumns:
        return self.manifest.columns

    @property
    def num_rows(self) -> int:
        return self.manifest.data.rows

    @property
    def shard_rows(self) -> int:
        return self.manifest.options.shard_rows

    @property
    def batch_tokens(self) -> int:
        return self.manifest.options.batch_tokens or 0

    @property
    def num_shards(self) -> int:
        return -(-self.num_rows // self.shard_rows)

    @property
    def shards(self) -> Mapping[str, ShardInfo]:
        """The finished shards by file name."""
        return self.manifest.shards

    @property
    def is_screen(self) -> bool:
        """Whether int8 screens all rows and the worst rows are rescored in fp32."""
        return self.manifest.options.is_screen

    @property
    def awaits_rescoring(self) -> bool:
        """Whether the run is a screen whose worst rows are not all rescored in fp32 yet."""
        return self.is_screen and self.manifest.screen is None

    def shard_file(self, index: int) -> Path:
        return self.path / SCORES / shard_name(index)

    def sound_shard(self, index: int) -> Path:
        """Return a finished shard's file; the first call for a shard compares the file with its recorded SHA-256.

        Raises:
            RunError: the shard is missing, can't be read, or has changed since it was written.
        """
        file = self.shard_file(index)
        if file.name not in self._compared:
            try:
                whole = file_sha256(file) == self.shards[file.name].sha256
            except (OSError, KeyError) as error:
                raise unreadable(file, error) from error
            if not whole:
                raise unreadable(file, "its bytes have changed since it was written")
            self._compared.add(file.name)
        return file

    def shard_range(self, index: int) -> tuple[int, int]:
        """Return the first row of a shard and the row after its last row."""
        return index * self.shard_rows, min((index + 1) * self.shard_rows, self.num_rows)

    def missing_shards(self) -> list[int]:
        return [i for i in range(self.num_shards) if shard_name(i) not in self.shards]

    def write_shard(self, index: int, table: pa.Table, notes: ShardNotes) -> None:
        """Write one shard's rows, then list the shard with its notes in the manifest.

        Raises:
            RunError: the disk is full or the folder can't be written; earlier shards stay whole.
        """
        file = self.shard_file(index)
        write_atomically(file, lambda stream: pq.write_table(table, stream, **PARQUET))
        start, stop = self.shard_range(index)
        again = file.name in self.shards
        self._compared.discard(file.name)
        self.manifest.shards[file.name] = ShardInfo(sha256=file_sha256(file), **msgspec.structs.asdict(notes))
        counted = self.kept_windows(index)
        windows = self.manifest.unfinished.pop(file.name, None)
        if self.stint:
            self.stint.did(0 if again else stop - start - counted)
        self.save()
        if windows is not None:
            windows_file(file, windows.rows).unlink(missing_ok=True)
        event("shard written", file=file.name, first_row=start, rows=stop - start, again=again)

    def kept_windows(self, index: int) -> int:
        """Return how many rows of an unfinished shard are kept, in whole windows from its first row on."""
        name = shard_name(index)
        return self.manifest.unfinished[name].rows if name in self.manifest.unfinished else 0

    def list_windows(self, index: int, windows: UnfinishedShard) -> None:
        """List the windows of an unfinished shard, whose file is written (``scorer/run/unfinished.py``).

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        if self.stint:
            self.stint.did(windows.rows - self.kept_windows(index))
        self.manifest.unfinished[shard_name(index)] = windows
        self.save()

    def notes(self, index: int) -> ShardNotes:
        """Return a copy of a finished shard's notes."""
        return self.shards[shard_name(index)].notes

    def begin_stint(self, machine: Machine) -> None:
        """Start this process's entry in the history; ``save`` writes it."""
        self.stint = Stint.begin(machine)
        self._earlier = self.manifest.history

    def set_calibration(self, calibration: Calibration) -> None:
        """Write the batch size that calibration chose for the run.

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        options = replace(self.manifest.options, batch_tokens=calibration.batch_tokens)
        self.manifest = replace(self.manifest, options=options, calibration=calibration)
        self.save()

    def set_screen(self, report: ScreenReport) -> None:
        """Record a screen's report; the next ``save`` writes it."""
        self.manifest = replace(self.manifest, screen=report)

    def set_summary(self, summary: RunStats) -> None:
        """Write a recounted summary; the manifest's screen report is replaced by the one in the summary.

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        self.manifest = replace(self.manifest, summary=summary, screen=summary.screen if self.is_screen else None)
        self.save()

    def finish(self, summary: RunStats) -> None:
        """Write the run's summary and mark this process's history entry as finished.

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        self.manifest = replace(self.manifest, summary=summary)
        if self.stint:
            self.stint.end(FINISHED)
        self.save()

    def with_class_names(self, class_names: tuple[str, ...]) -> Self:
        """Return the same run of a bundle with other class names, for reading only; nothing is written."""
        bundle = None if self.manifest.bundle is None else replace(self.manifest.bundle, class_names=class_names)
        return type(self)(self.path, replace(self.manifest, bundle=bundle))

    def save(self) -> None:
        """Write the manifest.

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        if self.stint:
            self.manifest = replace(self.manifest, history=(*self._earlier, self.stint.entry())[-MOST:])
        write_manifest(self.path, self.manifest)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of the scores in row order; a batch is a shard or a part of a large shard.

        Raises:
            RunError: a shard is missing, can't be read, or has changed since it was written.
        """
        for i in range(self.num_shards):
            start, stop = self.shard_range(i)
            yield from read_batches(self.sound_shard(i), stop - start, columns)

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return a table of the scores of ``rows`` [n], which must ascend; only the shards of these rows are read.

        Raises:
            RunError: a shard is missing, can't be read, has changed since it was written, or lacks some of the rows.
        """
        shards = rows // self.shard_rows
        taken = [
            take_rows(self.sound_shard(index), rows[shards == index] - self.shard_range(index)[0])
            for index in np.unique(shards).tolist()
        ]
        return pa.concat_tables(taken) if taken else self.schema.empty_table()

    def read_shard(self, index: int, columns: list[str] | None = None) -> pa.Table:
        """Return one shard's rows, with all columns or only ``columns``.

        Raises:
            RunError: the shard is missing, can't be read, has changed since it was written, or has other rows.
        """
        file = self.sound_shard(index)
        with reading(file) as shard:
            table = shard.read(columns)
        start, stop = self.shard_range(index)
        refuse_size(file, table.num_rows, stop - start)
        return table


def shard_name(index: int) -> str:
    return f"part-{index:05d}.parquet"
