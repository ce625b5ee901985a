"""Run one candidate in its own process: load it once, then do one repeat per order on standard input.

    python -m benchmarks.worker CANDIDATE

Orders and replies are lines with a JSON object. Between orders the process waits in a read, which takes no processor
time.
"""

import importlib
import json
import logging
import os
import sys
import time
import traceback
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.protocol import Job


def main() -> None:
    """Carry out orders until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the replies
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    candidate = _Candidate(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            reply = getattr(candidate, order.pop("do"))(**order)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": _one_line(error)}
        _send(replies, reply)


class _Candidate:
    def __init__(self, name: str) -> None:
        self._name = name
        self._scorer: Any = None
        self._data: tuple[list[str], Any] = ([], None)

    def load(self, job: dict[str, Any]) -> dict[str, Any]:
        """Load the model."""
        module = importlib.import_module(f"benchmarks.candidates.{self._name}")
        started = time.perf_counter()
        self._scorer = module.load(Job.from_json(job))
        versions = {name: metadata.version(name) for name in module.INFO.distributions}
        return {"seconds": time.perf_counter() - started, "versions": versions, "python": sys.version.split()[0]}

    def read(self, rows: str) -> dict[str, Any]:
        """Read the rows from a file; a later ``run`` scores the first ``count`` of these rows."""
        content = json.loads(Path(rows).read_text(encoding="utf-8"))
        self._data = content["texts"], np.array(content["labels"], dtype=np.int64)
        return {}

    def pin(self, cpus: list[int]) -> dict[str, Any]:
        """Run on these cores only; send this before ``load``."""
        os.sched_setaffinity(0, cpus)
        return {}

    def run(self, count: int, save: str | None = None, **options: Any) -> dict[str, Any]:
        """Score the first ``count`` rows and save their losses; ``seconds`` covers the scoring only."""
        texts, labels = self._data[0][:count], self._data[1][:count]
        started = time.perf_counter()
        scored = self._scorer(texts, labels, **options)
        seconds = time.perf_counter() - started
        if scored.losses.shape != (count,):
            raise ValueError(f"{len(scored.losses)} losses for {count} rows; a candidate must return one per row")
        if save:
            np.save(save, scored.losses)
        return {"seconds": scored.seconds or seconds, "notes": scored.notes, "peak_memory_bytes": _peak_memory()}


def _peak_memory() -> int:
    """Return this process's peak memory; getrusage would include the parent's memory before the fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def _send(stream: TextIO, reply: dict[str, Any]) -> None:
    stream.write(json.dumps(reply) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
