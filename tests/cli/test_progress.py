"""How far a run is: a bar on a terminal, plain lines elsewhere."""

import io
import os
import sys

import pytest
from rich.console import Console

from cli import entry
from cli import progress as cli_progress
from cli.progress import ScoreProgress
from scorer import Progress
from scorer.text import duration

HALF = Progress(total_rows=4000, kept=1000, rows=1000, tokens=50_000, padded_tokens=51_000, seconds=10.0)


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool, reports: list[Progress], every: float = 0.0) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=150, highlight=False, soft_wrap=not terminal)
    monkeypatch.setattr(cli_progress, "stderr", lambda: console)
    monkeypatch.setattr(cli_progress, "_EVERY", every)
    with ScoreProgress() as progress:
        for report in reports:
            progress(report)
        assert progress.last is reports[-1]
    return file.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = shown(monkeypatch, True, [Progress(total_rows=4000, kept=1000), HALF])
    assert "2000/4000" in bar
    assert "100 rows/s  5,000 tokens/s  2.0% padding" in bar
    assert "left" in bar


def test_elsewhere_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, False, [HALF]) == (
        "2,000 of 4,000 rows (50%)  100 rows/s  5,000 tokens/s  2.0% padding  20.0 s left\n"
    )
    assert shown(monkeypatch, False, [HALF] * 50, every=3600.0) == ""


def test_a_screens_second_part_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Progress(total_rows=4000, rows=4000, tokens=1, padded_tokens=1, rescored=1200, seconds=9.0)
    for terminal in (True, False):
        assert "1,200 rows scored again in fp32" in shown(monkeypatch, terminal, [done])


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_is_done_and_left_is_counted_from_both_processes_and_the_speed_from_this_one() -> None:
    assert (HALF.done, HALF.left, HALF.rows_per_second, HALF.seconds_left) == (2000, 2000, 100.0, 20.0)
    begun = Progress(total_rows=4000, kept=1000)
    assert (begun.done, begun.left, begun.rows_per_second, begun.seconds_left) == (1000, 3000, 0.0, 0.0)


@pytest.mark.parametrize(("command", "threads"), [("rank", "1"), ("bench", None)])
def test_numpy_has_all_cores_where_its_speed_is_measured(
    monkeypatch: pytest.MonkeyPatch, command: str, threads: str | None
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # so that it is put back after the test
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    monkeypatch.setattr(sys, "argv", ["lossrank", command])
    monkeypatch.setattr(entry, "stop_on_signals", lambda: None)
    monkeypatch.setattr(entry, "ignore_signals", lambda: None)
    seen: list[str | None] = []
    monkeypatch.setattr("cli.main.run", lambda prog_name: seen.append(os.environ.get("OPENBLAS_NUM_THREADS")))
    with pytest.raises(SystemExit):
        entry.main()
    assert seen == [threads]
