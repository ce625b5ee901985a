"""Whole runs with int8 and with a screen, on the demo's real transformer: fp32's worst rows, whatever happens."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, Progress, RunDirectory, RunError
from scorer import score_dataset as score
from scorer.audit.verify import verify
from scorer.run.directory import shard_name
from scorer.run.integrity import RESCORE
from tests.scorer.pipeline.screen_run.helpers import OPTIONS, ROWS, SHARD_ROWS, shards
from tests.support import SOAK
from tests.support.facts import tells


def test_a_screen_is_verified(bundle: ModelBundle, news: pa.Table, tmp_path: Path) -> None:
    run = tmp_path / "run"
    score(bundle, news, run, OPTIONS)
    manifest = json.loads((run / "run.json").read_text())
    noted = [shard["by_status"] for shard in manifest["shards"].values()]
    assert {name for each in noted for name in each} == {"ok", "no_text"}
    found = verify(run)
    assert found.complete
    assert {finding.what for finding in found.findings if finding.state == "ok"} >= {"screen", "summary"}
    for name in ("threshold", "margin", "expected_missed", "rescored"):
        altered = manifest["screen"] | {name: manifest["screen"][name] + 1}
        (run / "run.json").write_text(json.dumps(manifest | {"screen": altered}))
        (wrong,) = [finding for finding in verify(run).findings if finding.what == "screen"]
        assert wrong.state == "wrong"
        assert tells(wrong.says, name, altered[name], manifest["screen"][name], "remove", "'screen'", "run.json")
    del manifest["screen"]
    (run / "run.json").write_text(json.dumps(manifest))
    score(bundle, news, run, OPTIONS)
    assert verify(run).complete


def test_a_shard_that_a_kill_left_unlisted_in_fp32_is_unfinished_and_a_damaged_one_wrong(
    bundle: ModelBundle, news: pa.Table, screened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands in for a kill."""

    write = RunDirectory.write_shard

    def killed(run: RunDirectory) -> None:
        raise Killed

    def write_until_listed(run: RunDirectory, index: int, table: pa.Table, notes: dict[str, Any]) -> None:
        if shard_name(index) in run.shards:
            patched.setattr(RunDirectory, "save", killed)
        write(run, index, table, notes)

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "write_shard", write_until_listed)
        with pytest.raises(Killed):
            score(bundle, news, run, OPTIONS)
    found = verify(run)
    assert found.sound
    assert not found.complete
    (cut_off,) = [finding for finding in found.findings if finding.what.startswith("part-")]
    assert cut_off.state == "unfinished"
    assert tells(cut_off.says, "fp32", RESCORE)
    file = run / "scores" / cut_off.what
    whole, table = file.read_bytes(), pq.read_table(file)
    in_int8 = table.set_column(table.column_names.index("precision"), "precision", pa.array(["int8"] * len(table)))
    for damaged in (in_int8, table.slice(1), table.drop_columns(["loss"]), whole[: len(whole) // 2], whole[:-4]):
        if isinstance(damaged, bytes):
            file.write_bytes(damaged)
        else:
            pq.write_table(damaged, file)
        (wrong,) = [finding for finding in verify(run).findings if finding.state == "wrong"]
        assert (wrong.what, wrong.says[:15]) == (cut_off.what, "has the SHA-256")
    file.write_bytes(whole)
    score(bundle, news, run, OPTIONS)
    assert shards(run) == shards(screened)
    manifest = json.loads((run / "run.json").read_text())
    manifest["shards"][cut_off.what]["sha256"] = "0" * 64
    (run / "run.json").write_text(json.dumps(manifest))
    assert not verify(run).sound  # once the screen is finished there is no such shard


class Cut(Exception):
    """Stands in for whatever ends a process."""


@pytest.mark.parametrize("report", [1, 6, *(pytest.param(report, marks=SOAK) for report in (3, 5, 7))])
def test_a_screen_that_was_cut_off_ends_byte_for_byte_the_same(
    bundle: ModelBundle, news: pa.Table, screened: Path, tmp_path: Path, report: int
) -> None:
    """At the first reports of the int8 run, then at those of the rows that are scored again, 50 at a time."""
    seen: list[tuple[int, int]] = []

    def cut(progress: Progress) -> None:
        if (progress.rows // 200, progress.rescored) not in seen:
            seen.append((progress.rows // 200, progress.rescored))
        if len(seen) > report:
            raise Cut

    with pytest.raises(Cut):
        score(bundle, news, tmp_path / "run", OPTIONS, on_progress=cut)
    with pytest.raises(RunError, match="is not finished"):
        RunDirectory.open(tmp_path / "run")
    score(bundle, news, tmp_path / "run", OPTIONS)
    assert shards(tmp_path / "run") == shards(screened)


@pytest.mark.parametrize("lost", [0, 3])
def test_a_shard_that_is_lost_is_screened_again(
    bundle: ModelBundle, news: pa.Table, screened: Path, tmp_path: Path, lost: int
) -> None:
    shutil.copytree(screened, tmp_path / "run")
    (tmp_path / "run" / "scores" / f"part-0000{lost}.parquet").unlink()
    stats = score(bundle, news, tmp_path / "run", OPTIONS)
    assert stats.kept_rows == ROWS - SHARD_ROWS
    assert shards(tmp_path / "run") == shards(screened)


def test_a_finished_screen_is_left_alone(bundle: ModelBundle, news: pa.Table, screened: Path, tmp_path: Path) -> None:
    shutil.copytree(screened, tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    assert score(bundle, news, tmp_path / "run", OPTIONS).kept_rows == ROWS
    assert (tmp_path / "run" / "run.json").read_bytes() == before
