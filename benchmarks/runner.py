"""Start worker processes and give them orders."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import busy_seconds

ROOT = Path(__file__).parents[1]
_QUIET = {
    # No candidate uses the network or sends telemetry.
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DO_NOT_TRACK": "1",
    "NNCF_CI": "1",
    "CI": "true",
    "TQDM_DISABLE": "1",
}

Reply = dict[str, Any]
DISTURBED = 0.05  # a repeat is done again if other processes take at least this share of the cores
TRIES = 3


class WorkerError(Exception):
    """Raised when a candidate fails; the message says why."""


class Worker:
    """A candidate's process, on the parent's cores, with its own log file."""

    def __init__(self, name: str, python: str | Path, cores: int, log: Path) -> None:
        """Start the process.

        Raises:
            WorkerError: the interpreter does not exist.
        """
        self.name = name
        if not Path(python).exists():
            raise WorkerError(f"its environment does not exist: {name} was not installed")
        self._log = log
        threads = {"OMP_NUM_THREADS": str(cores), "MKL_NUM_THREADS": str(cores), "RAYON_NUM_THREADS": str(cores)}
        with log.open("w") as stream:
            self._process = subprocess.Popen(
                [str(python), "-m", "benchmarks.worker", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                cwd=ROOT,
                env={**os.environ, **_QUIET, **threads},
                text=True,
            )

    def send(self, do: str, **arguments: Any) -> None:
        """Send the worker an order without waiting for its reply.

        Raises:
            WorkerError: the process has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._end()) from None

    def reply(self) -> dict[str, Any]:
        """Wait for the worker's reply.

        Raises:
            WorkerError: the worker failed, or its process has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._end())
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def call(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send the worker an order and return its reply.

        Raises:
            WorkerError: the worker failed, or its process has ended.
        """
        self.send(do, **arguments)
        return self.reply()

    def cpu_seconds(self) -> float:
        """Return the processor time (s) that the process has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None and self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _end(self) -> str:
        self._process.wait()
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return f"its process ended with {self._process.returncode}: {(lines or ['no output'])[-1][:300]}"


def watched(worker: Worker, order: Callable[[], Reply]) -> Reply:
    """Run ``order``, and return its reply with ``others``: the share of the cores' time that other processes took."""
    busy, own, started = busy_seconds(), worker.cpu_seconds(), time.perf_counter()
    reply = order()
    wall = time.perf_counter() - started
    taken = busy_seconds() - busy - (worker.cpu_seconds() - own)
    return reply | {"wall": wall, "others": max(0.0, taken) / wall / len(os.sched_getaffinity(0))}


def python_of(name: str) -> str:
    """Return a candidate's interpreter: the variable ``BENCH_PYTHON_<NAME>``, or the interpreter of this process."""
    return os.environ.get(f"BENCH_PYTHON_{name.upper()}", sys.executable)
