"""run_status() and `lossrank status`: a run in progress, interrupted or finished, and no trace of having looked."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pytest

from scorer import ModelBundle, Progress, RunError, ScoreOptions, score_dataset
from scorer.run.lock import locked, writer
from scorer.run.status import RunStatus, run_status
from tests.support.facts import tells

Lossrank = Callable[..., click.testing.Result]
OPTIONS = ScoreOptions(shard_rows=100, threads=1)


@pytest.fixture(scope="module")
def ended(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for ``finished`` to copy."""
    path = tmp_path_factory.mktemp("ended") / "run"
    score_dataset(tiny_bundle, rows, path, OPTIONS)
    return path


@pytest.fixture
def finished(ended: Path, tmp_path: Path) -> Path:
    """A finished run for this test alone."""
    return Path(shutil.copytree(ended, tmp_path / "run"))


def change(run: Path, **changes: Any) -> None:
    manifest = json.loads((run / "run.json").read_text()) | changes
    (run / "run.json").write_text(json.dumps({key: value for key, value in manifest.items() if value is not None}))


def begun(run: Path, shards: int = 4, seconds: float = 2.0, **entry: Any) -> None:
    """Make a finished run one that has so many shards, the last one just now."""
    manifest = json.loads((run / "run.json").read_text())
    moment = datetime(2030, 1, 1, tzinfo=UTC).isoformat()
    spent = {"rows": shards * 100, "scoring_seconds": seconds, "seconds": seconds}
    last = manifest["history"][0] | spent | {"updated": moment, "ended": None}
    change(
        run,
        shards=dict(list(manifest["shards"].items())[:shards]),
        history=[last | {"why": None} | entry],
        summary=None,
    )


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Hold a run's lock as another process does: another open file."""
    with (run / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_run_is_seen_from_beside_while_it_is_scored(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    seen: list[RunStatus] = []

    def look(progress: Progress) -> None:
        seen.append(run_status(tmp_path / "run"))

    score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS, on_progress=look)
    assert {(status.state, status.pid) for status in seen} == {("running", os.getpid())}
    done = [status.done for status in seen]
    assert done == sorted(done)
    assert all(status.done + status.left == status.rows == 1000 for status in seen)
    assert all(status.done == status.shards_done * 100 for status in seen)
    assert {status.doing for status in seen} == {"scoring", "closing"}
    middle = next(status for status in seen if status.done == 500)
    assert middle.rows_per_second is not None
    assert middle.seconds_left is not None
    assert middle.estimated_end is not None
    assert middle.why is None
    end = run_status(tmp_path / "run")
    assert (end.state, end.done, end.left, end.pid, end.why) == ("finished", 1000, 0, None, "finished")
    assert end.summary is not None


def test_what_is_left_follows_from_the_speed_so_far(finished: Path) -> None:
    begun(finished, shards=4, seconds=2.0)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    with held(finished):
        just_now = run_status(finished, moment)
        later = run_status(finished, moment + timedelta(seconds=1))
        overdue = run_status(finished, moment + timedelta(seconds=100))
        set_back = run_status(finished, moment - timedelta(days=400))
    assert just_now.rows_per_second == 200.0
    assert just_now.seconds_left == 3.0
    assert just_now.estimated_end == later.estimated_end == "2030-01-01T00:00:03+00:00"
    assert later.seconds_left == 2.0
    assert overdue.seconds_left == 0.0
    assert set_back.seconds_left == 3.0


def test_the_lock_says_whether_anybody_is_alive(finished: Path) -> None:
    begun(finished)
    (finished / ".lock").write_text("4242\n")
    dead = run_status(finished)
    assert (dead.state, dead.pid, dead.why, dead.seconds_left) == ("interrupted", None, "unknown", None)
    with held(finished):
        alive = run_status(finished)
        assert (alive.state, alive.pid, alive.doing) == ("running", 4242, "scoring")
        begun(finished, why="interrupted")
        assert run_status(finished).doing == "starting"
    (finished / ".lock").unlink()
    assert run_status(finished).why == "interrupted"


def test_a_screen_that_scores_again_says_so(finished: Path) -> None:
    begun(finished, shards=10)
    options = json.loads((finished / "run.json").read_text())["options"]
    options |= {"precision": "screen", "screen_top": 10}
    change(finished, options=options)
    with held(finished):
        assert run_status(finished).doing == "rescoring"
        change(finished, screen={"top_k": 10, "rescored": 1})
        assert run_status(finished).doing == "closing"
    assert run_status(finished).state == "interrupted"


def test_who_looks_keeps_nobody_from_starting(finished: Path) -> None:
    assert writer(finished) is None
    with (finished / ".lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)  # the moment of a look
        with pytest.raises(RunError, match="another lossrank process"), locked(finished):
            pass
        fcntl.flock(looking, fcntl.LOCK_UN)
    with locked(finished):
        found = writer(finished)
        assert found is not None
        assert found.pid == os.getpid()


def test_looking_changes_no_byte(lossrank: Lossrank, finished: Path) -> None:
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in finished.rglob("*") if file.is_file()}
    assert lossrank("status", finished).exit_code == 0
    assert lossrank("verify", finished).exit_code == 0
    assert before == {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in finished.rglob("*") if file.is_file()
    }


def test_the_command_says_it_in_words_and_in_json(lossrank: Lossrank, finished: Path) -> None:
    words = lossrank("status", finished)
    assert "state            finished\n" in words.stdout
    assert "rows             1,000 of 1,000 (100%); 0 left" in words.stdout
    assert "1,000 rows in" in words.stdout
    document = lossrank("status", finished, "--json")
    assert json.loads(document.stdout) == {**run_status(finished).to_dict(), "failed_gates": []}
    begun(finished)
    words = lossrank("status", finished)
    entry = json.loads((finished / "run.json").read_text())["history"][0]
    who = f"pid {entry['pid']} on {entry['host']}"
    assert f"state            interrupted: its process ({who}) was killed, or the machine stopped\n" in words.stdout
    assert words.stdout.count("was killed, or the machine stopped\n") == 2
    assert "unknown" not in words.stdout
    begun(finished, why="ValueError: two words")
    assert "state            interrupted (ValueError: two words)\n" in lossrank("status", finished).stdout
    assert "400 of 1,000 (40%); 600 left" in words.stdout
    assert "speed            200.0 rows/s" in words.stdout
    assert tells(words.stdout, "resume", "the command that began the run")


def test_why_a_run_ended_is_shown_in_options(lossrank: Lossrank, finished: Path) -> None:
    begun(finished, why="SourceError: `on_error='skip'` without `streaming=True`")
    shown = "SourceError: `--on-error skip` without `--streaming`"
    text = lossrank("status", finished).stdout
    assert text.count(shown) == 2
    found = json.loads(lossrank("status", finished, "--json").stdout)
    assert (found["why"], found["history"][0]["why"]) == (shown, shown)


def test_watching_ends_when_nobody_works_on_it(
    lossrank: Lossrank, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = (finished / ".lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    begun(finished, shards=4)
    shards = iter([4, 2])

    def sleep(seconds: float) -> None:
        if kept := next(shards, None):
            manifest = json.loads((finished / "run.json").read_text())
            change(finished, shards=dict(list(manifest["shards"].items())[:kept]))
        else:
            lock.close()

    monkeypatch.setattr("cli.commands.status.time.sleep", sleep)
    result = lossrank("status", finished, "--watch")
    lines = result.stderr.splitlines()
    assert [line.split(" rows")[0] for line in lines] == ["scoring: 400 of 1,000", "scoring: 200 of 1,000"]
    assert "state            interrupted" in result.stdout


def test_what_is_no_run_is_one_line(lossrank: Lossrank, tmp_path: Path) -> None:
    result = lossrank("status", tmp_path)
    assert result.exit_code == 1
    assert "is not a run directory (no run.json)" in result.stderr


def test_a_gate_needs_a_finished_run(lossrank: Lossrank, finished: Path) -> None:
    assert lossrank("status", finished, "--fail-if", "rows < 1000").exit_code == 0
    failed = lossrank("status", finished, "--fail-if", "rows >= 1000", "--json")
    assert failed.exit_code == 3
    assert json.loads(failed.stdout)["failed_gates"] == ["rows >= 1000: rows is 1000"]
    begun(finished)
    result = lossrank("status", finished, "--fail-if", "rows < 1000")
    assert result.exit_code == 1
    document = lossrank("status", finished, "--fail-if", "rows < 1000", "--json")
    assert document.exit_code == 1
    assert json.loads(document.stdout)["failed_gates"] is None
    assert tells(result.stderr, "no summary", "--fail-if", "interrupted")
