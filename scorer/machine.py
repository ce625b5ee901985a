"""This machine: its CPU, cores and memory, this process's peak memory, and the installed versions."""

import contextlib
import functools
import os
import platform
import resource
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

# Wide vector and matrix instructions, as Linux names them (x86-64, then 64-bit Arm).
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm", "sve")
_PACKAGES = ("lossrank", "numpy", "pyarrow", "tokenizers", "onnxruntime", "onnxruntime-gpu")


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution that is installed, in the given order."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.distribution(name).version
        except metadata.PackageNotFoundError:
            continue
    return found


def is_installed(distribution: str) -> bool:
    """Return whether a distribution is installed, without reading its metadata, which takes milliseconds."""
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def hardware(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """Return the CPU's name, the cores that this process may use, the machine's memory in bytes and the CPU's flags.

    The flags are the entries of ``_FLAGS`` that the CPU has. A value that the system doesn't report is None or missing.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    known = {name.strip(): value.strip() for name, _, value in reversed([line.partition(":") for line in lines])}
    flags = (known.get("flags") or known.get("Features") or "").split()
    try:
        memory: int | None = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        memory = None
    return {
        "cpu": known.get("model name") or platform.processor() or platform.machine() or None,
        "cores": available_cores(),
        "memory_bytes": memory,
        "flags": [flag for flag in _FLAGS if flag in flags],
    }


def available_cores() -> int:
    """Return how many whole cores this process may use, as its affinity mask and its cgroup's CPU quota allow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _cgroup_cores(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")) or cores))


def _cgroup_cores(root: Path, membership: Path) -> int | None:
    """Return the smallest CPU quota, in whole cores, from the process's cgroup up to the root; None if none is set."""
    quotas = []
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2: one tree
            base = root
        elif "cpu" in controllers.split(","):
            base = root / "cpu"
        else:
            continue
        folder = base / group.lstrip("/")
        for level in [folder, *folder.parents]:
            quota = _quota(level)
            if quota is not None:
                quotas.append(max(1, round(quota)))
            if level == base:
                break
    return min(quotas, default=None)


def _quota(folder: Path) -> float | None:
    """Return how many cores one cgroup may use (cpu.max in version 2, cfs files in version 1); None for no limit."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def available_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how many bytes this process can still take, as the machine's free memory and its cgroup's limit allow.

    Where the system does not report free memory, it is half of the machine's; None if that is unknown too.
    """
    physical = hardware()["memory_bytes"]
    found = [physical // 2] if physical else []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        found = [1024 * _entry(proc / "meminfo", "MemAvailable:")]
    for file in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError, StopIteration):  # the word "max" is no limit
            found.append(max(0, int(file.read_text()) - 1024 * _entry(proc / "self" / "status", "VmRSS:")))
    return min(found, default=None)


def _entry(file: Path, name: str) -> int:
    """Return the number of an entry of a file such as /proc/meminfo."""
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))


def peak_memory_bytes() -> int:
    """Return the largest resident memory this process has had, in bytes."""
    # Linux's getrusage includes the memory that the process had before exec, which is its parent's.
    with contextlib.suppress(OSError, ValueError, StopIteration):
        return 1024 * _entry(Path("/proc/self/status"), "VmHWM:")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the packages that losses and speed depend on.

    They are read once: a package that is installed meanwhile is not the one that this process has loaded.
    """
    return {"python": platform.python_version(), "system": platform.platform(), **_loaded_versions()}


@functools.cache
def _loaded_versions() -> dict[str, str]:
    return installed_versions(_PACKAGES)
