"""The finished windows of an unfinished shard are kept: Ctrl-C, kill -9 and damage lose none and double none."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, Progress, RunDirectory, ScoreOptions, run_status, score_dataset
from scorer.audit.verify import verify
from scorer.data.parts import FilePart
from scorer.errors import SourceError
from scorer.pipeline import open_shard
from tests.scorer.pipeline.score.helpers import kept_of, shard_bytes
from tests.support import ROOT, SOAK

ONE_SHARD = ScoreOptions(batch_tokens=300, window_rows=64, shard_rows=4096, device="cpu", threads=1)
# Ends the process at the n-th step of writing: before or after a file is in its place, or a file is removed.
KILLED = """
import os, sys
from pathlib import Path
from scorer import ScoreOptions, score_dataset
from scorer.pipeline import open_shard
left = int(sys.argv[4])
def step(function):
    def stepped(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return function(*args, **kwargs)
    return stepped
os.fsync, Path.replace, Path.unlink = step(os.fsync), step(Path.replace), step(Path.unlink)
open_shard._FIRST = open_shard._EVERY = open_shard._SHARE = 0
score_dataset(sys.argv[1], sys.argv[2], sys.argv[3], ScoreOptions(
    batch_tokens=300, window_rows=64, shard_rows=300, device="cpu", threads=1))
"""


def interrupt(bundle: ModelBundle, rows: pa.Table, run: Path, after: int) -> None:
    def press(progress: Progress) -> None:
        if progress.rows > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(bundle, rows, run, ONE_SHARD, on_progress=press)


def test_ctrl_c_in_the_first_shard_keeps_its_windows_and_status_counts_them(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    score_dataset(tiny_bundle, rows, tmp_path / "whole", ONE_SHARD)
    interrupt(tiny_bundle, rows, run, 500)
    assert kept_of(run) == (0, 448)
    found = run_status(run)
    assert (found.state, found.done, found.left, found.shards_done) == ("interrupted", 448, 552, 0)
    assert found.rows_per_second
    assert verify(run).sound
    assert not verify(run).complete
    interrupt(tiny_bundle, rows, run, 200)  # 448 and 192 more
    assert kept_of(run) == (0, 640)
    assert [file.name for file in (run / "scores").iterdir()] == [".part-00000.640.arrow"]
    stats = score_dataset(tiny_bundle, rows, run, ONE_SHARD)
    assert (stats.kept_rows, stats.rows) == (640, 1000)
    assert shard_bytes(run) == shard_bytes(tmp_path / "whole")
    assert "unfinished" not in json.loads((run / "run.json").read_text())
    ours, theirs = RunDirectory.open(run), RunDirectory.open(tmp_path / "whole")
    assert ours.shards == theirs.shards  # the notes too
    assert [entry.rows for entry in ours.manifest.history] == [448, 192, 360]
    assert verify(run, data=rows).complete


def test_a_run_without_a_whole_shard_may_still_be_given_other_options(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    interrupt(tiny_bundle, rows, tmp_path / "run", 500)
    other = ScoreOptions(window_rows=100, device="cpu", threads=1)
    assert score_dataset(tiny_bundle, rows, tmp_path / "run", other).kept_rows == 0
    score_dataset(tiny_bundle, rows, tmp_path / "whole", other)
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")


def test_damaged_windows_are_scored_again(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "whole", ONE_SHARD)
    interrupt(tiny_bundle, rows, tmp_path / "run", 500)
    (file,) = (tmp_path / "run" / "scores").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert score_dataset(tiny_bundle, rows, tmp_path / "run", ONE_SHARD).kept_rows == 0
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")


def test_windows_of_data_that_changed_meanwhile_are_not_kept(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    data = tmp_path / "data.parquet"
    pq.write_table(rows, data)

    def change(progress: Progress) -> None:
        if progress.rows > 500:
            pq.write_table(rows.slice(1), data)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, data, tmp_path / "run", ONE_SHARD, on_progress=change)
    assert kept_of(tmp_path / "run") == (0, 0)


def test_a_bad_row_among_the_kept_windows_ends_a_run_that_skips_none(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    lines = [json.dumps({"text": text, "label": 0}) for text in rows["text"].to_pylist()]
    lines[70] = "{broken"
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(lines))

    def press(progress: Progress) -> None:
        if progress.rows > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, data, tmp_path / "run", ONE_SHARD, on_progress=press)
    strict = ScoreOptions(**{**ONE_SHARD.__dict__, "on_error": "fail"})
    with pytest.raises(SourceError, match=r"70|71"):
        score_dataset(tiny_bundle, data, tmp_path / "run", strict)


def test_a_fast_run_writes_no_windows(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(open_shard, "write_windows", lambda *args: written.append(args))
    score_dataset(tiny_bundle, rows, tmp_path / "run", ONE_SHARD)
    assert written == []


@pytest.mark.parametrize("start", [5, *(pytest.param(start, marks=SOAK) for start in (2, 9))])
def test_a_kill_at_any_step_of_writing_loses_nothing(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, start: int
) -> None:
    data, run = tmp_path / "data.parquet", tmp_path / "run"
    pq.write_table(rows, data)
    options = ScoreOptions(batch_tokens=300, window_rows=64, shard_rows=300, device="cpu", threads=1)
    score_dataset(tiny_bundle, data, tmp_path / "whole", options)
    kept = 0
    for steps in (start, start + 4, start + 9, start + 14):
        command = [sys.executable, "-c", KILLED, tiny_bundle.path, data, run, steps]
        ended = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 9, ended.stderr
        assert not (run / "run.json").exists() or verify(run).sound
        done = run_status(run).done if (run / "run.json").exists() else 0
        assert done >= kept
        kept = done
    assert 0 < kept < 1000
    assert score_dataset(tiny_bundle, data, run, options).kept_rows == kept
    assert shard_bytes(run) == shard_bytes(tmp_path / "whole")
    assert verify(run).complete


@pytest.mark.parametrize(
    "change",
    [{"rows": 64}, {"rows": 10**6}, {"sha256": "0" * 64}],
    ids=lambda change: "-".join(map(str, change)),
)
def test_a_changed_record_of_windows_costs_only_their_scores(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, change: dict[str, Any]
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "whole", ONE_SHARD)
    interrupt(tiny_bundle, rows, tmp_path / "run", 500)
    file = tmp_path / "run" / "run.json"
    manifest = json.loads(file.read_text())
    manifest["unfinished"]["part-00000.parquet"] |= change
    file.write_text(json.dumps(manifest))
    assert 0 <= run_status(tmp_path / "run").left <= 1000
    assert score_dataset(tiny_bundle, rows, tmp_path / "run", ONE_SHARD).kept_rows == 0
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")
    assert verify(tmp_path / "run", data=rows).complete


def test_remote_data_is_asked_nothing_when_a_run_ends_early(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    with fsspec.open("memory://rows.parquet", "wb") as stream:
        pq.write_table(rows, stream)
    asked: list[int] = []
    monkeypatch.setattr(FilePart, "refuse_change", lambda part: asked.append(part.rows))

    def press(progress: Progress) -> None:
        if progress.rows > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, "memory://rows.parquet", tmp_path / "run", ONE_SHARD, on_progress=press)
    assert asked == []
    assert kept_of(tmp_path / "run") == (0, 0)
    monkeypatch.setattr(open_shard, "_FIRST", 0)
    monkeypatch.setattr(open_shard, "_EVERY", 0)
    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, "memory://rows.parquet", tmp_path / "run", ONE_SHARD, on_progress=press)
    assert kept_of(tmp_path / "run")[1] > 0
    assert asked
