"""Whether a new run's plan is that of the run that is there: what must be the same for it to go on."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer.errors import RunError
from scorer.files import file_sha256, reporting
from scorer.layout import MANIFEST, SCORES, SHARD, may_hold_run
from scorer.run.directory import RunDirectory
from scorer.run.history import MOST, Stint, closed, reason
from scorer.run.lock import locked
from scorer.run.manifest import FORMAT, read_manifest, refuse_many_shards
from scorer.text import is_utf8

# The rest of the manifest is a record.
_COMPARED = ("bundle", "data", "columns", "labels", "options")
_IDENTITY = ("sha256", "fingerprint", "rows")  # of bundle and data, wherever they lie


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
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
