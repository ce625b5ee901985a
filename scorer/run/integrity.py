"""Check that a run's shards are whole: each file has the recorded SHA-256, rows in order and status counts.

Scoring ends with this check (``require_whole``), and ``verify`` repeats it for any run (``check_shards``).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from scorer.errors import RunError, shortage
from scorer.files import file_sha256
from scorer.layout import MANIFEST, SCORES
from scorer.run.directory import RunDirectory, shard_name
from scorer.run.lock import writer
from scorer.run.shard_file import BATCH_ROWS, RESCORE, count_words, open_shard
from scorer.run.status import missing_rows

OK, WRONG, UNFINISHED, ABSENT = "ok", "wrong", "unfinished", "absent"
_REMOVE = f"remove it, then {RESCORE}"


@dataclass(frozen=True)
class Finding:
    """The result of one check: ``what`` was checked, its ``state``, and ``says``, a line on what was found.

    The state is ``ok``, ``wrong``, ``unfinished`` (the run was interrupted there) or ``absent`` (nothing to compare
    with).
    """

    what: str
    state: str
    says: str


def require_whole(run: RunDirectory) -> None:
    """Raise RunError unless the shards of a run that was just scored hold every row once, as written.

    The files are hashed again, which takes a thousandth of the scoring time and finds bytes that the disk lost. The
    bundle and the data are not checked here: both were hashed at the start, and before every shard is written, the
    data's files are compared with their state at the start.

    Raises:
        RunError: a shard is not whole; the whole shards are kept.
    """
    faults = [finding for finding in check_shards(run) if finding.state != OK]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise RunError(f"{run.path} is not whole: {faults[0].what}: {faults[0].says}{more}")


def refuse_writer(path: Path) -> None:
    """Raise RunError if a process is writing the run."""
    if busy := writer(path):
        raise RunError(f"{path} is being written by {busy}; wait for it, or see how far it is with `lossrank status`")


def check_shards(run: RunDirectory) -> list[Finding]:
    """Return findings about the shards: missing files, files that are no shard, SHA-256, rows and status counts."""
    findings = list(_strays(run))
    missing = run.missing_shards()
    damaged = len(findings)
    for index in sorted(set(range(run.num_shards)).difference(missing)):
        if fault := _fault(run, index):
            findings.append(Finding(shard_name(index), *fault))
    damaged = len(findings) - damaged
    there = run.num_shards - len(missing) - damaged
    if missing:
        left = missing_rows(run)
        says = f"{left:,} of {run.num_rows:,} rows are not scored yet; score again with the same arguments to go on"
        findings.append(Finding("rows", UNFINISHED, says))
    elif not damaged:
        findings.append(Finding("rows", OK, f"{run.num_rows:,}, each once and in order"))
    if there:
        findings.append(Finding("shards", OK, f"{there:,} of {run.num_shards:,} are whole, by their SHA-256"))
    return findings


def _strays(run: RunDirectory) -> Iterable[Finding]:
    """Yield findings about files in the scores folder, and names in the manifest, that are no shards of the run.

    A program that reads the whole folder would read such a file as scores.
    """
    own = {shard_name(index) for index in range(run.num_shards)}
    for name in sorted(set(run.shards) - own):
        yield Finding(
            name, WRONG, f"is listed, but {run.num_rows:,} rows have no such shard; remove it from {MANIFEST}"
        )
    folder = run.path / SCORES
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    for name in names:
        if name in own and name not in run.shards:
            yield Finding(name, UNFINISHED, "was being written when the run was interrupted; scoring again removes it")
        elif name not in run.shards and not name.startswith((".", "_")):
            yield Finding(name, WRONG, f"is in {folder} and is not a shard of this run; remove it")


def _fault(run: RunDirectory, index: int) -> tuple[str, str] | None:
    """Return the state of a shard that is not as it should be, and how to fix it; None if nothing is wrong."""
    file = run.shard_file(index)
    try:
        actual, expected = file_sha256(file), run.shards[file.name].sha256
        if actual == expected:
            fault = _content_fault(run, index)
            return None if fault is None else (WRONG, fault)
        if _rescored(run, index):
            return UNFINISHED, f"was being rescored in fp32 when the run was interrupted; {RESCORE}"
        return WRONG, f"has the SHA-256 {actual[:12]}..., not {expected[:12]}...; {RESCORE}"
    except FileNotFoundError:
        return WRONG, f"is listed but missing; {RESCORE}"
    except (OSError, pa.ArrowException) as error:
        if shortage(error):
            raise  # full memory or disk is no fault of the shard
        # pyarrow's errors about a file's content carry no errno.
        of_content = error.errno is None if isinstance(error, OSError) else isinstance(error, pa.ArrowInvalid)
        fix = _REMOVE if of_content else "correct the cause and verify again"
        return WRONG, f"can't be read ({' '.join(str(error).split())}); {fix}"


def _content_fault(run: RunDirectory, index: int) -> str | None:
    """Return what is wrong with a shard's columns, rows or statuses and how to fix it; None if nothing is wrong."""
    file, schema = run.shard_file(index), run.schema
    counted: Counter[str] = Counter()
    at, stop = run.shard_range(index)
    with open_shard(file) as shard:
        if shard.schema_arrow != schema or shard.schema_arrow.metadata != schema.metadata:
            return f"does not have the columns and classes of this run; {_REMOVE}"
        for batch in shard.iter_batches(BATCH_ROWS, columns=["row", "status"]):
            if not np.array_equal(batch["row"].to_numpy(zero_copy_only=False), np.arange(at, at + len(batch))):
                return f"does not hold the rows from {at:,} in order; {_REMOVE}"
            at += len(batch)
            counted += count_words(batch["status"])
    if at != stop:
        return f"ends with row {at - 1:,}, not {stop - 1:,}; {_REMOVE}"
    scored = run.shards[file.name].by_status
    if scored is UNSET or counted == scored:  # runs of older versions have no counts
        return None
    return f"has the statuses {counts_in_words(counted)}, but {counts_in_words(scored)} were recorded; {_REMOVE}"


def _rescored(run: RunDirectory, index: int) -> bool:
    """Return whether a shard whose SHA-256 differs is whole and holds rescored rows of an unfinished screen.

    A screen first replaces the shard's file and then lists the file's new SHA-256; a kill may come between these steps.
    """
    if not run.awaits_rescoring:
        return False
    try:
        with open_shard(run.shard_file(index)) as shard:
            in_fp32 = sum(pc.sum(pc.equal(batch["precision"], "fp32")).as_py() or 0 for batch in shard.iter_batches())
        return in_fp32 > 0 and _content_fault(run, index) is None
    except (OSError, KeyError, pa.ArrowInvalid):
        return False


def counts_in_words(by_status: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(by_status.items()))
