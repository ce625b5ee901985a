"""Time the candidates of one workload, in turns, and compare their losses."""

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

_AT_ONCE = 3  # workers that load at a time: more would take more memory than the models do
_IN_ORDER_SECONDS, _PEER_SECONDS, _LOSSRANK_SECONDS = 3.0, 3.0, 18.0  # of a repeat, at the most
_LOSSRANK_SHARE = 0.75  # of the time, at the least
_SCREEN_ROWS = 1000
_TWICE = 0.25  # of so many rows, about the share that a screen scores twice: the control sample is at least 200
_LEFT_OUT = "left out here, for the time it takes"
_SORTED_FIRST = 3  # times as many rows for the second warm-up of those that sort: of few, batches are uneven
_LEAST_ROWS = 2 * BATCH
_REST_SECONDS = 0.25  # after each repeat: thread pools spin for a while before they sleep


@dataclass
class Timed:
    """A candidate's worker and what was found of it."""

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
    """Return every candidate's figures or the reason why it has none, within about so many seconds."""
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
        if any(each.info.precision == "screen" and each.rows < _SCREEN_ROWS for each in timed):
            timed = _without_screen(timed, failed)
            _share(timed, rows, left)
        started = time.monotonic()
        for number in range(repeats):
            # Retries may make a round half as long again, no more: the next workload needs its time too.
            timed = _round(timed, number, started + (number + 1.5) * left, failed)
        losses = {each.name: np.load(each.losses) for each in timed}
    finally:
        for each in timed:
            each.worker.close()
    found = {each.name: _figures(each, rows) for each in timed}
    for name, agreement in compare(losses, {each.name: each.info for each in timed}).items():
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
    """Let the workers load, a few at a time."""
    for start in range(0, len(timed), _AT_ONCE):
        for each in timed[start : start + _AT_ONCE]:
            _try(each, failed, "load", job=job.as_json())
        for each in timed[start : start + _AT_ONCE]:
            if each.name not in failed:
                each.loaded = _answer(each, failed) or {}
            if each.name not in failed and _try(each, failed, "read", rows=str(data)):
                _answer(each, failed)
    return [each for each in timed if each.name not in failed]


def _warm_up(timed: list[Timed], first: int, available: int, failed: dict[str, str]) -> list[Timed]:
    """Run every candidate on a few rows, then on as many or, if it sorts, more, to learn about how fast it is."""
    for each in timed:
        for count in (first, min(available, first * _SORTED_FIRST) if each.info.sorts else first):
            answer = _call(each, failed, count=count)
            if answer is None:
                break
            each.rate = count / answer["seconds"]
    return [each for each in timed if each.name not in failed]


def _share(timed: list[Timed], rows: Rows, seconds: float) -> None:
    """Choose every candidate's rows so that a round takes about so many seconds.

    All of lossrank's get the same rows, so that int8 and screen can be compared with fp32.
    """
    seconds -= _REST_SECONDS * len(timed)
    wanted = {each.name: _PEER_SECONDS if each.info.sorts else _IN_ORDER_SECONDS for each in timed}
    peers = [each for each in timed if not each.info.lossrank]
    ours = [each for each in timed if each.info.lossrank]
    rates = {each.info.precision: each.rate for each in ours}
    for each in ours:
        if each.info.precision == "screen":  # of few rows it scores most twice
            each.rate = 1 / (1 / rates.get("int8", each.rate) + _TWICE / rates.get("fp32", each.rate))
    asked = sum(wanted[each.name] for each in peers)
    # The larger part may go to lossrank: it needs more rows, for 1% of them to mean something.
    shrink = min(1.0, max(seconds, 1.0) * (1 - _LOSSRANK_SHARE if ours else 1.0) / asked) if peers else 1.0
    for each in peers:
        count = int(each.rate * wanted[each.name] * shrink)
        each.rows = min(len(rows.texts), max(_LEAST_ROWS, count // BATCH * BATCH))
    if ours:
        left = max(1.0, seconds - sum(each.rows / each.rate for each in peers))
        left = min(left, _LOSSRANK_SECONDS * len(ours))
        count = int(left / sum(1 / each.rate for each in ours))
        for each in ours:
            each.rows = min(len(rows.texts), max(_LEAST_ROWS, count // 100 * 100))


def _without_screen(timed: list[Timed], failed: dict[str, str]) -> list[Timed]:
    """Leave out what looks for the worst of the rows, where there is time for few."""
    for each in timed:
        if each.info.precision == "screen":
            reason = (
                f"the time is enough for {each.rows} rows, and of fewer than {_SCREEN_ROWS:,} the worst 1% say little"
            )
            _give_up(each, failed, WorkerError(f"{reason}; give it more with --minutes"))
    return [each for each in timed if each.name not in failed]


def _round(timed: list[Timed], number: int, deadline: float, failed: dict[str, str]) -> list[Timed]:
    """Let every candidate do one repeat, again if something else ran on its cores meanwhile."""
    for each in timed:
        for _ in range(TRIES):
            answer = _undivided(each, [other for other in timed if other is not each], failed)
            if answer is None or answer["others"] < DISTURBED or time.monotonic() > deadline:
                break
            each.disturbed.append(answer)
        if answer is None:
            continue
        each.repeats.append(answer)
        speed = f"{each.rows:6} rows {answer['seconds']:6.2f} s {each.rows / answer['seconds']:8.1f} rows/s"
        print(f"  {number + 1}  {each.info.title:50} {speed}, {answer['others']:.1%} taken by others", flush=True)
    return [each for each in timed if each.name not in failed]


def _undivided(each: Timed, others: list[Timed], failed: dict[str, str]) -> dict[str, Any] | None:
    """Do one repeat, and count how much of the cores' time was not this candidate's."""
    others = [other for other in others if other.name not in failed]
    idle = [other.worker.cpu_seconds() for other in others]
    try:
        arguments = {"count": each.rows, "save": str(each.losses)}
        answer = watched(each.worker, lambda: each.worker.call("run", **arguments))
    except WorkerError as error:
        _give_up(each, failed, error)
        return None
    for other, cpu in zip(others, idle, strict=True):
        other.idle_cpu += other.worker.cpu_seconds() - cpu
        other.idle_wall += answer["wall"]
    time.sleep(_REST_SECONDS)
    return answer


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
    """Add how many times as fast as the tutorial's loop, and as the fastest peer of each precision, each one is."""
    for precision in ("fp32", "int8"):
        peers = {
            name: each["rows_per_second"]
            for name, each in found.items()
            if not each["lossrank"] and each["precision"] == precision
        }
        if peers:
            best = max(peers, key=peers.__getitem__)
            for each in found.values():
                each[f"best_{precision}_peer"] = best
                each[f"ratio_to_best_{precision}_peer"] = each["rows_per_second"] / peers[best]
    if "tutorial" in found:
        for each in found.values():
            each["ratio_to_tutorial"] = each["rows_per_second"] / found["tutorial"]["rows_per_second"]


def _spread(losses: Mapping[str, Any]) -> dict[str, float]:
    """Return how the losses of the rows that most candidates share lie, in nats, from a single-precision candidate."""
    reference = next((losses[name] for name in ("lossrank_fp32", "tutorial") if name in losses), None)
    if reference is None:
        return {}
    return {f"p{point}": float(np.percentile(reference, point)) for point in (1, 10, 50, 90, 99)}


def _call(timed: Timed, failed: dict[str, str], **arguments: Any) -> dict[str, Any] | None:
    return _answer(timed, failed) if _try(timed, failed, "run", **arguments) else None


def _try(timed: Timed, failed: dict[str, str], do: str, **arguments: Any) -> bool:
    try:
        timed.worker.send(do, **arguments)
    except WorkerError as error:
        _give_up(timed, failed, error)
    return timed.name not in failed


def _answer(timed: Timed, failed: dict[str, str]) -> dict[str, Any] | None:
    try:
        return timed.worker.answer()
    except WorkerError as error:
        _give_up(timed, failed, error)
    return None


def _give_up(timed: Timed, failed: dict[str, str], error: WorkerError) -> None:
    failed[timed.name] = str(error)
    print(f"  {timed.info.title}: not measured: {error}", flush=True)
    timed.worker.close()
