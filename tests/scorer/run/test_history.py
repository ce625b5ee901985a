"""The history of a run: who worked on it, and why each process ended; the clock may do what it likes."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from msgspec.structs import replace

from scorer import LabelError, ModelBundle, Progress, RunError, ScoreOptions, score_dataset
from scorer.errors import WITHHELD
from scorer.run import history as scorer_history
from scorer.run.history import Stint, closed, now, reason
from scorer.run.manifest import Machine
from scorer.run.status import run_status

OPTIONS = ScoreOptions(shard_rows=100, threads=1)


def history(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "run.json").read_text())["history"]
    return found


class Ends:
    """Raises an error once so many rows are done."""

    def __init__(self, rows: int, error: BaseException) -> None:
        self.rows, self.error = rows, error

    def __call__(self, progress: Progress) -> None:
        if progress.rows >= self.rows:
            raise self.error


def test_every_start_and_why_it_ended_is_kept(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for ends in (Ends(300, KeyboardInterrupt()), Ends(200, ValueError("two\nlines"))):
        with pytest.raises(type(ends.error)):
            score_dataset(tiny_bundle, rows, run, OPTIONS, on_progress=ends)
    score_dataset(tiny_bundle, rows, run, OPTIONS)
    entries = history(run)
    assert [entry["why"] for entry in entries] == ["interrupted", f"ValueError: {WITHHELD}", "finished"]
    assert sum(entry["rows"] for entry in entries) == 1000
    for entry in entries:
        assert entry["pid"] > 0
        assert entry["host"]
        assert entry["machine"]["threads"] == 1
        assert entry["machine"]["versions"]["lossrank"]
        assert entry["started"].endswith("+00:00")
        assert entry["started"] <= entry["updated"] <= entry["ended"]
        assert entry["seconds"] > 0


def test_a_finished_run_that_is_asked_for_again_has_no_new_start(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    for _ in range(2):
        score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    assert len(history(tmp_path / "run")) == 1
    score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS, overwrite=True)
    assert len(history(tmp_path / "run")) == 1


def test_an_end_that_was_not_written_is_found_at_the_next_start(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Stint, "end", lambda *_: None)  # as after a kill
        with pytest.raises(KeyboardInterrupt):
            score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS, on_progress=Ends(500, KeyboardInterrupt()))
    assert history(tmp_path / "run")[0]["why"] is None
    score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    assert [entry["why"] for entry in history(tmp_path / "run")] == ["unknown", "finished"]


def test_a_manifest_from_before_there_was_a_history_gets_one(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    del manifest["history"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    assert run_status(tmp_path / "run").state == "finished"
    (tmp_path / "run" / "scores" / "part-00003.parquet").unlink()
    score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    assert [entry["rows"] for entry in history(tmp_path / "run")] == [100]


def test_a_clock_that_goes_backwards_breaks_nothing(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "whole", OPTIONS)
    hours = iter(range(23, -1, -1))
    monkeypatch.setattr(scorer_history, "now", lambda: f"2030-01-01T{next(hours):02}:00:00+00:00")
    monkeypatch.setattr("time.time", lambda: 0.0)
    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS, on_progress=Ends(300, KeyboardInterrupt()))
    seen = run_status(tmp_path / "run")
    assert seen.rows_per_second is not None
    assert seen.rows_per_second > 0
    stats = score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    assert stats.by_status == {"ok": 1000}
    assert all(seconds >= 0 for seconds in stats.seconds.values())
    assert all(entry["seconds"] > 0 and entry["ended"] < entry["started"] for entry in history(tmp_path / "run"))
    for file in (tmp_path / "whole" / "scores").iterdir():
        assert (tmp_path / "run" / "scores" / file.name).read_bytes() == file.read_bytes()


def test_what_has_no_end_was_killed() -> None:
    ended = Stint.begin(Machine())
    ended.end("finished")
    entries = [ended.entry(), Stint.begin(Machine()).entry()]
    assert closed(entries) == (entries[0], replace(entries[1], why="unknown"))


def test_the_oldest_of_too_many_starts_are_dropped(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    run = tmp_path / "run"
    score_dataset(tiny_bundle, rows, run, OPTIONS)
    manifest = json.loads((run / "run.json").read_text())
    entry = manifest["history"][0]
    manifest["history"] = [entry | {"pid": i} for i in range(1200)]
    (run / "run.json").write_text(json.dumps(manifest))
    (run / "scores" / "part-00003.parquet").unlink()
    score_dataset(tiny_bundle, rows, run, OPTIONS)
    kept = history(run)
    assert len(kept) == 1000
    assert [entry["pid"] for entry in kept[:-1]] == list(range(201, 1200))
    assert kept[-1]["rows"] == 100


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(143), "interrupted"),
        (MemoryError(), "MemoryError"),
        (RunError("a\n  b"), "RunError: a b"),
        (ValueError("a text"), f"ValueError: {WITHHELD}"),
        (LabelError("the labels 'a text'"), f"LabelError: {WITHHELD}"),
        (OSError(28, "No space left"), "OSError: [Errno 28] No space left"),
    ],
)
def test_a_reason_is_one_line_and_quotes_no_data(error: BaseException, why: str) -> None:
    assert reason(error) == why


def test_moments_are_utc() -> None:
    assert now().endswith("+00:00")
