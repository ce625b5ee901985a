"""What is left of the machine's memory."""

from pathlib import Path

from scorer.machine import available_memory

MB = 1 << 20


def machine(folder: Path, **files: str) -> int | None:
    """Return the memory of a machine whose files are given by name."""
    for name, content in {"meminfo": "", "status": "", **files}.items():
        file = {"meminfo": "proc/meminfo", "status": "proc/self/status", "v2": "cgroup/memory.max"}.get(
            name, "cgroup/memory/memory.limit_in_bytes"
        )
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)
    return available_memory(folder / "proc", folder / "cgroup")


def test_it_is_what_the_machine_and_the_cgroup_leave(tmp_path: Path) -> None:
    free = "MemTotal:       4096 kB\nMemAvailable:   3072 kB\n"
    used = "VmHWM:   9999 kB\nVmRSS:   1024 kB\n"
    assert machine(tmp_path / "a", meminfo=free, status=used) == 3 * MB
    assert machine(tmp_path / "b", meminfo=free, status=used, v2="max\n") == 3 * MB
    assert machine(tmp_path / "c", meminfo=free, status=used, v2=f"{2 * MB}\n") == MB
    assert machine(tmp_path / "d", meminfo=free, status=used, v1=f"{3 * MB}\n") == 2 * MB
    assert machine(tmp_path / "e", meminfo=free, status=used, v2=f"{MB // 2}\n") == 0


def test_without_the_systems_word_it_is_half_of_the_machine(tmp_path: Path) -> None:
    half = available_memory(tmp_path, tmp_path)
    assert half is None or half > 100 * MB
