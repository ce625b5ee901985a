"""score_dataset(): every row once, its own loss, whatever the batches, windows, shards or the resume point."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import LabelError, ModelBundle, Progress, RunDirectory, ScoreOptions, SourceError, score_dataset
from scorer.audit.verify import verify
from tests.scorer.pipeline.score.helpers import SMALL, shard_bytes
from tests.support.tiny import CLASSES, expected_logits


def test_labels_known_to_no_class_stop_before_the_run_begins(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    data = rows.set_column(1, "label", pa.array(["Cats", "Dogs"] * 500))
    with pytest.raises(LabelError, match=r"'Cats', 'Dogs'.*'World', 'Sports', 'Business', 'Sci/Tech'.*`label_map`"):
        score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    assert not (tmp_path / "run").exists()


LATE = ScoreOptions(batch_tokens=300, shard_rows=100, threads=1)


def with_labels(rows: pa.Table, labels: list[object]) -> pa.Table:
    return rows.slice(0, len(labels)).set_column(1, "label", pa.array(labels))


def test_labels_are_checked_wherever_they_begin(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="'Cats'"):
        score_dataset(tiny_bundle, with_labels(rows, [None] * 250 + ["Cats"] * 50), tmp_path / "run", LATE)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("lost", [(2,), (0,), (1,), (0, 2), (1, 2)])
def test_what_an_uninterrupted_run_lets_pass_a_resumed_one_does_too(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, lost: tuple[int, ...]
) -> None:
    logits = np.stack([expected_logits(text) for text in rows["text"].to_pylist()])
    right = logits.argmax(axis=1)[:300]
    numbers = np.where(np.arange(300) < 200, right, (right + 1) % 4).tolist()
    names = [CLASSES[i] for i in right[:285]] + ["Cats"] * 15
    for name, labels in (("numbers", numbers), ("names", names)):
        data = with_labels(rows, labels)
        score_dataset(tiny_bundle, data, tmp_path / name, LATE)
        whole = shard_bytes(tmp_path / name)
        for shard in lost:
            (tmp_path / name / "scores" / f"part-0000{shard}.parquet").unlink()
        assert score_dataset(tiny_bundle, data, tmp_path / name, LATE).kept_rows == 300 - 100 * len(lost)
        assert shard_bytes(tmp_path / name) == whole


def test_a_finished_run_keeps_its_summary_and_a_resumed_one_counts_all(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    labels = [CLASSES[i % 4] if i % 50 else "Cats" for i in range(300)]
    data = with_labels(rows, labels)
    first = score_dataset(tiny_bundle, data, tmp_path / "run", LATE)
    assert first.unknown_labels == {"Cats": 6}
    manifest = (tmp_path / "run" / "run.json").read_bytes()
    again = score_dataset(tiny_bundle, data, tmp_path / "run", LATE)
    assert again == msgspec.structs.replace(first, kept_rows=300)
    assert (tmp_path / "run" / "run.json").read_bytes() == manifest
    (tmp_path / "run" / "scores" / "part-00001.parquet").unlink()
    resumed = score_dataset(tiny_bundle, data, tmp_path / "run", LATE)
    assert resumed.kept_rows == 200
    for name in ("unknown_labels", "tokens", "padding", "by_status", "mean_loss", "accuracy"):
        assert getattr(resumed, name) == getattr(first, name)


def unknown_in(tiny_bundle: ModelBundle, run: Path, labels: list[str], window: int, shard: int) -> dict[str, int]:
    """Score rows with these labels, and return the unknown labels as they are counted."""
    texts = [f"w{i % 9}" for i in range(len(labels))]
    data = pa.table({"text": texts, "label": labels})
    stats = score_dataset(tiny_bundle, data, run, ScoreOptions(window_rows=window, shard_rows=shard, threads=1))
    findings = {finding.what: finding.state for finding in verify(run).findings}
    assert (findings["summary"], findings["shards"]) == ("ok", "ok")
    assert sum(stats.unknown_labels.values()) == stats.by_status["unknown_label"]
    return stats.unknown_labels


def test_an_unknown_label_that_is_rare_in_every_window_is_counted(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    labels = []
    for window in range(40):  # of two shards
        labels += [*[f"typo {window} {i}" for i in range(12)] * 2, "zz", *["World"] * 475]
    found = unknown_in(tiny_bundle, tmp_path / "run", labels, 500, 10_000)
    assert (found.pop("zz"), found.pop("(others)")) == (40, 40 * 24 - 9 * 2)
    assert list(found.values()) == [2] * 9


def test_past_a_thousand_unknown_labels_of_a_shard_no_count_is_said_to_be_exact(
    tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    labels = [f"a text {i}" for i in range(1440)] + ["zz"] * 10
    found = unknown_in(tiny_bundle, tmp_path / "run", ["World"] * 28_000 + labels, 4096, 30_000)
    assert found["(others)"] + found["(not told apart)"] >= 1440 - 9
    assert found["(not told apart)"] >= 440
    shard = RunDirectory.open(tmp_path / "run").notes(0).unknown_labels
    assert len(shard) == 1001


def test_long_unknown_labels_are_cut_short(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    labels = [f"{i} " + "a text that is no label " * 1000 for i in range(40)]
    labels += ["x" * 60, "y" * 61, "y" * 62, *["World"] * 1000]
    found = unknown_in(tiny_bundle, tmp_path / "run", labels, 100, 2000)
    assert max(map(len, found)) <= 60
    assert found["y" * 57 + "..."] == 2
    assert (tmp_path / "run" / "run.json").stat().st_size < 20_000


def test_data_that_changes_during_the_run_stop_it(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    pq.write_table(rows, file)

    def change(progress: Progress) -> None:
        if progress.rows == 0:
            pq.write_table(rows.take(list(range(999, -1, -1))), file)

    with pytest.raises(SourceError, match=r"data\.parquet has changed while it was being read"):
        score_dataset(tiny_bundle, file, tmp_path / "run", LATE, on_progress=change)


def test_the_labels_of_an_annotation_tools_table_are_not_guessed(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    answers = {"answer": pa.array(["accept", "reject"] * 500), "_input_hash": pa.array(range(1000))}
    data = pa.table({**{name: rows[name] for name in rows.column_names}, **answers})
    with pytest.raises(SourceError, match=r"^the columns are those of Prodigy, .*JSON lines.*`label_column`$"):
        score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    named = score_dataset(tiny_bundle, data, tmp_path / "named", replace(SMALL, label_column="label"))
    assert named.by_status == {"ok": 1000}
