"""score_dataset(): every row once, its own loss, whatever the batches, windows, shards or the resume point."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import LabelError, ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, SourceError, score_dataset
from scorer.audit.verify import verify
from tests.support.tiny import CLASSES, MAX_TOKENS, WORDS, expected_logits, expected_loss, make_bundle, weights

SMALL = ScoreOptions(batch_tokens=300, window_rows=64, shard_rows=150, device="cpu", threads=1)


def scores(run: Path) -> pa.Table:
    return pq.read_table(run / "scores")


def shard_bytes(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((run / "scores").iterdir())}


def test_every_number_of_every_row_is_as_by_hand(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    stats = score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    table = scores(tmp_path / "run")
    assert table["row"].to_pylist() == list(range(1000))
    logits = np.stack([expected_logits(text) for text in rows["text"].to_pylist()])
    labels = rows["label"].to_numpy()
    z = logits - logits.max(axis=1, keepdims=True)
    probs = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = np.array([expected_loss(t, y) for t, y in zip(rows["text"].to_pylist(), labels, strict=True)])
    own = probs[np.arange(1000), labels]
    others = np.where(np.eye(4, dtype=bool)[labels], 0, probs).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(probs > 0, probs * np.log(probs), 0).sum(axis=1)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(table["loss"].to_numpy(), loss, **close)
    np.testing.assert_allclose(table["label_prob"].to_numpy(), own, **close)
    np.testing.assert_allclose(table["top_prob"].to_numpy(), probs.max(axis=1), **close)
    np.testing.assert_allclose(table["margin"].to_numpy(), own - others, **close)
    np.testing.assert_allclose(table["entropy"].to_numpy(), entropy, **close)
    np.testing.assert_allclose(np.array(table["probs"].to_pylist()), probs, **close)
    assert table["predicted"].to_pylist() == probs.argmax(axis=1).tolist()
    assert table["label"].to_pylist() == labels.tolist()
    words = np.array([len(text.split()) for text in rows["text"].to_pylist()])
    assert table["n_tokens"].to_pylist() == np.minimum(words + 2, MAX_TOKENS).tolist()
    assert table["truncated"].to_pylist() == (words + 2 > MAX_TOKENS).tolist()
    assert json.loads(table.schema.metadata[b"class_names"]) == list(CLASSES)

    assert stats.rows == 1000
    assert stats.by_status == {"ok": 1000}
    assert stats.mean_loss == pytest.approx(loss.mean(), rel=1e-5)
    assert stats.accuracy == pytest.approx((probs.argmax(axis=1) == labels).mean())
    assert stats.tokens == table["n_tokens"].to_numpy().sum()
    assert stats.truncated == (words + 2 > MAX_TOKENS).sum()


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=120),
    batch_tokens=st.integers(1, 500),
    window_rows=st.integers(1, 150),
    shard_rows=st.integers(1, 150),
    seed=st.integers(0, 2**32 - 1),
)
def test_sorting_by_length_never_attaches_a_loss_to_another_row(
    tiny_bundle: ModelBundle,
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    batch_tokens: int,
    window_rows: int,
    shard_rows: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS, size=length)) for length in lengths]
    labels = random.integers(0, 4, size=len(texts)).tolist()
    run = tmp_path_factory.mktemp("property") / "run"
    options = ScoreOptions(
        batch_tokens=batch_tokens, window_rows=min(window_rows, shard_rows), shard_rows=shard_rows, threads=1
    )
    score_dataset(tiny_bundle, pa.table({"text": texts, "label": labels}), run, options)
    table = scores(run)
    assert table["row"].to_pylist() == list(range(len(texts)))
    expected = [expected_loss(text, label) for text, label in zip(texts, labels, strict=True)]
    np.testing.assert_allclose(table["loss"].to_numpy(), expected, rtol=1e-4, atol=1e-4)


def test_rows_without_text_or_label_are_kept_and_counted(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    texts = ["w1 w2", None, "  \n", "w3", "w4", "w5", ""]
    labels = ["World", "Sports", "Sports", None, "Gardening", " sci/tech ", "nothing"]
    data = pa.table({"text": texts * 20, "label": (labels[:4] + ["Gardening"] + labels[5:6] * 2) * 20})
    data = data.set_column(
        1, "label", pa.array(["World" if v == "Gardening" else v for v in data["label"].to_pylist()])
    )
    data = pa.concat_tables([data, pa.table({"text": ["w7"], "label": ["Gardening"]})])
    stats = score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    table = scores(tmp_path / "run")
    status = table["status"].to_pylist()
    assert status[:7] == ["ok", "no_text", "no_text", "no_label", "ok", "ok", "no_text"]
    assert status[-1] == "unknown_label"
    assert stats.by_status == {"ok": 60, "no_text": 60, "no_label": 20, "unknown_label": 1}
    assert stats.unknown_labels == {"Gardening": 1}
    first = table.slice(0, 7).to_pylist()
    assert [row["label"] for row in first] == [0, 1, 1, None, 0, 3, 3]
    assert [row["predicted"] is None for row in first] == [False, True, True, False, False, False, True]
    assert first[5]["loss"] == pytest.approx(expected_loss("w5", 3), abs=1e-4)
    assert first[1]["loss"] is None
    assert first[1]["probs"] is None
    assert first[1]["n_tokens"] == 0
    assert first[3]["loss"] is None
    assert first[3]["probs"] is not None


def test_without_a_label_column_there_are_predictions_and_no_loss(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    stats = score_dataset(tiny_bundle, rows.select(["text"]), tmp_path / "run", SMALL)
    table = scores(tmp_path / "run")
    assert stats.mean_loss is None
    assert stats.accuracy is None
    assert stats.by_status == {"no_label": 1000}
    assert table["loss"].null_count == 1000
    assert table["predicted"].null_count == 0
    logits = np.stack([expected_logits(text) for text in rows["text"].to_pylist()])
    assert table["predicted"].to_pylist() == logits.argmax(axis=1).tolist()


def test_text_pairs_are_scored_as_pairs(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    data = pa.table({"premise": ["w1 w2", "w3"], "hypothesis": ["w4", None], "label": [0, 1]})
    score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    table = scores(tmp_path / "run")
    # [CLS] a [SEP] b [SEP]: as the two texts and one more [SEP].
    logits = expected_logits("w1 w2 w4") + weights()[3]
    assert table["loss"][0].as_py() == pytest.approx(np.log(np.exp(logits - logits[0]).sum()), abs=1e-4)
    assert table["status"].to_pylist() == ["ok", "no_text"]


def test_logits_that_are_not_finite_end_no_run(tmp_path: Path) -> None:
    table = weights()
    table[4] = np.nan  # "w0"
    table[5, 1] = np.inf  # "w1"
    bundle = make_bundle(tmp_path / "bundle", table=table)
    data = pa.table({"text": ["w0 w5", "w1", "w6"], "label": [0, 0, 0]})
    stats = score_dataset(bundle, data, tmp_path / "run", SMALL)
    assert scores(tmp_path / "run")["status"].to_pylist() == ["bad_logits", "bad_logits", "ok"]
    assert stats.by_status == {"bad_logits": 2, "ok": 1}
    assert stats.mean_loss == pytest.approx(expected_loss("w6", 0), abs=1e-4)


@pytest.mark.parametrize("factor", [1e4, -1e4])
def test_huge_logits_give_finite_losses(tmp_path: Path, factor: float) -> None:
    bundle = make_bundle(tmp_path / "bundle", table=np.eye(64, 4, dtype=np.float32) * np.float32(factor))
    data = pa.table({"text": ["w0", "w1"], "label": [0, 1]})
    score_dataset(bundle, data, tmp_path / "run", SMALL)
    assert np.isfinite(scores(tmp_path / "run")["loss"].to_numpy()).all()


def test_numbers_in_another_order_stop_the_run(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    logits = np.stack([expected_logits(text) for text in rows["text"].to_pylist()])
    swapped = np.array([1, 0, 2, 3])[logits.argmax(axis=1)]
    with pytest.raises(LabelError, match=r"another order: .*0 -> 1 'Sports', 1 -> 0 'World'.*`label_map`"):
        score_dataset(tiny_bundle, pa.table({"text": rows["text"], "label": swapped}), tmp_path / "run", SMALL)
    # Nothing was written that would stand in the way of the mended command.
    mapping = ScoreOptions(label_map={"0": "Sports", "1": "World", "2": "Business", "3": "Sci/Tech"}, threads=1)
    stats = score_dataset(tiny_bundle, pa.table({"text": rows["text"], "label": swapped}), tmp_path / "run", mapping)
    assert stats.accuracy == 1.0


def test_progress_counts_every_row_and_ends_at_all(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []

    def watch(progress: Progress) -> None:
        seen.append((progress.rows, progress.tokens, progress.padded_tokens))

    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL, on_progress=watch)
    assert seen == sorted(seen)
    assert seen[0] == (0, 0, 0)
    assert seen[-1][0] == 1000
    assert 0 < seen[-1][1] <= seen[-1][2]


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
    kept = len(shard_bytes(tmp_path / "run"))
    assert kept < 7
    with pytest.raises(RunError, match=f"not finished \\({kept} of 7 shards\\).*again"):
        RunDirectory.open(tmp_path / "run")
    stats = score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    assert stats.kept_rows == kept * 150
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
        ("window", {"window_rows": 32}, r"options window_rows is 64 there, 32 here"),
        ("batch", {"batch_tokens": 301}, r"options batch_tokens is 300 there, 301 here"),
        ("tokens", {"max_tokens": 20}, r"options max_tokens is 40 there, 20 here"),
        ("map", {"label_map": {str(i): (i + 1) % 4 for i in range(4)}}, r"labels map '0' is None there, 1 here"),
        ("column", {"text_column": "note"}, r"columns text is text there, note here"),
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


def test_another_model_or_data_is_refused(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    with pytest.raises(RunError, match="data fingerprint is"):
        score_dataset(tiny_bundle, rows.take(list(range(999, -1, -1))), tmp_path / "run", SMALL)
    other = make_bundle(tmp_path / "other", table=weights(seed=5))
    with pytest.raises(RunError, match="bundle sha256 is"):
        score_dataset(other, rows, tmp_path / "run", SMALL)


def test_threads_may_change_between_start_and_resume(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    again = ScoreOptions(**{**SMALL.__dict__, "threads": 2})
    assert score_dataset(tiny_bundle, rows, tmp_path / "run", again).kept_rows == 1000


def test_options_out_of_range_name_the_value() -> None:
    with pytest.raises(RunError, match="shard_rows is 0; it must be at least 1"):
        ScoreOptions(shard_rows=0)


def test_labels_known_to_no_class_stop_before_a_shard(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    data = rows.set_column(1, "label", pa.array(["Cats", "Dogs"] * 500))
    with pytest.raises(LabelError, match=r"'Cats', 'Dogs'.*'World', 'Sports', 'Business', 'Sci/Tech'.*`label_map`"):
        score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    assert not list((tmp_path / "run" / "scores").iterdir())


LATE = ScoreOptions(batch_tokens=300, shard_rows=100, threads=1)


def with_labels(rows: pa.Table, labels: list[object]) -> pa.Table:
    return rows.slice(0, len(labels)).set_column(1, "label", pa.array(labels))


def test_labels_are_checked_where_they_begin_also_after_a_resume(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    data = with_labels(rows, [None] * 250 + ["Cats"] * 50)
    for _ in range(3):
        with pytest.raises(LabelError, match="'Cats'"):
            score_dataset(tiny_bundle, data, tmp_path / "run", LATE)
    assert len(shard_bytes(tmp_path / "run")) == 2


@pytest.mark.parametrize("lost", [(2,), (0,), (1,), (0, 2), (1, 2)])
def test_what_an_uninterrupted_run_lets_pass_a_resumed_one_does_too(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, lost: tuple[int, ...]
) -> None:
    logits = np.stack([expected_logits(text) for text in rows["text"].to_pylist()])
    right = logits.argmax(axis=1)[:300]
    numbers = np.where(np.arange(300) < 200, right, (right + 1) % 4).tolist()
    names = [CLASSES[i] for i in right[:200]] + ["Cats"] * 100
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


def unknown_in(tiny_bundle: ModelBundle, run: Path, labels: list[str]) -> dict[str, int]:
    """Score rows of which a few at the start have a class, and return the unknown labels as they are counted."""
    labels = [CLASSES[i % 4] for i in range(50)] + labels
    texts = [f"w{i % 9}" for i in range(len(labels))]
    data = pa.table({"text": texts, "label": labels})
    stats = score_dataset(tiny_bundle, data, run, ScoreOptions(window_rows=50, shard_rows=1500, threads=1))
    findings = {finding.what: finding.state for finding in verify(run).findings}
    assert (findings["summary"], findings["shards"]) == ("ok", "ok")
    assert sum(stats.unknown_labels.values()) == stats.by_status["unknown_label"]
    return stats.unknown_labels


def test_an_unknown_label_that_is_rare_in_every_window_is_counted(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    labels = []
    for window in range(40):  # of two shards
        labels += [*[f"typo {window} {i}" for i in range(12)] * 2, "zz", *["World"] * 25]
    found = unknown_in(tiny_bundle, tmp_path / "run", labels)
    assert (found.pop("zz"), found.pop("(others)")) == (40, 40 * 24 - 9 * 2)
    assert list(found.values()) == [2] * 9


def test_past_a_thousand_unknown_labels_of_a_shard_no_count_is_said_to_be_exact(
    tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    labels = [f"a text {i}" for i in range(1440)] + ["zz"] * 10
    found = unknown_in(tiny_bundle, tmp_path / "run", labels)
    assert found["(others)"] + found["(not told apart)"] >= 1440 - 9
    assert found["(not told apart)"] >= 440
    shard = RunDirectory.open(tmp_path / "run").notes(0).unknown_labels
    assert len(shard) == 1001


def test_long_unknown_labels_are_cut_short(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    labels = [f"{i} " + "a text that is no label " * 1000 for i in range(40)]
    found = unknown_in(tiny_bundle, tmp_path / "run", [*labels, "x" * 60, "y" * 61, "y" * 62])
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


def test_a_window_larger_than_a_shard_is_refused_and_the_default_fits() -> None:
    assert ScoreOptions(shard_rows=7).window == 7
    assert ScoreOptions(shard_rows=10**6).window == 4096
    with pytest.raises(RunError, match=r"window_rows is 8, more than shard_rows \(7\)"):
        ScoreOptions(window_rows=8, shard_rows=7)


def test_machines_that_worked_on_a_run_are_all_recorded(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", SMALL)
    (tmp_path / "run" / "scores" / "part-00001.parquet").unlink()
    score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(**{**SMALL.__dict__, "threads": 2}))
    machines = json.loads((tmp_path / "run" / "run.json").read_text())["machines"]
    assert [machine["threads"] for machine in machines] == [1, 2]
