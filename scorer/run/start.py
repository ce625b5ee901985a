"""Start a run, or resume one whose bundle, data, columns, labels and options are the same.

The data of a resumed run is the same if its fingerprint is, or if the finished shards have the content of its rows: a
run of a table may be resumed with a file that has the same rows, and the reverse.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from scorer.data.source import Source
from scorer.errors import RunError
from scorer.files import file_sha256, reporting
from scorer.layout import MANIFEST, SCORES, SHARD, WINDOWS, may_hold_run, windows_file
from scorer.run.directory import RunDirectory
from scorer.run.history import closed, reason
from scorer.run.lock import locked
from scorer.run.manifest import Machine, Manifest, ShardInfo
from scorer.run.manifest_file import read_manifest, refuse_newer_settings
from scorer.run.reopened import difference, has_content
from scorer.run.unfinished import whole_windows
from scorer.text import is_utf8

# The rest of the manifest records what happened and may differ.
_COMPARED = ("bundle", "data", "columns", "labels", "options")
_IDENTITY = ("sha256", "fingerprint", "rows")  # what identifies bundle and data, whose folders may have moved


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Return what differs between a run and a new plan, each as ``NAME is OLD in the run, NEW now``."""
    found = []
    for part in _COMPARED:
        both = (getattr(manifest, part) for manifest in (old, new))  # a run without labels has no part for them
        before, now = ({} if recorded is None else _flat(recorded.to_dict()) for recorded in both)
        for key in dict.fromkeys([*before, *now]):
            compared = key in _IDENTITY if part in ("bundle", "data") else (part, key) != ("labels", "how")
            if compared and before.get(key) != now.get(key):
                found.append(f"{part} {key} is {_short(before.get(key))} in the run, {_short(now.get(key))} now")
    return found


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of a manifest's part by their paths, such as ``map 'world'``."""
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
    path: Path, plan: Manifest, source: Source, *, overwrite: bool = False, same_batches: bool = False
) -> Iterator[RunDirectory]:
    """Start or resume a run as its only writer; the lock ends with the process, however the process ends.

    ``plan`` is the manifest of a new run over ``source``. Finished shards whose SHA-256 is still right are kept. With
    ``same_batches`` a resumed run keeps its batch size instead of the plan's.

    Raises:
        RunError: another process writes the run.
        RunError: the path is an address or is not UTF-8.
        RunError: the folder holds something other than a run, or can't be written.
        RunError: the run's manifest is damaged or of another format (without ``overwrite``).
        RunError: the run differs in bundle, data, columns, labels or options (without ``overwrite``).
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise RunError(f"{path} is an address; give a folder on this machine as `output`")
    if not is_utf8(str(path.absolute())):
        raise RunError(f"{str(path.absolute())!r} is not UTF-8; give another folder as `output`")
    with reporting(path):
        if not may_hold_run(path):
            raise RunError(f"{path} exists and is not a run directory; give another folder as `output`")
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        with reporting(path):
            run = _start(path, plan, source, overwrite, same_batches)
        try:
            yield run
        except BaseException as error:
            if run.stint:
                run.stint.end(reason(error))
                with contextlib.suppress(RunError):  # a full disk is likely what ended the run
                    run.save()
            raise


def _start(path: Path, plan: Manifest, source: Source, overwrite: bool, same_batches: bool) -> RunDirectory:
    """Return the new or resumed run; the manifest is written first, so that a kill leaves a run directory."""
    old = read_manifest(path) if (path / MANIFEST).exists() and not overwrite else None
    if old is not None:
        history = closed(old.history)
        resumed = plan
        if same_batches:
            resumed = replace(plan, options=replace(plan.options, batch_tokens=old.options.batch_tokens))
        if not old.shards and (not old.unfinished or differences(old, resumed)):
            old, plan = None, replace(plan, history=history)  # no shard is lost
        else:
            plan = resumed
    if old is not None:
        refuse_newer_settings(path, old)
        old, plan = _with_same_data(path, old, plan, source)
    if old is not None and (different := differences(old, plan)):
        raise RunError(
            f"{path} holds another run: {'; '.join(different)}; give the same arguments to resume it, another "
            "folder as `output`, or `overwrite=True` to start again",
            quotes_data=any(difference.startswith(("columns", "labels")) for difference in different),
        )
    run = RunDirectory(path, plan if old is None else _continued(path, old, plan), begun=old is not None)
    if run.manifest.summary is None:
        run.begin_stint(plan.machine or Machine())
    run.save()
    (path / SCORES).mkdir(exist_ok=True)
    named = [file for file in (path / SCORES).iterdir() if SHARD.fullmatch(file.name)]  # other files are the user's
    stale = [file for file in named if file.name not in run.shards]
    listed = {windows_file(path / SCORES / name, part.rows) for name, part in run.manifest.unfinished.items()}
    windows = [file for file in (path / SCORES).iterdir() if WINDOWS.fullmatch(file.name) and file not in listed]
    for leftover in [*stale, *windows, *path.glob(".*.tmp"), *(path / SCORES).glob(".*.tmp")]:
        leftover.unlink()
    return run


def _with_same_data(path: Path, old: Manifest, plan: Manifest, source: Source) -> tuple[Manifest, Manifest]:
    """Return the run's manifest and the plan with one record of the data, if ``source`` has the rows that were scored.

    If every shard is listed, all rows are compared. The run then keeps its fingerprint, by which review tools name its
    records, and its place, unless it was memory. Otherwise the rest of the rows will be those of ``source``, so the run
    becomes a run of ``source``.
    """
    run = RunDirectory(path, old)
    place = old.data if old.data.spec.locations else plan.data
    known = replace(place, fingerprint=old.data.fingerprint, rows=plan.data.rows)
    if old.data.fingerprint == plan.data.fingerprint:
        return old, plan if plan.data.spec.locations else replace(plan, data=known)
    if differences(old, replace(plan, data=known)) or not has_content(run) or difference(run, source) is not None:
        return old, plan
    if run.missing_shards():
        return replace(old, data=plan.data, unfinished={}), plan  # the content of windows is not compared
    return old, replace(plan, data=known)


def _continued(path: Path, old: Manifest, plan: Manifest) -> Manifest:
    """Return the manifest of a resumed run: the plan, with the old run's finished shards and records."""
    shards = {name: shard for name, shard in old.shards.items() if _holds(path / SCORES / name, shard)}
    earlier = tuple(machine for machine in old.machines if machine not in plan.machines)
    calibration = old.calibration or plan.calibration
    manifest = replace(
        plan,
        calibration=calibration,
        machines=(*earlier, *plan.machines),
        shards=shards,
        history=closed(old.history),
    )
    manifest = replace(manifest, unfinished=whole_windows(RunDirectory(path, manifest), old))
    whole = bool(shards) and shards == old.shards
    if whole and not (plan.options.is_screen and old.screen is None):
        manifest = replace(manifest, screen=old.screen, summary=old.summary)
    return manifest


def _holds(file: Path, shard: ShardInfo) -> bool:
    return file.is_file() and file_sha256(file) == shard.sha256
