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

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.bundle import file_sha256
from scorer.errors import RunError
from scorer.events import event
from scorer.files import reporting, write_atomically
from scorer.history import FINISHED, MOST, Stint, closed, reason
from scorer.lock import LOCK, locked
from scorer.manifest import FORMAT, MANIFEST, read_manifest, refuse_many_shards
from scorer.reading import read_batches, refuse_size, unreadable

SCORES = "scores"
# What a run directory and its scores hold, whatever is in it; reviewing a run leaves a database there.
_OURS = re.compile(rf"{re.escape(LOCK)}|{re.escape(MANIFEST)}|{SCORES}|review\.sqlite(-\w+)?")
_IN_SCORES = re.compile(r"part-\d{5,}\.parquet")
# What must be the same for a run to go on; the rest of the manifest is a record.
_COMPARED = ("bundle", "data", "columns", "labels", "options")
_IDENTITY = ("sha256", "fingerprint", "rows")  # of bundle and data, wherever they lie


@dataclass
class RunDirectory:
    """A run's directory and its manifest; ``stint`` is this process's work on it, None if it only reads.

    ``begun`` says whether an earlier process had finished shards of it.
    """

    path: Path
    manifest: dict[str, Any]
    begun: bool = False
    stint: Stint | None = field(default=None, repr=False, compare=False)

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
            RunError: a shard is missing or can't be read.
        """
        for i in range(self.num_shards):
            start, stop = self.shard_range(i)
            yield from read_batches(self.shard_file(i), stop - start, columns)

    def read_shard(self, index: int, columns: list[str] | None = None) -> pa.Table:
        """Return one shard's rows, all columns or some.

        Raises:
            RunError: the shard is missing, can't be read or hasn't the rows it should have.
        """
        file = self.shard_file(index)
        try:
            table = pq.read_table(file, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(file, error) from error
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
    with reporting(path):
        if not _is_ours(path):
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
    if begun and (different := _differences(old, plan)):
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
    stale = [file for file in (path / SCORES).glob("part-*.parquet") if file.name not in shards]
    for leftover in [*stale, *path.glob(".*.tmp"), *(path / SCORES).glob(".*.tmp")]:
        leftover.unlink()
    return run


def _holds(file: Path, shard: dict[str, Any]) -> bool:
    return file.is_file() and file_sha256(file) == shard["sha256"]


def _machines(old: dict[str, Any], plan: dict[str, Any]) -> list[Any]:
    """Return the machines and versions that worked on a run, in order, this one last."""
    before = [machine for machine in old.get("machines", []) if machine != plan["machine"]] if old.get("shards") else []
    return [*before, plan["machine"]]


def _is_ours(path: Path) -> bool:
    """Say whether a path may be written to: nothing there, an empty folder, or a run, if perhaps a damaged one."""
    if not path.is_dir():
        return not path.exists()
    names = _names(path)
    if MANIFEST not in names:
        return names <= {LOCK}
    if all(map(_OURS.fullmatch, names)) and all(map(_IN_SCORES.fullmatch, _names(path / SCORES))):
        return True
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    # One of them may be missing: a damaged run is ours too.
    return isinstance(manifest, dict) and len({"format", "bundle", "data", "options", "shards"} & set(manifest)) > 3


def _names(folder: Path) -> set[str]:
    """Return what is in a folder, if it is one, but for what a write that was cut off left."""
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(".tmp")} if folder.is_dir() else set()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Say what differs between two runs' plans, each as ``what: the run's there, the new one's here``."""
    found = []
    for part in _COMPARED:
        before, now = _flat(old.get(part)), _flat(new[part])
        for key in dict.fromkeys([*before, *now]):
            if before.get(key) != now.get(key) and not (part in ("bundle", "data") and key not in _IDENTITY):
                found.append(f"{part} {key} is {_short(before.get(key))} there, {_short(now.get(key))} here")
    return found


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested part's values by path, such as ``map 'world'``."""
    if not isinstance(value, dict):
        return {}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key!r}" if prefix else str(key)
        flat |= _flat(item, f"{name} ") if isinstance(item, dict) else {name: item}
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "..."
