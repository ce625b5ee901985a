"""Describe the machine that the figures are measured on."""

import os
import platform
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Return the processor, available cores, memory and system."""
    info = _fields(Path("/proc/cpuinfo"), ":")
    flags = info.get("flags", "").split()
    memory = _fields(Path("/proc/meminfo"), ":").get("MemTotal", "0 kB").split()
    return {
        "cpu": info.get("model name", platform.processor()),
        "family": f"family {info.get('cpu family', '?')}, model {info.get('model', '?')}",
        "instructions": [
            flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if flag in flags
        ],
        "cores": sorted(os.sched_getaffinity(0)),
        "cores_of_machine": os.cpu_count(),
        "memory_bytes": int(memory[0]) * 1024,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def busy_seconds() -> float:
    """Return the total time (s) since the machine started in which the available cores ran any process."""
    cpus = {f"cpu{cpu}" for cpu in os.sched_getaffinity(0)}
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name in cpus:  # user, nice, system, idle, iowait, irq, softirq, steal
            ticks += sum(int(value) for i, value in enumerate(values[:8]) if i not in (3, 4))
    return ticks / os.sysconf("SC_CLK_TCK")


def _fields(path: Path, separator: str) -> dict[str, str]:
    """Return the first value of each name in a file of `name: value` lines."""
    found: dict[str, str] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            name, _, value = line.partition(separator)
            found.setdefault(name.strip(), value.strip())
    return found
