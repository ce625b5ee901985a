"""Time the candidates of one workload in turns, and compare their losses."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agree import compare
from benchmarks.candidates import NAMES
from benchmarks.protocol import BATCH, Info, Job
from benchmarks.rows import Rows, quantiles
from benchmarks.runner import DISTURBED, TRIES, Worker, WorkerError, python_of, watched
from benchmarks.workloads import Workload

_AT_ONCE = 3  # workers that load at the same time; more would need more memory than the models themselves
_IN_ORDER_SECONDS, _PEER_SECONDS, _LOSSRANK_SECONDS = 3.0, 3.0, 18.0  # longest repeat
_LOSSRANK_SHARE = 0.75  # least share of the time
_SCREEN_ROWS = 1000
_TWICE = 0.25  # share of 1,000 rows that a screen scores twice, roughly: the control sample has at least 200 rows
_LEFT_OUT = "left out to save time"
_SORTED_FIRST = 3  # times the rows, for a sorting candidate's second warm-up: few rows make uneven batches
_LEAST_ROWS = 2 * BATCH
_REST_SECONDS = 0.25  # pause after a repeat, because thread pools spin for a while before they sleep


@dataclass
class Timed:
    """A candidate with its worker and measurements."""

    name: str
    info: Info
    worker: Worker
    losses: Path
    loaded: dict[str, Any] = field(default_factory=dict)
    rate: float = 0.0
    rows: int = 0
    repeats: list[dict[str, Any]] = field(default_factory=list)
    disturbed: list[dict[str, Any]] = field(default_factory=list)
    idle_cpu: float = 0.0
    idle_wall: float = 0.0


def measure(workload: Workload, rows: Rows, job: Job, seconds: float, repeats: int) -> dict[str, Any]:
    """Return every candidate's figures, or the reason why it has none, in about ``seconds`` seconds."""
    deadline = time.monotonic() + seconds
    data = rows.save(job.scratch / "rows.json")
    failed: dict[str, str] = {name: _LEFT_OUT for name in NAMES if name not in workload.candidates}
    timed = []
    for name in workload.candidates:
        info: Info = import_module(f"benchmarks.candidates.{name}").INFO
        try:
            worker = Worker(name, python_of(name), job.cores, job.scratch / f"{name}.log")
        except WorkerError as error:
            failed[name] = str(error)
            print(f"  {info.title}: not measured: {error}", flush=True)
            continue
        timed.append(Timed(name, info, worker, job.scratch / f"{name}.npy"))
    try:
        timed = _load(timed, job, data, failed)
        timed = _warm_up(timed, workload.first, len(rows.texts), failed)
        left = (deadline - time.monotonic()) / repeats
        _share(timed, rows, left)
        if any(candidate.info.precision == "screen" and candidate.rows < _SCREEN_ROWS for candidate in timed):
            timed = _enough_or_without_screen(timed, min(_SCREEN_ROWS, len(rows.texts)), failed)
            if all(candidate.info.precision != "screen" for candidate in timed):
                _share(timed, rows, left)
        started = time.monotonic()
        for number in range(repeats):
            # Retries may lengthen a round by at most half: the next workload needs its time too.
            timed = _round(timed, number, started + (number + 1.5) * left, failed)
        losses = {candidate.name: np.load(candidate.losses) for candidate in timed}
    finally:
        for candidate in timed:
            candidate.worker.close()
    found = {candidate.name: _figures(candidate, rows) for candidate in timed}
    for name, agreement in compare(losses, {candidate.name: candidate.info for candidate in timed}).items():
        found[name]["agreement"] = agreement
    _ratios(found)
    return {
        "title": workload.title,
        "rows": quantiles(rows.tokens) | {"name": rows.name, "available": len(rows.texts)},
        "losses": _spread(losses),
        "candidates": found,
        "not_measured": failed,
    }


def _load(timed: list[Timed], job: Job, data: Path, failed: dict[str, str]) -> list[Timed]:
    """Let the workers load their models, a few at a time."""
    for start in range(0, len(timed), _AT_ONCE):
        for candidate in timed[start : start + _AT_ONCE]:
            _try(candidate, failed, "load", job=job.as_json())
        for candidate in timed[start : start + _AT_ONCE]:
            if candidate.name not in failed:
                candidate.loaded = _reply(candidate, failed) or {}
            if candidate.name not in failed and _try(candidate, failed, "read", rows=str(data)):
                _reply(candidate, failed)
    return [candidate for candidate in timed if candidate.name not in failed]


def _warm_up(timed: list[Timed], first: int, available: int, failed: dict[str, str]) -> list[Timed]:
    """Run every candidate twice on a few rows to estimate its speed; candidates that sort get more the second time."""
    for candidate in timed:
        for count in (first, min(available, first * _SORTED_FIRST) if candidate.info.sorts else first):
            reply = _call(candidate, failed, count=count)
            if reply is None:
                break
            candidate.rate = count / reply["seconds"]
    return [candidate for candidate in timed if candidate.name not in failed]


def _share(timed: list[Timed], rows: Rows, seconds: float) -> None:
    """Choose each candidate's number of rows so that a round takes about ``seconds`` seconds.

    lossrank's candidates all get the same rows, so that int8 and screen can be compared with fp32.
    """
    seconds -= _REST_SECONDS * len(timed)
    wanted = {candidate.name: _PEER_SECONDS if candidate.info.sorts else _IN_ORDER_SECONDS for candidate in timed}
    peers = [candidate for candidate in timed if not candidate.info.lossrank]
    ours = [candidate for candidate in timed if candidate.info.lossrank]
    rates = {candidate.info.precision: candidate.rate for candidate in ours}
    for candidate in ours:
        if candidate.info.precision == "screen":  # a screen of few rows scores most of them twice
            candidate.rate = 1 / (1 / rates.get("int8", candidate.rate) + _TWICE / rates.get("fp32", candidate.rate))
    asked = sum(wanted[candidate.name] for candidate in peers)
    # lossrank may get the larger part of the time: it needs enough rows for a meaningful worst 1%.
    shrink = min(1.0, max(seconds, 1.0) * (1 - _LOSSRANK_SHARE if ours else 1.0) / asked) if peers else 1.0
    for candidate in peers:
        count = int(candidate.rate * wanted[candidate.name] * shrink)
        candidate.rows = min(len(rows.texts), max(_LEAST_ROWS, count // BATCH * BATCH))
    if ours:
        left = max(1.0, seconds - sum(candidate.rows / candidate.rate for candidate in peers))
        left = min(left, _LOSSRANK_SECONDS * len(ours))
        count = int(left / sum(1 / candidate.rate for candidate in ours))
        for candidate in ours:
            candidate.rows = min(len(rows.texts), max(_LEAST_ROWS, count // 100 * 100))


def _enough_or_without_screen(timed: list[Timed], enough: int, failed: dict[str, str]) -> list[Timed]:
    """Give lossrank's candidates enough rows for a screen; leave the screen out if that more than doubles the time."""
    ours = [candidate for candidate in timed if candidate.info.lossrank]
    if 2 * min(candidate.rows for candidate in ours) >= enough:
        for candidate in ours:
            candidate.rows = enough
        return timed
    for candidate in timed:
        if candidate.info.precision == "screen":
            reason = f"there is time for {candidate.rows} rows; below {_SCREEN_ROWS:,} rows the worst 1% mean little"
            _give_up(candidate, failed, WorkerError(f"{reason}; give more time with --minutes"))
    return [candidate for candidate in timed if candidate.name not in failed]


def _round(timed: list[Timed], number: int, deadline: float, failed: dict[str, str]) -> list[Timed]:
    """Let each candidate do one repeat; a repeat is done again if other processes used the cores meanwhile."""
    for candidate in timed:
        for _ in range(TRIES):
            reply = _undivided(candidate, [other for other in timed if other is not candidate], failed)
            if reply is None or reply["others"] < DISTURBED or time.monotonic() > deadline:
                break
            candidate.disturbed.append(reply)
        if reply is None:
            continue
        candidate.repeats.append(reply)
        speed = f"{candidate.rows:6} rows {reply['seconds']:6.2f} s {candidate.rows / reply['seconds']:8.1f} rows/s"
        print(f"  {number + 1}  {candidate.info.title:50} {speed}, {reply['others']:.1%} taken by others", flush=True)
    return [candidate for candidate in timed if candidate.name not in failed]


def _undivided(candidate: Timed, others: list[Timed], failed: dict[str, str]) -> dict[str, Any] | None:
    """Do one repeat; measure the share of the cores' time that other processes took, the idle candidates included."""
    others = [other for other in others if other.name not in failed]
    idle = [other.worker.cpu_seconds() for other in others]
    try:
        arguments = {"count": candidate.rows, "save": str(candidate.losses)}
        reply = watched(candidate.worker, lambda: candidate.worker.call("run", **arguments))
    except WorkerError as error:
        _give_up(candidate, failed, error)
        return None
    for other, cpu in zip(others, idle, strict=True):
        other.idle_cpu += other.worker.cpu_seconds() - cpu
        other.idle_wall += reply["wall"]
    time.sleep(_REST_SECONDS)
    return reply


def _figures(timed: Timed, rows: Rows) -> dict[str, Any]:
    tokens = int(rows.tokens[: timed.rows].sum())
    seconds = [repeat["seconds"] for repeat in timed.repeats]
    quiet = [repeat["seconds"] for repeat in timed.repeats if repeat["others"] < DISTURBED] or seconds
    rate = tokens / statistics.median(quiet)
    return {
        "title": timed.info.title,
        "precision": timed.info.precision,
        "lossrank": timed.info.lossrank,
        "sorts": timed.info.sorts,
        "rows": timed.rows,
        "tokens": tokens,
        "seconds": seconds,
        "taken_by_others": [repeat["others"] for repeat in timed.repeats],
        "thrown_away_seconds": [repeat["seconds"] for repeat in timed.disturbed],
        "tokens_per_second": rate,
        "tokens_per_second_range": [tokens / max(quiet), tokens / min(quiet)],
        "rows_per_second": rate / float(rows.tokens.mean()),
        "load_seconds": timed.loaded["seconds"],
        "versions": timed.loaded["versions"],
        "peak_memory_bytes": timed.repeats[-1]["peak_memory_bytes"],
        "cpu_while_idle": timed.idle_cpu / max(timed.idle_wall, 1e-9),
        "notes": timed.repeats[-1]["notes"],
    }


def _ratios(found: dict[str, dict[str, Any]]) -> None:
    """Add each candidate's speed relative to the tutorial's loop and to the fastest peer of each precision."""
    for precision in ("fp32", "int8"):
        peers = {
            name: figures["rows_per_second"]
            for name, figures in found.items()
            if not figures["lossrank"] and figures["precision"] == precision
        }
        if peers:
            best = max(peers, key=peers.__getitem__)
            for figures in found.values():
                figures[f"best_{precision}_peer"] = best
                figures[f"ratio_to_best_{precision}_peer"] = figures["rows_per_second"] / peers[best]
    if "tutorial" in found:
        for figures in found.values():
            figures["ratio_to_tutorial"] = figures["rows_per_second"] / found["tutorial"]["rows_per_second"]


def _spread(losses: Mapping[str, Any]) -> dict[str, float]:
    """Return percentiles of the losses in nats, as computed by an fp32 candidate."""
    reference = next((losses[name] for name in ("lossrank_fp32", "tutorial") if name in losses), None)
    if reference is None:
        return {}
    return {f"p{point}": float(np.percentile(reference, point)) for point in (1, 10, 50, 90, 99)}


def _call(timed: Timed, failed: dict[str, str], **arguments: Any) -> dict[str, Any] | None:
    return _reply(timed, failed) if _try(timed, failed, "run", **arguments) else None


def _try(timed: Timed, failed: dict[str, str], do: str, **arguments: Any) -> bool:
    try:
        timed.worker.send(do, **arguments)
    except WorkerError as error:
        _give_up(timed, failed, error)
    return timed.name not in failed


def _reply(timed: Timed, failed: dict[str, str]) -> dict[str, Any] | None:
    try:
        return timed.worker.reply()
    except WorkerError as error:
        _give_up(timed, failed, error)
    return None


def _give_up(timed: Timed, failed: dict[str, str], error: WorkerError) -> None:
    failed[timed.name] = str(error)
    print(f"  {timed.info.title}: not measured: {error}", flush=True)
    timed.worker.close()
