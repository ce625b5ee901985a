"""run_status(): how far a run is, from its manifest and its lock alone, so that a run in progress is not disturbed."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scorer.run.directory import RunDirectory
from scorer.run.history import UNKNOWN
from scorer.run.lock import writer
from scorer.run.manifest import read_manifest

RUNNING, STOPPED, FINISHED = "running", "interrupted", "finished"


@dataclass(frozen=True)
class RunStatus:
    """How far a run is, counted in whole shards.

    ``state`` is ``running``, ``interrupted`` (nobody works on it) or ``finished``; ``doing`` is ``starting``,
    ``scoring``, ``rescoring`` (the worst rows again in fp32) or ``closing`` of a running one. ``pid`` is the process
    that works on it; ``why`` is how the last one ended, ``unknown`` if it was killed or the machine stopped.
    ``rows_per_second`` is the latest process's while it scored (rescoring adds nothing), and the estimates follow from
    it: ``seconds_left``, and ``estimated_end`` as ISO 8601 in UTC; None where there is nothing to estimate from.
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
    history: list[dict[str, Any]]
    summary: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_status(path: str | Path, now: datetime | None = None) -> RunStatus:
    """Return how far a run is at a moment, the present one unless given.

    Raises:
        RunError: it is not a run directory, is of another format, or damaged.
    """
    path = Path(path)
    # The lock first: a process that ends in between has written its last manifest by the time that it is read.
    busy = writer(path)
    run = RunDirectory(path, read_manifest(path))
    now = now or datetime.now(UTC)
    missing = run.missing_shards()
    left = sum(stop - start for start, stop in map(run.shard_range, missing))
    history: list[dict[str, Any]] = run.manifest.get("history", [])
    summary = run.manifest.get("summary")
    last = history[-1] if history else {}
    state = FINISHED if summary and not missing else RUNNING if busy else STOPPED
    spent = last.get("scoring_seconds") or last.get("seconds")  # the first is not in a manifest of an older version
    speed = last["rows"] / spent if last.get("rows") and spent else None
    seconds_left = None
    if state == RUNNING and left and speed:
        # A clock that was set back since the last shard must not add to what is left.
        since = max((now - datetime.fromisoformat(last["updated"])).total_seconds(), 0.0)
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
        why=None if state == RUNNING else last.get("why") or (UNKNOWN if history else None),
        updated=last.get("updated"),
        history=history,
        summary=summary,
    )


def _doing(run: RunDirectory, last: dict[str, Any], left: int) -> str:
    """Say what a process with the lock is at; the end of the one before it is there until it has begun."""
    if not last or last["why"]:
        return "starting"
    if left:
        return "scoring"
    screens = run.manifest["options"]["precision"] == "screen"
    return "rescoring" if screens and "screen" not in run.manifest else "closing"
