"""score_dataset(): every row once, its own loss, whatever the batches, windows, shards or the resume point."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scorer import ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, score_dataset
from tests.scorer.pipeline.score.helpers import SMALL, kept_of, shard_bytes
from tests.support.facts import facts
from tests.support.tiny import make_bundle, weights


class Cut(Exception):
    """Stands in for whatever ends a process."""


@pytest.mark.parametrize("after", [0, 149, 150, 151, 640, 999])
def test_a_resumed_run_ends_byte_for_byte_like_an_uninterrupted_one(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, after: int
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "whole", SMALL)

    def cut(progress: Progress) -> None:
        if progress.rows > after:
            raise Cut

    with pytest.raises(Cut):
        score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL, on_progress=cut)
    kept, windows = kept_of(tmp_path / "run")
    assert kept < 7
    with pytest.raises(RunError, match=f"not finished \\({kept} of 7 shards\\).*again"):
        RunDirectory.open(tmp_path / "run")
    stats = score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    assert stats.kept_rows == kept * 150 + windows
    ends = [start + windows_end for start in range(0, 1000, 150) for windows_end in (0, 64, 128)]
    assert kept * 150 + windows == max(end for end in ends if end <= after)
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")
    assert stats.by_status == {"ok": 1000}


def test_damaged_and_missing_shards_are_done_again(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    whole = shard_bytes(tmp_path / "run")
    shards = tmp_path / "run" / "scores"
    (shards / "part-00001.parquet").unlink()
    flipped = bytearray(whole["part-00004.parquet"])
    flipped[100] ^= 1
    (shards / "part-00004.parquet").write_bytes(flipped)
    (shards / ".part-00005.parquet.tmp").write_bytes(b"half")
    stats = score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    assert stats.kept_rows == 700
    assert shard_bytes(tmp_path / "run") == whole


def differing() -> list[tuple[str, dict[str, Any], str]]:
    return [
        ("window", {"window_rows": 32}, r"options window_rows is 64 in the run, 32 now"),
        ("batch", {"batch_tokens": 301}, r"options batch_tokens is 300 in the run, 301 now"),
        ("tokens", {"max_tokens": 20}, r"options max_tokens is 40 in the run, 20 now"),
        ("map", {"label_map": {str(i): (i + 1) % 4 for i in range(4)}}, r"labels map '0' is None in the run, 1 now"),
        ("column", {"text_column": "note"}, r"columns text is text in the run, note now"),
    ]


@pytest.mark.parametrize(("name", "change", "message"), differing())
def test_another_option_is_refused_and_overwrite_starts_anew(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    before = shard_bytes(tmp_path / "run")
    changed = ScoreOptions(**{**SMALL.__dict__, **change})
    with pytest.raises(RunError, match=message):
        score_dataset(tiny_bundle, rows, tmp_path / "run", changed)
    assert shard_bytes(tmp_path / "run") == before
    stats = score_dataset(tiny_bundle, rows, tmp_path / "run", changed, overwrite=True)
    assert stats.kept_rows == 0


def test_a_message_about_many_differences_is_short(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    names = [f"{'a very long label ' * 30}{i}" for i in range(40)]
    data = rows.append_column("word", pa.array([names[i % 40] for i in range(len(rows))]))
    maps = [{name: (i + shift) % 4 for i, name in enumerate(names)} for shift in (0, 1)]
    options = [ScoreOptions(**{**SMALL.__dict__, "label_column": "word", "label_map": each}) for each in maps]
    score_dataset(tiny_bundle, data, tmp_path / "run", options[0])
    with pytest.raises(RunError, match=facts("labels", "39 more")) as caught:
        score_dataset(tiny_bundle, data, tmp_path / "run", options[1])
    assert len(str(caught.value).replace(str(tmp_path), "")) < 400


def test_another_model_or_data_is_refused(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    with pytest.raises(RunError, match=facts("another run", "table has changed since")):
        score_dataset(tiny_bundle, rows.take(list(range(999, -1, -1))), tmp_path / "run", SMALL)
    other = make_bundle(tmp_path / "other", table=weights(seed=5))
    with pytest.raises(RunError, match="bundle sha256 is"):
        score_dataset(other, rows, tmp_path / "run", SMALL)


def test_threads_may_change_between_start_and_resume(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    again = ScoreOptions(**{**SMALL.__dict__, "threads": 2})
    assert score_dataset(tiny_bundle, rows, tmp_path / "run", again).kept_rows == 1000


def test_options_out_of_range_name_the_value() -> None:
    with pytest.raises(RunError, match=facts("`shard_rows`", 0, 1)):
        ScoreOptions(shard_rows=0)


def test_a_window_larger_than_a_shard_is_refused_and_the_default_fits() -> None:
    assert ScoreOptions(shard_rows=7).window == 7
    assert ScoreOptions(shard_rows=10**6).window == 4096
    with pytest.raises(RunError, match=facts("`window_rows`", 8, "`shard_rows`", 7)):
        ScoreOptions(window_rows=8, shard_rows=7)


def test_machines_that_worked_on_a_run_are_all_recorded(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    (tmp_path / "run" / "scores" / "part-00001.parquet").unlink()
    score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(**{**SMALL.__dict__, "threads": 2}))
    machines = json.loads((tmp_path / "run" / "run.json").read_text())["machines"]
    assert [machine["threads"] for machine in machines] == [1, 2]
