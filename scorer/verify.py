"""verify(): whether a run is what its manifest says, and its bundle and data are still those that were scored.

Holds one batch of a shard at a time, whatever the number of rows.
"""

import glob
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorer.bundle import ModelBundle, file_sha256
from scorer.errors import BundleError, RunError, SourceError
from scorer.lock import writer
from scorer.reopen import reopen_source
from scorer.run import SCORES, RunDirectory, shard_name
from scorer.source import Data

OK, WRONG, UNFINISHED, ABSENT = "ok", "wrong", "unfinished", "absent"
_BATCH_ROWS = 65_536
_AGAIN = "the same `lossrank score` command makes it anew"


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
    """What ``verify`` found of a run."""

    run: str
    findings: tuple[Finding, ...]

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
    they may be gone.

    Raises:
        RunError: it is not a run directory, or it is being written.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory.read(run)
    if busy := writer(run.path):
        raise RunError(f"{run.path} is being written by {busy}; wait for it, or see how far it is with lossrank status")
    summary = run.manifest.get("summary")
    findings = [
        *_scores(run, None if summary is None else summary["by_status"]),
        *_screen(run),
        _bundle(run, bundle),
        _data(run, data),
    ]
    return Verification(str(run.path), tuple(findings))


def require_whole(run: RunDirectory, by_status: dict[str, int]) -> None:
    """Make sure that the shards of a run that was just scored hold every row once, as they were written.

    Their bytes are hashed once more, which takes a thousandth of the time that scoring took and finds what a disk lost
    meanwhile. The bundle and the data are left: they were hashed at the start, and the data's files were looked at
    before every shard.

    Raises:
        RunError: something is wrong; what is whole is kept.
    """
    faults = [finding for finding in _scores(run, by_status) if finding.state != OK]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise RunError(f"{run.path} does not hold what was scored: {faults[0].what}: {faults[0].says}{more}")


def _scores(run: RunDirectory, by_status: dict[str, int] | None) -> list[Finding]:
    """Look at the shards: the files that should be there, their bytes, their rows, and the rows of each status."""
    counted: Counter[str] = Counter()
    findings = list(_strays(run))
    missing = run.missing_shards()
    damaged = len(findings)
    for index in sorted(set(range(run.num_shards)).difference(missing)):
        if fault := _fault(run, index, counted):
            findings.append(Finding(shard_name(index), WRONG, f"{fault}; {_AGAIN}"))
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
    if by_status is not None and not missing and not damaged:
        findings.append(_counts(by_status, dict(counted)))
    elif by_status is None and not missing:
        findings.append(Finding("summary", UNFINISHED, "is not written yet; the same `lossrank score` command does"))
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


def _fault(run: RunDirectory, index: int, counted: Counter[str]) -> str | None:
    """Return what is wrong with a shard, None if nothing is; its rows are added to ``counted`` by status."""
    file = run.shard_file(index)
    try:
        actual, expected = file_sha256(file), run.shards[file.name]["sha256"]
        if actual != expected:
            return f"has the SHA-256 {actual[:12]}..., not {expected[:12]}..."
        at, stop = run.shard_range(index)
        with pq.ParquetFile(file) as shard:
            for batch in shard.iter_batches(_BATCH_ROWS, columns=["row", "status"]):
                if not np.array_equal(batch["row"].to_numpy(zero_copy_only=False), np.arange(at, at + len(batch))):
                    return f"does not hold the rows from {at:,} on in order"
                at += len(batch)
                for each in batch["status"].value_counts().to_pylist():
                    counted[str(each["values"])] += int(each["counts"])
    except FileNotFoundError:
        return "is listed and not there"
    except (OSError, KeyError, pa.ArrowException) as error:
        return f"can't be read ({' '.join(str(error).split())})"
    return None if at == stop else f"ends with row {at - 1:,}, not {stop - 1:,}"


def _counts(summary: dict[str, int], counted: dict[str, int]) -> Finding:
    names = [name for name in {**summary, **counted} if summary.get(name, 0) != counted.get(name, 0)]
    if names:
        said = ", ".join(f"{name} {counted.get(name, 0):,}, not {summary.get(name, 0):,}" for name in names)
        return Finding("counts", WRONG, f"{said} as the summary says; score again with --overwrite")
    return Finding("counts", OK, ", ".join(f"{name} {count:,}" for name, count in summary.items()))


def _screen(run: RunDirectory) -> Iterable[Finding]:
    if run.manifest["options"].get("precision") != "screen":
        return
    if "screen" in run.manifest:
        rescored = run.manifest["screen"]["rescored"]
        yield Finding("screen", OK, f"finished: {rescored:,} rows were scored again in fp32")
    else:
        says = "the worst rows are not scored in fp32 yet; the same `lossrank score` command goes on"
        yield Finding("screen", UNFINISHED, says)


def _bundle(run: RunDirectory, moved: str | Path | None) -> Finding:
    recorded = run.manifest["bundle"]
    place = Path(recorded["path"] if moved is None else moved)
    if moved is None and not place.exists():
        return Finding("bundle", ABSENT, f"{place} is not there any more; name its place with --bundle to compare it")
    try:
        found = ModelBundle.load(place).sha256
    except BundleError as error:
        return Finding("bundle", WRONG, str(error))
    if found != recorded["sha256"]:
        says = f"{place} is another one: SHA-256 {found[:12]}..., the run has {recorded['sha256'][:12]}..."
        return Finding("bundle", WRONG, says)
    return Finding("bundle", OK, f"{place} is the one that was used")


def _data(run: RunDirectory, moved: Data | None) -> Finding:
    spec = run.manifest["data"]["spec"]
    if moved is None and spec["kind"] == "table":
        return Finding("data", ABSENT, "was a table in memory; name a place where it lies with --data to compare it")
    if moved is None and spec["kind"] == "files" and not _is_there(spec["data"]):
        says = f"{spec['data']} is not there any more; name its place with --data to compare it"
        return Finding("data", ABSENT, says)
    try:
        source = reopen_source(spec, run.data_fingerprint, moved)
    except SourceError as error:
        # A data set's name is looked up on the hub, which may be out of reach; a secret of an address is not kept.
        unreached = moved is None and (spec["kind"] == "datasets" or "left_out" in spec) and error.__cause__ is not None
        return Finding("data", ABSENT if unreached else WRONG, str(error))
    return Finding("data", OK, f"{source.name} is what was scored")


def _is_there(place: str | list[str]) -> bool:
    if isinstance(place, list):
        return all(map(_is_there, place))
    if "://" in place or Path(place).exists():
        return True
    return bool(glob.glob(place, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
