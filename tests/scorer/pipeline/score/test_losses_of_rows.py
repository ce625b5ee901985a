"""score_dataset(): every row once, its own loss, whatever the batches, windows, shards or the resume point."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import LabelError, ModelBundle, Progress, ScoreOptions, score_dataset
from tests.scorer.pipeline.score.helpers import SMALL, scores
from tests.support.tiny import CLASSES, MAX_TOKENS, WORDS, expected_logits, expected_loss, make_bundle, weights


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
