"""RunDirectory: ``run.json`` and ``scores/part-00000.parquet`` ..., written so that a kill at any moment loses nothing.

A shard is a fixed range of input rows. It is written beside its place, flushed to disk and renamed; then the
manifest, written the same way, lists it with its SHA-256. A shard that the manifest does not list was cut off in
between and is done again.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scorer.data.source import Source
from scorer.errors import RunError
from scorer.events import event
from scorer.files import file_sha256, write_atomically
from scorer.layout import MANIFEST, SCORES
from scorer.run.history import FINISHED, Stint
from scorer.run.manifest import damaged, read_manifest
from scorer.run.schema import score_schema
from scorer.run.shard_file import read_batches, reading, refuse_size, take_rows, unreadable


@dataclass
class RunDirectory:
    """A run's directory and its manifest; ``stint`` is this process's work on it, None if it only reads.

    ``begun`` says whether an earlier process had finished shards of it.
    """

    path: Path
    manifest: dict[str, Any]
    begun: bool = False
    stint: Stint | None = field(default=None, repr=False, compare=False)
    _compared: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def read(cls, path: str | Path) -> "RunDirectory":
        """Open a run, finished or not.

        Raises:
            RunError: it is not a run directory, is of another format, or damaged.
        """
        return cls(Path(path), read_manifest(Path(path)))

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """Open a run that was scored.

        Raises:
            RunError: it is not a run directory, is of a newer format, damaged, or not finished.
        """
        run = cls.read(path)
        again = "run the same `lossrank score` command again to go on"
        if missing := run.missing_shards():
            done = run.num_shards - len(missing)
            raise RunError(f"{path} is not finished ({done} of {run.num_shards} shards); {again}")
        if run.manifest["options"]["precision"] == "screen" and "screen" not in run.manifest:
            raise RunError(f"{path} is not finished (the worst rows are not scored in fp32 yet); {again}")
        return run

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.manifest["bundle"]["class_names"])

    @property
    def model_name(self) -> str:
        return str(self.manifest["bundle"]["model"])

    @property
    def data_name(self) -> str:
        return str(self.manifest["data"]["name"])

    @property
    def data_fingerprint(self) -> str:
        return str(self.manifest["data"]["fingerprint"])

    @property
    def columns(self) -> dict[str, str | None]:
        return dict(self.manifest["columns"])

    @property
    def num_rows(self) -> int:
        return int(self.manifest["data"]["rows"])

    @property
    def shard_rows(self) -> int:
        return int(self.manifest["options"]["shard_rows"])

    @property
    def batch_tokens(self) -> int:
        return int(self.manifest["options"]["batch_tokens"])

    @property
    def num_shards(self) -> int:
        return -(-self.num_rows // self.shard_rows)

    @property
    def shards(self) -> dict[str, dict[str, Any]]:
        """The finished shards: file name to its ``sha256`` and what was noted of it while it was made."""
        shards: dict[str, dict[str, Any]] = self.manifest["shards"]
        return shards

    def shard_file(self, index: int) -> Path:
        return self.path / SCORES / shard_name(index)

    def sound_shard(self, index: int) -> Path:
        """Return a finished shard's file, whose bytes are compared with its SHA-256 the first time.

        Raises:
            RunError: it is not there, or has changed since it was written.
        """
        file = self.shard_file(index)
        if file.name not in self._compared:
            try:
                whole = file_sha256(file) == self.shards[file.name]["sha256"]
            except (OSError, KeyError) as error:
                raise unreadable(file, error) from error
            if not whole:
                raise unreadable(file, "its bytes have changed since it was written")
            self._compared.add(file.name)
        return file

    def shard_range(self, index: int) -> tuple[int, int]:
        """Return the first row of a shard and the row after its last."""
        return index * self.shard_rows, min((index + 1) * self.shard_rows, self.num_rows)

    def missing_shards(self) -> list[int]:
        return [i for i in range(self.num_shards) if shard_name(i) not in self.shards]

    def write_shard(self, index: int, table: pa.Table, notes: dict[str, Any]) -> None:
        """Write one shard's rows and list it, with notes for the summary, in the manifest.

        Raises:
            RunError: the disk is full or the folder can't be written; what was finished before is whole.
        """
        file = self.shard_file(index)
        write_atomically(file, lambda stream: pq.write_table(table, stream, compression="zstd"))
        start, stop = self.shard_range(index)
        again = file.name in self.shards
        self._compared.discard(file.name)
        self.shards[file.name] = {"sha256": file_sha256(file), **notes}
        if self.stint:
            self.stint.did(0 if again else stop - start)
        self.save()
        event("shard written", file=file.name, first_row=start, rows=stop - start, again=again)

    def finish(self, summary: dict[str, Any]) -> None:
        """Write that the run is done, and what came of it.

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        self.manifest["summary"] = summary
        if self.stint:
            self.stint.end(FINISHED)
        self.save()

    def notes(self, index: int) -> dict[str, Any]:
        """Return what was noted of a finished shard."""
        return {name: value for name, value in self.shards[shard_name(index)].items() if name != "sha256"}

    def save(self) -> None:
        """Write the manifest.

        Raises:
            RunError: the disk is full or the folder can't be written.
        """
        text = json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.path / MANIFEST, lambda stream: stream.write(text.encode()))

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the scores' columns in row order, a shard or a part of a large one at a time.

        Raises:
            RunError: a shard is missing, has changed or can't be read.
        """
        for i in range(self.num_shards):
            start, stop = self.shard_range(i)
            yield from read_batches(self.sound_shard(i), stop - start, columns)

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return all scores of some rows [n], ascending, a table of n rows; only the shards that hold them are read.

        Raises:
            RunError: a shard is missing, has changed, can't be read or hasn't the rows.
        """
        shards = rows // self.shard_rows
        taken = [
            take_rows(self.sound_shard(index), rows[shards == index] - self.shard_range(index)[0])
            for index in np.unique(shards).tolist()
        ]
        return pa.concat_tables(taken) if taken else score_schema(self.class_names).empty_table()

    def read_shard(self, index: int, columns: list[str] | None = None) -> pa.Table:
        """Return one shard's rows, all columns or some.

        Raises:
            RunError: the shard is missing, has changed, can't be read or hasn't the rows it should have.
        """
        file = self.sound_shard(index)
        with reading(file) as shard:
            table = shard.read(columns)
        start, stop = self.shard_range(index)
        refuse_size(file, table.num_rows, stop - start)
        return table


def shard_name(index: int) -> str:
    return f"part-{index:05d}.parquet"


def given_labels(run: RunDirectory, rows: Sequence[int]) -> dict[int, str | None]:
    """Return each row's class name, None of a row without a usable label; only the shards that hold rows are read.

    Raises:
        RunError: there is no such row, or a shard can't be read.
    """
    if strange := [row for row in rows if not 0 <= row < run.num_rows]:
        raise RunError(f"there is no row {strange[0]}; the data has the rows 0 to {run.num_rows - 1}")
    wanted = np.unique(np.array(rows, dtype=np.int64))
    labels = run.take(wanted)["label"].to_pylist()
    names = [None if label is None else run.class_names[label] for label in labels]
    return dict(zip(wanted.tolist(), names, strict=True))


def refuse_columns(run: RunDirectory, source: Source) -> None:
    """Make sure that the data, which is what was scored, has the columns that the run names.

    Raises:
        RunError: it has not.
    """
    for role, name in run.columns.items():
        if name is not None and name not in source.schema.names:
            what = f"it names the {role} column {name!r}, which {source.name} does not have"
            raise damaged(run.path / MANIFEST, what, quotes_data=True)
