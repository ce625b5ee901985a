"""Measure lossrank in fp32 by number of cores, batch size and text length."""

import functools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.protocol import Job
from benchmarks.rows import Rows, make_rows
from benchmarks.runner import DISTURBED, TRIES, Worker, python_of, watched

_NAME = "lossrank_fp32"
_BATCH_TOKENS = (128, 256, 512, 1024, 2048, 4096)
_LENGTHS = (16, 32, 64, 128, 256, 512)
_REPEATS = 3


def sweep(job: Job, news: Rows, cpus: Sequence[int], seconds: float) -> dict[str, Any]:
    """Return tokens per second by cores, batch size and text length, in about ``seconds`` seconds."""
    steps = len(_BATCH_TOKENS) + len(_LENGTHS) + 2 * len(cpus)
    workers = {}
    try:
        for cores in {1, len(cpus)}:
            workers[cores] = worker = Worker(_NAME, python_of(_NAME), cores, job.scratch / f"sweep-{cores}.log")
            worker.call("pin", cpus=list(cpus[:cores]))
            worker.call("load", job={**job.as_json(), "cores": cores})
            worker.call("read", rows=str(news.save(job.scratch / "news.json")))
            worker.call("run", count=64)
        all_cores = workers[len(cpus)]
        tokens_wanted = 128 * int(news.tokens.mean()) / all_cores.call("run", count=128)["seconds"]
        tokens_wanted *= seconds / steps / (_REPEATS + 0.5)
        count = int(min(len(news.texts), max(64, tokens_wanted / news.tokens.mean())))
        tokens = int(news.tokens[:count].sum())
        by_length = {length: _of_length(job, length, tokens_wanted) for length in _LENGTHS}
        found = {
            "cores": _in_turns({cores: (worker, {"count": count}, tokens) for cores, worker in workers.items()}),
            "batch_tokens": _in_turns(
                {size: (all_cores, {"count": count, "batch_tokens": size}, tokens) for size in _BATCH_TOKENS}
            ),
            "length": _in_turns({length: (all_cores, *order) for length, order in by_length.items()}),
        }
        return {"rows": count, **found}
    finally:
        for worker in workers.values():
            worker.close()


def _of_length(job: Job, length: int, tokens_wanted: float) -> tuple[dict[str, Any], int]:
    """Return the order that makes a worker score texts of one length, and the total number of tokens in those texts."""
    rows = make_rows(f"len-{length}", job.limit)
    count = int(min(len(rows.texts), max(8, tokens_wanted / length)))
    return {"count": count, "rows": str(rows.save(job.scratch / f"{rows.name}.json"))}, int(rows.tokens[:count].sum())


def _in_turns(points: Mapping[int, tuple[Worker, dict[str, Any], int]]) -> dict[int, float]:
    """Return the median tokens per second at each point; each round measures every point once."""
    seconds: dict[int, list[float]] = {point: [] for point in points}
    for _ in range(_REPEATS):
        for point, (worker, order, _tokens) in points.items():
            order = dict(order)
            if "rows" in order:
                worker.call("read", rows=order.pop("rows"))
            for _ in range(TRIES):
                reply = watched(worker, functools.partial(worker.call, "run", **order))
                if reply["others"] < DISTURBED:
                    break
            seconds[point].append(reply["seconds"])
    return {point: tokens / statistics.median(seconds[point]) for point, (_, _, tokens) in points.items()}
