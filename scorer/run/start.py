"""Start a run, or resume one whose bundle, data, columns, labels and options are the same.

The data of a resumed run is the same if its fingerprint is, or if the finished shards have the content of its rows: a
run of a table may be resumed with a file that has the same rows, and the reverse.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from scorer.data.labels.label_map import NO_LABEL
from scorer.data.source import Source
from scorer.data.spec import FileRecord
from scorer.errors import RunError
from scorer.files import file_sha256, reporting
from scorer.layout import ASIDE, MANIFEST, REVIEW, SCORES, SHARD, WINDOWS, may_hold_run, windows_file
from scorer.run.directory import RunDirectory
from scorer.run.history import closed, reason
from scorer.run.lock import locked
from scorer.run.manifest import DataInfo, LabelInfo, Machine, Manifest, ShardInfo
from scorer.run.manifest_file import read_manifest, refuse_newer_settings
from scorer.run.reopened import difference, has_content
from scorer.run.unfinished import whole_windows
from scorer.text import fold, is_utf8, short
from scorer.typed_json import Section

# The rest of the manifest records what happened and may differ.
_COMPARED = ("bundle", "imported", "data", "columns", "labels", "options", "reuse")
_IDENTITY = {  # what identifies them: their folders may move
    "bundle": ("sha256",),
    "imported": ("sha256", "logits", "class_names"),
    "data": (),
    "reuse": ("scores",),
}
_ROOM, _LONGEST = 150, 50  # characters of a message for differences, and for a path


@dataclass(frozen=True)
class Existing:
    """What becomes of a run that is in the output folder.

    With ``overwrite`` it is replaced instead of resumed. ``decisions`` is how many decisions of people it holds, None
    if nobody has counted. A run with decisions is not replaced but set aside whole, beside the new one, unless
    ``discard`` says to remove the decisions too. ``aside`` is a run that an earlier, killed process has set aside.
    ``recount`` counts the decisions again, because people may decide while the data is opened.
    """

    overwrite: bool = False
    decisions: int | None = None
    discard: bool = False
    aside: Path | None = None
    recount: Callable[[], int | None] | None = None


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Return what differs between a run and a new plan, each as ``NAME is OLD in the run, NEW now``."""
    found = []
    for part in _COMPARED:
        both = (getattr(manifest, part) for manifest in (old, new))  # a run without labels has no part for them
        before, now = ({} if recorded is None else _flat(_known(recorded)) for recorded in both)
        for key in dict.fromkeys([*before, *now]):
            compared = key in _IDENTITY[part] if part in _IDENTITY else (part, key) != ("labels", "how")
            if compared and before.get(key) != now.get(key):
                found.append(f"{part} {short(key)} is {_short(before.get(key))} in the run, {_short(now.get(key))} now")
        if part == "data" and (old.data.fingerprint, old.data.rows) != (new.data.fingerprint, new.data.rows):
            found.append(_changed(old.data, new.data))
    return found


def _known(recorded: Section) -> dict[str, Any]:
    """Return the values of a manifest's part; those of a label map as this version would record them.

    Older versions compared names in other Unicode forms, and did not record that -1 is no label.
    """
    values = recorded.to_dict()
    if isinstance(recorded, LabelInfo):
        values["map"] = {"-1": NO_LABEL} | {fold(label): index for label, index in recorded.map.items()}
    return values


def _changed(old: DataInfo, new: DataInfo) -> str:
    """Return what is different in the data, in words: the file that has changed, or the names of old and new data."""
    before, now = ({record.file: _version(record) for record in data.spec.files} for data in (old, new))
    changed = [file for file in before.keys() & now.keys() if before[file] != now[file]]
    if before == now and before:
        return f"{_end(new.name)} is read with other options ({old.rows:,} rows in the run, {new.rows:,} now)"
    rows = f" ({old.rows:,} rows in the run, {new.rows:,} now)" if old.rows != new.rows else ""
    if changed:
        more = f", and so have {len(changed) - 1} more files" if len(changed) > 1 else ""
        return f"{_end(min(changed))} has changed since it was scored{more}{rows}"
    if before.keys() & now.keys() and before.keys() != now.keys():
        added, gone = sorted(now.keys() - before.keys()), sorted(before.keys() - now.keys())
        what = f"{_end(added[0])} was added to it" if added else f"{_end(gone[0])} is gone from it"
        return f"{_end(new.name)} has changed since it was scored: {what}{rows}"
    if old.name != new.name:
        return f"the data is {_end(new.name)}, not {_end(old.name)}{rows}"
    return f"{_end(new.name)} has changed since it was scored{rows}"


def _end(path: str) -> str:
    """Return the end of a path, which names the file."""
    return path if len(path) <= _LONGEST else f"...{path[3 - _LONGEST :]}"


def _version(record: FileRecord) -> object:
    return record.sha256 or record.version


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
    return text if len(text) <= 24 else text[:12] + "..."


@contextlib.contextmanager
def locked_run(
    path: Path, plan: Manifest, source: Source, existing: bool | Existing = False, *, same_batches: bool = False
) -> Iterator[RunDirectory]:
    """Start or resume a run as its only writer; the lock ends with the process, however the process ends.

    ``plan`` is the manifest of a new run over ``source``; ``existing`` tells whether a run in its place is replaced, or
    in full what becomes of it; it is resumed by default. Finished shards whose SHA-256 is still right are kept. With
    ``same_batches`` a resumed run keeps its batch size instead of the plan's.

    Raises:
        RunError: another process writes the run.
        RunError: the path is an address or is not UTF-8.
        RunError: the folder holds something other than a run, or can't be written.
        RunError: the run's manifest is damaged or of another format (unless it is overwritten).
        RunError: the run differs in bundle, data, columns, labels or options (unless it is overwritten).
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise RunError(f"{path} is an address; give a folder on this machine as `output`")
    if not is_utf8(str(path.absolute())):
        raise RunError(f"{str(path.absolute())!r} is not UTF-8; give another folder as `output`")
    with reporting(path):
        if not may_hold_run(path):
            raise RunError(f"{path} exists and is not a run directory; give another folder as `output`")
        existing = existing if isinstance(existing, Existing) else Existing(existing)
        aside = existing.aside
        if existing.overwrite and existing.decisions and not existing.discard:
            aside = _set_aside(path)
        if aside is not None:
            plan = replace(plan, replaces=str(aside.absolute()))
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        with reporting(path):
            run = _start(path, plan, source, existing, same_batches)
        try:
            yield run
        except BaseException as error:
            if run.stint:
                run.stint.end(reason(error))
                with contextlib.suppress(RunError):  # a full disk is likely what ended the run
                    run.save()
            raise


def _start(path: Path, plan: Manifest, source: Source, existing: Existing, same_batches: bool) -> RunDirectory:
    """Return the new or resumed run; the manifest is written first, so that a kill leaves a run directory."""
    old = None
    if (path / MANIFEST).exists():
        with contextlib.suppress(*(RunError,) if existing.overwrite else ()):  # a damaged run may be overwritten
            old = read_manifest(path)
    if old is not None and plan.replaces is None and not existing.discard:
        plan = replace(plan, replaces=old.replaces)
    if existing.overwrite:
        old = None
        if existing.decisions == 0 and not existing.discard and existing.recount is not None and existing.recount():
            raise RunError(f"somebody has decided on rows of {path} just now; give the same command again to keep that")
        if existing.discard or existing.decisions == 0:  # the decisions of the run that is replaced, or none
            for ending in ("", "-wal", "-shm", "-journal"):
                (path / f"{REVIEW}{ending}").unlink(missing_ok=True)
    if old is not None:
        _refuse_other_origin(path, old, plan)
        history = closed(old.history)
        options = replace(plan.options, text_hash=old.options.text_hash)  # the shards of one run have the same columns
        if options.top_probs is not UNSET:  # nobody asks for all probabilities now
            options = replace(options, top_probs=old.options.top_probs)
        if same_batches:
            options = replace(options, batch_tokens=old.options.batch_tokens)
        finished = not RunDirectory(path, old).missing_shards()  # what was reused decides nothing any more
        resumed = replace(plan, options=options, reuse=old.reuse if finished else plan.reuse)
        if not old.shards and (not old.unfinished or differences(old, resumed)):
            old, plan = None, replace(plan, history=history)  # no shard is lost
        else:
            plan = resumed
    if old is not None:
        refuse_newer_settings(path, old)
        old, plan = _with_same_data(path, old, plan, source)
    if old is not None and (different := differences(old, plan)):
        shown = different[: max(1, sum(end <= _ROOM for end in accumulate(map(len, different))))]
        more = f"; and {len(different) - len(shown)} more" if len(different) > len(shown) else ""
        same_data = old.data.fingerprint == plan.data.fingerprint
        elsewhere = "" if same_data else " (`reuse` takes over this run's scores for unchanged rows)"
        kept = f", which sets this run and its {existing.decisions:,} decisions aside" if existing.decisions else ""
        raise RunError(
            f"{path} holds another run: {'; '.join(shown)}{more}; give the same arguments to resume it, "
            f"another folder as `output`{elsewhere}, or `overwrite=True` to start again{kept}",
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


def _refuse_other_origin(path: Path, old: Manifest, plan: Manifest) -> None:
    """Raise RunError if a model should go on with a run of imported probabilities, or the reverse."""
    again = "give another folder as `output`, or `overwrite=True` to start again"
    if old.bundle is None and plan.bundle is not None:
        raise RunError(f"{path} holds a run of imported probabilities, which has no bundle; {again}")
    if old.bundle is not None and plan.bundle is None:
        raise RunError(f"{path} holds a run that a bundle scored, not one of imported probabilities; {again}")


def _set_aside(path: Path) -> Path:
    """Rename a run to a free name beside it, and return that; the run's folder is then empty.

    Raises:
        RunError: another process writes the run.
        RunError: the folder can't be renamed.
    """
    place = path.resolve()  # a link stays, and its folder is renamed
    moment = datetime.now().strftime("%Y-%m-%dT%H%M%S")
    names = (f"{place.name}{ASIDE}{moment}{again}" for again in ("", *(f"-{i}" for i in range(2, 1000))))
    aside = next(free for name in names if not (free := place.with_name(name)).exists())
    with locked(place):
        try:
            place.rename(aside)
        except OSError as error:
            raise RunError(
                f"{path} holds decisions and can't be set aside as {aside.name} ({error.strerror}); give another "
                "folder as `output`, or `discard_decisions=True`"
            ) from error
    place.mkdir()
    return aside


def _with_same_data(path: Path, old: Manifest, plan: Manifest, source: Source) -> tuple[Manifest, Manifest]:
    """Return the run's manifest and the plan with one record of the data, if ``source`` has the rows that were scored.

    If every shard is listed, all rows are compared. The run then keeps its fingerprint, by which review tools name its
    records, and its place, unless it was memory. Otherwise the rest of the rows will be those of ``source``, so the run
    becomes a run of ``source``.
    """
    run = RunDirectory(path, old)
    place = old.data if old.data.spec.locations else plan.data
    known = replace(place, fingerprint=old.data.fingerprint, rows=plan.data.rows)
    if (old.data.fingerprint, old.data.rows) == (plan.data.fingerprint, plan.data.rows):
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
