"""Measure lossrank and its peers: ``python -m benchmarks [--quick]``, or ``make bench``."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.agree import DisagreementError
from benchmarks.machine import describe
from benchmarks.measure import measure
from benchmarks.protocol import Job
from benchmarks.rows import make_rows
from benchmarks.runner import ROOT
from benchmarks.sweeps import sweep
from benchmarks.workloads import QUICK, WORKLOADS, Workload
from scorer.bench.peak import matrix_peak

_SWEEP_SHARE = 1.6
_LEAST_SECONDS = 15  # a workload is not started if less time is left


def main() -> None:
    """Measure all workloads, then write the JSON file and the page of results."""
    options = _options()
    cpus = [int(cpu) for cpu in options.cpus.split(",")] if options.cpus else sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cpus)
    deadline = time.monotonic() + 60 * options.minutes
    started = time.monotonic()
    workloads: tuple[Workload, ...] = QUICK if options.quick else WORKLOADS
    if options.only:
        wanted, known = options.only.split(","), [workload.name for workload in workloads]
        if unknown := sorted(set(wanted) - set(known)):
            sys.exit(f"Error: no workload {', '.join(unknown)}; it must be one of: {', '.join(known)}")
        workloads = tuple(workload for workload in workloads if workload.name in wanted)
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "repeats": options.repeats,
        "matrix_peak_flops": matrix_peak(len(cpus)),
        "models": {},
        "workloads": {},
        "not_measured": {},
    }
    # The models are prepared before the time is divided, because the first export takes minutes.
    prepared = {name: _prepare(name, options.cache, len(cpus)) for name in dict.fromkeys(w.model for w in workloads)}
    result["models"] = {name: {key: model[key] for key in _KEPT} for name, model in prepared.items()}
    result["prepare_seconds"] = time.monotonic() - started
    sweeps = None if options.quick or "minilm" not in prepared else _SWEEP_SHARE
    shares = sum(workload.share for workload in workloads) + (sweeps or 0)
    options.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.cache) as scratch:
        for workload in workloads:
            job, rows = _job(workload, prepared, Path(scratch), len(cpus))
            seconds = (deadline - time.monotonic()) * workload.share / shares
            shares -= workload.share
            print(f"{workload.title}: {seconds:.0f} s", flush=True)
            if seconds < _LEAST_SECONDS and not options.quick:
                result["not_measured"][workload.name] = f"only {seconds:.0f} s were left; give more time with --minutes"
                continue
            try:
                found = measure(workload, rows, job, seconds, options.repeats)
            except DisagreementError as error:
                sys.exit(f"Error: the candidates do not compute the same losses on {workload.title}: {error}")
            result["workloads"][workload.name] = {"model": workload.model, **found}
        if sweeps:
            print("lossrank by cores, batch size and length", flush=True)
            job, rows = _job(WORKLOADS[0], prepared, Path(scratch), len(cpus))
            result["sweeps"] = sweep(job, rows, cpus, max(20.0, deadline - time.monotonic()))
    result["seconds"] = time.monotonic() - started
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{options.output} after {result['seconds']:.0f} s")
    if options.docs:
        from benchmarks.report import write_page

        print(write_page(result, options.docs))


_KEPT = ("token_parameters", "variants", "limit")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure only the demo's model and the candidates that need no other package",
    )
    parser.add_argument("--minutes", type=float, help="time for all measurements (default: 13.5; with --quick: 0.6)")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats per candidate (default: 3)")
    parser.add_argument("--cpus", help="cores to use, such as 2,3 (default: the first two available)")
    parser.add_argument("--only", help="workloads to measure, such as minilm,demo (default: all)")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".bench", help="folder for the prepared models (default: .bench)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="JSON file (default: benchmarks/results/cpu.json; with --quick or --only: part.json in the cache)",
    )
    parser.add_argument("--docs", type=Path, help="folder for benchmarks.md and its charts (default: none)")
    options = parser.parse_args()
    whole = not (options.quick or options.only)
    results = ROOT / "benchmarks" / "results" if whole else options.cache
    options.output = options.output or results / ("cpu.json" if whole else "part.json")
    options.minutes = options.minutes or (0.6 if options.quick else 13.5)
    return options


def _prepare(name: str, cache: Path, cores: int) -> dict[str, Any]:
    print(f"preparing {name}", flush=True)
    command = [sys.executable, "-m", "benchmarks.prepare", name, str(cache.absolute()), str(cores)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"Error: the model {name} could not be prepared:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _job(workload: Workload, prepared: dict[str, Any], scratch: Path, cores: int) -> tuple[Job, Any]:
    model = prepared[workload.model]
    calibration = tuple(model["calibration"])
    paths = {name: Path(model[name]) for name in ("folder", "graph", "bundle")}
    job = Job(
        **paths, scratch=scratch, limit=model["limit"], cores=cores, classes=tuple(model["classes"]),
        calibration=calibration,
    )  # fmt: skip
    return job, make_rows(workload.rows, model["limit"]).without(calibration)


if __name__ == "__main__":
    main()
