"""run_status(): the progress of a run, read from its manifest and its lock alone, so that scoring is not disturbed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from scorer.run.directory import RunDirectory
from scorer.run.history import UNKNOWN
from scorer.run.lock import writer
from scorer.run.manifest import HistoryEntry, RunStats

RUNNING, STOPPED, FINISHED = "running", "interrupted", "finished"


@dataclass(frozen=True)
class RunStatus:
    """The progress of a run, counted in what is kept: whole shards, and whole windows of a shard in progress.

    ``state`` is ``running``, ``interrupted`` (no process works on the run) or ``finished``. ``doing`` is ``starting``,
    ``scoring``, ``rescoring`` (the worst rows again in fp32) or ``closing``; None unless the run is running. ``pid`` is
    the process that works on the run. ``why`` is how the last process ended, ``unknown`` if it was killed or the
    machine stopped. ``rows_per_second`` is the latest process's speed while it scored, without rescoring.
    ``seconds_left`` and ``estimated_end`` (ISO 8601 in UTC) follow from that speed; None unless the run is
    running, has rows left and has a speed.
    ``history`` and ``summary`` are the manifest's.
    """

    run: str
    state: str
    doing: str | None
    rows: int
    done: int
    left: int
    shards: int
    shards_done: int
    rows_per_second: float | None
    seconds_left: float | None
    estimated_end: str | None
    pid: int | None
    why: str | None
    updated: str | None
    history: list[HistoryEntry]
    summary: RunStats | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values


def missing_rows(run: RunDirectory) -> int:
    """Return the number of rows that are not scored yet."""
    sizes = ((index, stop - start) for index in run.missing_shards() for start, stop in [run.shard_range(index)])
    return sum(max(size - run.kept_windows(index), 0) for index, size in sizes)


def run_status(path: str | Path, now: datetime | None = None) -> RunStatus:
    """Return the progress of a run at the time ``now``, by default the current time.

    Raises:
        RunError: the folder is not a run directory.
        RunError: the run is of another format.
        RunError: the manifest is damaged or can't be read.
    """
    path = Path(path)
    # The lock is asked first: if its holder ends after that, its last manifest is written before it is read here.
    busy = writer(path)
    run = RunDirectory.read(path)
    now = now or datetime.now(UTC)
    missing = run.missing_shards()
    left = missing_rows(run)
    history, summary = run.manifest.history, run.manifest.summary
    last = history[-1] if history else None
    state = FINISHED if summary and not missing else RUNNING if busy else STOPPED
    speed = last.rows_per_second if last else None
    seconds_left = None
    if state == RUNNING and left and last and speed:
        # If the clock was set back since the last scores were written, the time left must not grow.
        since = max((now - datetime.fromisoformat(last.updated)).total_seconds(), 0.0)
        seconds_left = max(left / speed - since, 0.0)
    end = None if seconds_left is None else now + timedelta(seconds=seconds_left)
    return RunStatus(
        run=str(path),
        state=state,
        doing=_doing(run, last, left) if state == RUNNING else None,
        rows=run.num_rows,
        done=run.num_rows - left,
        left=left,
        shards=run.num_shards,
        shards_done=run.num_shards - len(missing),
        rows_per_second=speed,
        seconds_left=seconds_left,
        estimated_end=None if end is None else end.astimezone(UTC).isoformat(timespec="seconds"),
        pid=busy.pid if busy and state == RUNNING else None,
        why=None if state == RUNNING or last is None else last.why or UNKNOWN,
        updated=last.updated if last else None,
        history=list(history),
        summary=summary,
    )


def _doing(run: RunDirectory, last: HistoryEntry | None, left: int) -> str:
    """Return what the process that holds the lock is doing.

    Until that process has written its history entry, the last entry belongs to an earlier process, which has ended.
    """
    if last is None or last.why:
        return "starting"
    if left:
        return "scoring"
    return "rescoring" if run.awaits_rescoring else "closing"
