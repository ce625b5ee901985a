"""Worker processes, told one at a time what to do."""

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
    # Nothing is looked for on the network, and nobody is told what runs here.
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DO_NOT_TRACK": "1",
    "NNCF_CI": "1",
    "CI": "true",
    "TQDM_DISABLE": "1",
}


Answer = dict[str, Any]
DISTURBED = 0.05  # share of the cores that others take during a repeat from which on it is done again
TRIES = 3


class WorkerError(Exception):
    """A candidate could not do what it was told; the message says why."""


class Worker:
    """A candidate's process. It has the parent's cores, and its own log of what it prints."""

    def __init__(self, name: str, python: str | Path, cores: int, log: Path) -> None:
        """Start the process.

        Raises:
            WorkerError: the interpreter is not there.
        """
        self.name = name
        if not Path(python).exists():
            raise WorkerError(f"its environment is not there: {name} was not installed")
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
        """Tell the worker what to do, without waiting for it.

        Raises:
            WorkerError: the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._end()) from None

    def answer(self) -> dict[str, Any]:
        """Wait for what the worker says.

        Raises:
            WorkerError: it failed, or its process is gone.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._end())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def call(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Tell the worker what to do and wait for it."""
        self.send(do, **arguments)
        return self.answer()

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used so far."""
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
        return f"its process ended with {self._process.returncode}: {(lines or ['no word'])[-1][:300]}"


def watched(worker: Worker, order: Callable[[], Answer]) -> Answer:
    """Return an answer of a worker with ``others``: the share of the cores' time that was not this worker's."""
    busy, own, started = busy_seconds(), worker.cpu_seconds(), time.perf_counter()
    answer = order()
    wall = time.perf_counter() - started
    taken = busy_seconds() - busy - (worker.cpu_seconds() - own)
    return answer | {"wall": wall, "others": max(0.0, taken) / wall / len(os.sched_getaffinity(0))}


def python_of(name: str) -> str:
    """Return the interpreter of a candidate: this one, unless the environment names another for it."""
    return os.environ.get(f"BENCH_PYTHON_{name.upper()}", sys.executable)
