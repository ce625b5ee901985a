"""What the tests of the command line share: its lines and documents, processes of it, and a read-only folder."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pytest

from tests.support import ROOT

Lossrank = Callable[..., click.testing.Result]


def error_line(result: click.testing.Result) -> str:
    """Return the one line of an error, checking that it is one."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.output
    assert result.stderr.endswith(lines[0] + "\n")
    assert "Traceback" not in result.output
    return lines[0]


def document(result: click.testing.Result, code: int = 0) -> dict[str, Any]:
    """Return a command's only document, checking that stdout has nothing else."""
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return found


def read_report(lossrank: Lossrank, *arguments: object) -> dict[str, Any]:
    """Return a run's report as JSON."""
    return document(lossrank("report", *arguments, "--format", "json"))


def json_lines(file: Path) -> list[dict[str, Any]]:
    """Return the documents of a file that has one a line."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def command_line(*arguments: object) -> list[str]:
    """Return the arguments that start the command line in a process of its own."""
    return [sys.executable, "-c", "from cli.entry import main; main()", *map(str, arguments)]


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        command_line(*arguments), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def listed_shards(run: Path) -> int:
    """Return how many shards a run's manifest says are finished."""
    try:
        return len(json.loads((run / "run.json").read_text())["shards"])
    except FileNotFoundError:
        return 0


def wait_for_shards(run: Path, count: int = 1) -> None:
    """Wait until a run's manifest lists some shards; a minute at most."""
    deadline = time.monotonic() + 60
    while listed_shards(run) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def read_only(tmp_path: Path) -> Path:
    """Return a folder that even root can't write to (procfs), or one without the permission."""
    if os.geteuid() == 0:
        return Path("/proc/self")
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    return folder
