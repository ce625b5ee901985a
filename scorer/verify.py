"""verify(): whether a run is what its manifest says, and its bundle and data are still those that were scored.

Holds one batch of a shard at a time, whatever the number of rows.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorer.bundle import ModelBundle, file_sha256
from scorer.errors import BundleError, NotThereError, RunError, SourceError, UnreachableError, shortage
from scorer.lock import writer
from scorer.manifest import MANIFEST
from scorer.ours import SCORES
from scorer.reading import BATCH_ROWS, count_words, open_shard
from scorer.reopen import refuse_columns, refuse_edited, reopen_source
from scorer.run import RunDirectory, shard_name
from scorer.screen import screen_again
from scorer.shard import score_schema
from scorer.source import Data
from scorer.summary import OF_THE_PROCESS, recount

OK, WRONG, UNFINISHED, ABSENT = "ok", "wrong", "unfinished", "absent"
_AGAIN = "the same `lossrank score` command makes it anew"
_REMOVE = f"remove it, and {_AGAIN}"
_CUT_OFF = f"was being scored again in fp32 when the run was cut off; {_AGAIN}"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``what``, its ``state`` and, in one line, what was found.

    The state is ``ok``, ``wrong``, ``unfinished`` (the run was cut off there) or ``absent`` (not there to compare).
    """

    what: str
    state: str
    says: str


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found of a run; ``summary`` is the manifest's, None if it is not finished."""

    run: str
    findings: tuple[Finding, ...]
    summary: dict[str, Any] | None

    @property
    def sound(self) -> bool:
        """Nothing is wrong with what is there, though it may not be all."""
        return all(finding.state != WRONG for finding in self.findings)

    @property
    def complete(self) -> bool:
        """Nothing is wrong and every row is there."""
        return all(finding.state in (OK, ABSENT) for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "sound": self.sound, "complete": self.complete}


def verify(
    run: RunDirectory | str | Path, *, bundle: str | Path | None = None, data: Data | None = None
) -> Verification:
    """Compare a run, finished or not, with its manifest, its bundle and its data; nothing is written.

    ``bundle`` and ``data`` are where these lie now, if they have moved: there they must be. Where the manifest says,
    they may be gone or out of reach. The manifest is read anew, whatever ``run`` holds of it.

    Raises:
        RunError: it is not a run directory, or it is being written.
    """
    path = run.path if isinstance(run, RunDirectory) else Path(run)
    # The lock first: what a process that has ended wrote is whole by the time that it is read.
    _refuse_writer(path)
    run = RunDirectory.read(path)
    of_bundle = _bundle(run, bundle)
    findings = _shards(run)
    if not run.missing_shards():
        whole = all(finding.state == OK for finding in findings)
        findings += [*_screen(run, whole), *_summary(run, whole)]
    findings += [*of_bundle, *_data(run, data)]
    _refuse_writer(path)
    return Verification(str(path), tuple(findings), run.manifest.get("summary"))


def require_whole(run: RunDirectory) -> None:
    """Make sure that the shards of a run that was just scored hold every row once, as they were written.

    Their bytes are hashed once more, which takes a thousandth of the time that scoring took and finds what a disk lost
    meanwhile. The bundle and the data are left: they were hashed at the start, and the data's files were looked at
    before every shard.

    Raises:
        RunError: something is wrong; what is whole is kept.
    """
    faults = [finding for finding in _shards(run) if finding.state != OK]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise RunError(f"{run.path} does not hold what was scored: {faults[0].what}: {faults[0].says}{more}")


def _refuse_writer(path: Path) -> None:
    if busy := writer(path):
        raise RunError(f"{path} is being written by {busy}; wait for it, or see how far it is with lossrank status")


def _shards(run: RunDirectory) -> list[Finding]:
    """Look at the shards: the files that should be there, their bytes, their rows, and the rows of each status."""
    findings = list(_strays(run))
    missing = run.missing_shards()
    damaged = len(findings)
    for index in sorted(set(range(run.num_shards)).difference(missing)):
        if fault := _fault(run, index):
            findings.append(Finding(shard_name(index), UNFINISHED if fault == _CUT_OFF else WRONG, fault))
    damaged = len(findings) - damaged
    there = run.num_shards - len(missing) - damaged
    if missing:
        left = sum(stop - start for start, stop in map(run.shard_range, missing))
        says = f"{left:,} of {run.num_rows:,} rows are not scored yet; the same `lossrank score` command goes on"
        findings.append(Finding("rows", UNFINISHED, says))
    elif not damaged:
        findings.append(Finding("rows", OK, f"{run.num_rows:,}, each once and in order"))
    if there:
        findings.append(Finding("shards", OK, f"{there:,} of {run.num_shards:,} are whole, by their SHA-256"))
    return findings


def _strays(run: RunDirectory) -> Iterable[Finding]:
    """Name what is among the shards and is none of them; whoever reads the folder would read it too."""
    own = {shard_name(index) for index in range(run.num_shards)}
    for name in sorted(set(run.shards) - own):
        yield Finding(name, WRONG, f"is listed, and the data's {run.num_rows:,} rows have no such shard")
    folder = run.path / SCORES
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    for name in names:
        if name in own and name not in run.shards:
            yield Finding(name, UNFINISHED, "was cut off before it was listed; the next start removes it")
        elif name not in run.shards and not name.startswith((".", "_")):
            yield Finding(name, WRONG, f"is in {folder} and is no shard of this run; remove it")


def _fault(run: RunDirectory, index: int) -> str | None:
    """Return what is wrong with a shard and what mends it, None if nothing is wrong."""
    file = run.shard_file(index)
    try:
        actual, expected = file_sha256(file), run.shards[file.name]["sha256"]
        if actual == expected:
            return _content_fault(run, index)
        if _rescored(run, index):
            return _CUT_OFF
        return f"has the SHA-256 {actual[:12]}..., not {expected[:12]}...; {_AGAIN}"
    except FileNotFoundError:
        return f"is listed and not there; {_AGAIN}"
    except (OSError, pa.ArrowException) as error:
        if shortage(error):
            raise  # nothing is known of the shard
        # pyarrow's own errors about a file's content have no number of the system's.
        of_content = error.errno is None if isinstance(error, OSError) else isinstance(error, pa.ArrowInvalid)
        mend = _REMOVE if of_content else "mend that, and verify again"
        return f"can't be read ({' '.join(str(error).split())}); {mend}"


def _content_fault(run: RunDirectory, index: int) -> str | None:
    """Return what is wrong with the columns, rows and statuses of a shard and what mends it, None if nothing is."""
    file, schema = run.shard_file(index), score_schema(run.class_names)
    counted: Counter[str] = Counter()
    at, stop = run.shard_range(index)
    with open_shard(file) as shard:
        if shard.schema_arrow != schema or shard.schema_arrow.metadata != schema.metadata:
            return f"has not the columns and classes of this run; {_REMOVE}"
        for batch in shard.iter_batches(BATCH_ROWS, columns=["row", "status"]):
            if not np.array_equal(batch["row"].to_numpy(zero_copy_only=False), np.arange(at, at + len(batch))):
                return f"does not hold the rows from {at:,} on in order; {_REMOVE}"
            at += len(batch)
            counted += count_words(batch["status"])
    if at != stop:
        return f"ends with row {at - 1:,}, not {stop - 1:,}; {_REMOVE}"
    scored = run.shards[file.name].get("by_status", counted)  # not in a manifest of an older version
    return None if counted == scored else f"holds {_counts(counted)}; {_counts(scored)} were scored; {_REMOVE}"


def _rescored(run: RunDirectory, index: int) -> bool:
    """Say whether a shard that is not the listed one is whole, with rows in fp32, in a screen that is not finished.

    A screen puts it in the listed one's place, and lists it after that; a kill may come in between.
    """
    if run.manifest["options"]["precision"] != "screen" or "screen" in run.manifest:
        return False
    try:
        with open_shard(run.shard_file(index)) as shard:
            in_fp32 = sum(pc.sum(pc.equal(batch["precision"], "fp32")).as_py() or 0 for batch in shard.iter_batches())
        return in_fp32 > 0 and _content_fault(run, index) is None
    except (OSError, KeyError, pa.ArrowInvalid):
        return False


def _counts(by_status: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(by_status.items()))


def _summary(run: RunDirectory, whole: bool) -> Iterable[Finding]:
    """Count the summary's numbers again, where the shards are whole, but for those of the process that wrote it."""
    said = run.manifest.get("summary")
    if said is None:
        yield Finding("summary", UNFINISHED, "is not written yet; the same `lossrank score` command does")
    elif whole:
        found = recount(run).as_dict()
        wrong = [name for name in found if name not in OF_THE_PROCESS and not _same(said[name], found[name])]
        if wrong:
            says = "; ".join(_apart(name, said[name], found[name]) for name in wrong)
            yield Finding("summary", WRONG, f"{says}; the same `lossrank score` command counts anew")
        else:
            yield Finding("summary", OK, f"says what the shards do: {_counts(found['by_status'])}")


def _screen(run: RunDirectory, whole: bool) -> Iterable[Finding]:
    """Look whether a screen is finished, and whether its report is what the shards, if they are whole, give again."""
    if run.manifest["options"]["precision"] != "screen":
        return
    if (said := run.manifest.get("screen")) is None:
        says = "the worst rows are not scored in fp32 yet; the same `lossrank score` command goes on"
        yield Finding("screen", UNFINISHED, says)
    elif whole:
        found = screen_again(run)
        if _same(said, found):
            yield Finding("screen", OK, f"finished: {said['rescored']:,} rows were scored again in fp32")
        else:
            says = f"{_apart('screen', said, found)}; take `screen` out of {MANIFEST}, and {_AGAIN}"
            yield Finding("screen", WRONG, says)


def _apart(name: str, said: Any, found: Any) -> str:
    """Say how a value of the manifest differs from what the shards give: of an object, in which of its values."""
    if isinstance(said, dict) and isinstance(found, dict):
        differing = [key for key in {**said, **found} if not _same(said.get(key), found.get(key))]
        return "; ".join(_apart(f"{name} {key}", said.get(key), found.get(key)) for key in differing)
    return f"{name} is {_or_none(said)}, the shards say {_or_none(found)}"


def _or_none(value: Any) -> Any:
    return "none" if value is None else value


def _same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same, numbers but for the last digits, which differ between machines."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _bundle(run: RunDirectory, moved: str | Path | None) -> list[Finding]:
    """Look whether the bundle is the one that was used; if so, its class names are the run's from here on."""
    recorded = run.manifest["bundle"]
    place = Path(recorded["path"] if moved is None else moved)
    if moved is None and not place.exists():
        says = f"{place} is not there any more; name its place with --bundle to compare it"
        return [Finding("bundle", ABSENT, says)]
    try:
        found = ModelBundle.load(place)
    except BundleError as error:
        return [Finding("bundle", WRONG, str(error))]
    if found.sha256 != recorded["sha256"]:
        says = f"{place} is another one: SHA-256 {found.sha256[:12]}..., the run has {recorded['sha256'][:12]}..."
        return [Finding("bundle", WRONG, says)]
    findings = [Finding("bundle", OK, f"{place} is the one that was used")]
    if found.class_names != run.class_names:
        named, right = (", ".join(names) for names in (run.class_names, found.class_names))
        says = f"{MANIFEST} names {named}; the bundle that was used has {right}; {_AGAIN}"
        findings.append(Finding("classes", WRONG, says))
        recorded["class_names"] = list(found.class_names)
    return findings


def _data(run: RunDirectory, moved: Data | None) -> Iterable[Finding]:
    spec = run.manifest["data"]["spec"]
    if moved is None and spec["kind"] == "table":
        yield Finding("data", ABSENT, "was a table in memory; name a place where it lies with --data to compare it")
        return
    try:
        source = reopen_source(spec, run.data_fingerprint, moved)
    except (NotThereError, UnreachableError) as error:
        yield _unseen(spec, error) if moved is None else Finding("data", WRONG, str(error))
    except SourceError as error:
        yield Finding("data", WRONG, str(error))
    else:
        yield Finding("data", OK, f"{source.name} is what was scored")
        try:
            refuse_columns(run, source)
        except RunError as error:
            yield Finding("columns", WRONG, str(error))


def _unseen(spec: dict[str, Any], error: SourceError) -> Finding:
    """Say that data is gone or out of reach, unless a part of it that can be looked at is not what was scored."""
    try:
        refuse_edited(spec)
    except SourceError as edited:
        return Finding("data", WRONG, str(edited))
    return Finding("data", ABSENT, f"can't be compared: {error}" if isinstance(error, UnreachableError) else str(error))
