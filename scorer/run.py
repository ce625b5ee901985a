"""RunDirectory: ``run.json`` and ``scores/part-00000.parquet`` ..., written so that a kill at any moment loses nothing.

A shard is a fixed range of input rows. It is written beside its place, flushed to disk and renamed; then the
manifest, written the same way, lists it with its SHA-256. A shard that the manifest does not list was cut off in
between and is done again.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scorer.bundle import file_sha256
from scorer.errors import RunError
from scorer.events import event
from scorer.files import reporting, write_atomically
from scorer.history import FINISHED, MOST, Stint, closed, reason
from scorer.lines import is_utf8
from scorer.lock import locked
from scorer.manifest import FORMAT, MANIFEST, read_manifest, refuse_many_shards
from scorer.ours import SCORES, SHARD, may_hold_run
from scorer.reading import read_batches, reading, refuse_size, take_rows, unreadable
from scorer.resume import differences
from scorer.shard import score_schema


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


@contextlib.contextmanager
def locked_run(
    path: Path, plan: dict[str, Any], *, overwrite: bool = False, same_batches: bool = False
) -> Iterator[RunDirectory]:
    """Start a run or go on with one, as its only writer; the lock goes with the process, however it ends.

    ``plan`` is the new manifest's content. Finished shards whose hash still holds are kept. With ``same_batches`` a run
    that is gone on with keeps its batch size, whatever the plan says.

    Raises:
        RunError: another process writes the run, the folder holds something else, can't be written, or holds a run
            that differs in bundle, data, columns, labels or options (without ``overwrite``).
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise RunError(f"{path} is an address; a run is written to a folder of this machine, named with -o")
    if not is_utf8(str(path.absolute())):
        raise RunError(f"{str(path.absolute())!r} is not UTF-8; choose another place with -o")
    with reporting(path):
        if not may_hold_run(path):
            raise RunError(f"{path} exists and is not a run directory; choose another place with -o")
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        with reporting(path):
            run = _start(path, plan, overwrite, same_batches)
        try:
            yield run
        except BaseException as error:
            if run.stint:
                run.stint.end(reason(error))
                with contextlib.suppress(RunError):  # a full disk, likely what ended the run
                    run.save()
            raise


def _start(path: Path, plan: dict[str, Any], overwrite: bool, same_batches: bool) -> RunDirectory:
    """Write the manifest before anything else, so that whatever ends the process leaves a run directory behind."""
    refuse_many_shards(plan["data"]["rows"], plan["options"]["shard_rows"])
    old = read_manifest(path) if (path / MANIFEST).exists() and not overwrite else {}
    begun = bool(old.get("shards"))
    if begun and same_batches:
        plan = plan | {"options": plan["options"] | {"batch_tokens": old["options"]["batch_tokens"]}}
    if begun and (different := differences(old, plan)):
        raise RunError(
            f"{path} holds a run that differs: {'; '.join(different)}; give the same to go on, choose another place "
            "with -o, or start anew with --overwrite",
            quotes_data=any(each.startswith(("columns", "labels")) for each in different),
        )
    listed: dict[str, dict[str, Any]] = old.get("shards", {})
    shards = {name: shard for name, shard in listed.items() if _holds(path / SCORES / name, shard)}
    history = closed(old.get("history", []))
    manifest = {"format": FORMAT, **plan, "machines": _machines(old, plan), "shards": shards, "history": history}
    if begun and "calibration" in old:
        manifest["calibration"] = old["calibration"]
    if shards and shards == listed:
        manifest |= {key: old[key] for key in ("screen", "summary") if key in old}
    if plan["options"]["precision"] == "screen" and "screen" not in manifest:
        manifest.pop("summary", None)
    run = RunDirectory(path, manifest, begun)
    if "summary" not in manifest:
        run.stint = Stint.begin(plan["machine"])
        manifest["history"] = [*history, run.stint.entry][-MOST:]
    run.save()
    (path / SCORES).mkdir(exist_ok=True)
    named = [file for file in (path / SCORES).iterdir() if SHARD.fullmatch(file.name)]  # others are not ours
    stale = [file for file in named if file.name not in shards]
    for leftover in [*stale, *path.glob(".*.tmp"), *(path / SCORES).glob(".*.tmp")]:
        leftover.unlink()
    return run


def _holds(file: Path, shard: dict[str, Any]) -> bool:
    return file.is_file() and file_sha256(file) == shard["sha256"]


def _machines(old: dict[str, Any], plan: dict[str, Any]) -> list[Any]:
    """Return the machines and versions that worked on a run, in order, this one last."""
    before = [machine for machine in old.get("machines", []) if machine != plan["machine"]] if old.get("shards") else []
    return [*before, plan["machine"]]
