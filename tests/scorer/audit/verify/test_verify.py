"""verify(): nothing is wrong with a run that was scored; one that is cut off or being written is told from it."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from benchmarks.synthetic.make_run import make_run
from scorer import ModelBundle, Progress, RunDirectory, RunError, score_dataset
from scorer.audit.verify import verify
from scorer.run.lock import Writer
from tests.scorer.audit.verify.damage import OPTIONS, edit, says, shard, states, truncate
from tests.support.facts import counts, facts, tells

Lossrank = Callable[..., click.testing.Result]
MODULE = "scorer.run.integrity.writer"


def test_a_run_that_was_scored_is_right(run: Path) -> None:
    found = verify(run)
    assert states(found) == dict.fromkeys(["rows", "shards", "summary", "bundle", "data"], "ok")
    assert found.sound
    assert found.complete
    assert counts(says(found, "rows")) == [1000]
    assert tells(says(found, "summary"), "ok 1,000")


def test_what_was_cut_off_is_sound_and_not_complete(bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    def cut(progress: Progress) -> None:
        if progress.rows >= 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(bundle, data, tmp_path / "run", OPTIONS, on_progress=cut)
    left = len(RunDirectory.read(tmp_path / "run").missing_shards())
    shard(tmp_path / "run", 3).write_bytes(b"renamed, and not listed yet")
    found = verify(tmp_path / "run")
    assert found.sound
    assert not found.complete
    assert states(found)["rows"] == states(found)["part-00003.parquet"] == "unfinished"
    assert tells(says(found, "shards"), f"{4 - left} of 4")
    score_dataset(bundle, data, tmp_path / "run", OPTIONS)
    assert verify(tmp_path / "run").complete


def test_a_run_without_its_summary_or_its_screen_is_not_finished(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text())
    manifest["options"] |= {"precision": "screen", "screen_top": 10}
    del manifest["summary"]
    (run / "run.json").write_text(json.dumps(manifest))
    found = verify(run)
    assert found.sound
    assert [what for what, state in states(found).items() if state == "unfinished"] == ["screen", "summary"]


def test_the_manifest_is_read_after_the_lock_was_asked_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two a process may end, having written its last shard."""
    whole = (run / "run.json").read_text()
    manifest = json.loads(whole)
    del manifest["shards"]["part-00003.parquet"], manifest["summary"]
    (run / "run.json").write_text(json.dumps(manifest))
    read = RunDirectory.read(run)
    assert read.missing_shards() == [3]

    def asked(path: Path) -> None:
        (run / "run.json").write_text(whole)

    monkeypatch.setattr(MODULE, asked)
    assert verify(read).complete


def test_a_writer_that_starts_meanwhile_is_noticed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, Writer(4242)])
    monkeypatch.setattr(MODULE, lambda path: next(answers))
    with pytest.raises(RunError, match=facts(run, "another lossrank process", "pid 4242")):
        verify(run)


def test_a_run_that_is_being_written_is_left(run: Path) -> None:
    with (run / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match=facts(run, "another lossrank process", f"pid {os.getpid()}")):
            verify(run)


def test_the_command_has_a_line_for_each_finding_and_a_code(lossrank: Lossrank, run: Path) -> None:
    right = lossrank("verify", run)
    assert right.exit_code == 0
    assert [line.split()[:2] for line in right.stdout.splitlines()] == [
        ["ok", what] for what in ("rows", "shards", "summary", "bundle", "data")
    ]
    assert lossrank("verify", run, "--fail-if", "mean_loss > 0").exit_code == 3
    truncate(shard(run))
    wrong = lossrank("verify", run)
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith("wrong      part-00001.parquet  has the SHA-256")
    assert wrong.stderr.startswith("Error: ")
    assert tells(wrong.stderr, run, "changed", "part-00001.parquet")
    assert len(wrong.stderr.splitlines()) == 1
    gated = lossrank("verify", run, "--fail-if", "mean_loss > 0")
    assert gated.exit_code == 1
    assert gated.stderr.startswith("gate failed: mean_loss > 0: mean_loss is ")
    assert gated.stderr.endswith(wrong.stderr)
    result = lossrank("verify", run, "--json", "--fail-if", "mean_loss > 0")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["sound"] is False
    assert document["summary"]["rows"] == 1000
    assert [line.split(":")[0] for line in document["failed_gates"]] == ["mean_loss > 0"]
    shard(run).unlink()
    edit(run, shards={}, summary=None)
    assert f"Error: {run} is not finished: " in lossrank("verify", run).stderr
    assert json.loads(lossrank("verify", run, "--json", "--fail-if", "rows > 0").stdout)["failed_gates"] is None


def test_a_large_synthetic_run_is_verified_a_batch_at_a_time(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", 200_000, 150_000)
    found = verify(made)
    assert found.complete
    assert counts(says(found, "rows")) == [200_000]
