"""Texts past the model's limit: their start, their end, or the mean over pieces; and batches past the memory's."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import ModelBundle, RunError, ScoreOptions, score_dataset
from scorer.model.buckets import Bucket
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from tests.support.facts import facts
from tests.support.tiny import MAX_TOKENS, VOCABULARY, WORDS, expected_logits

ROOM = MAX_TOKENS - 2  # words of a piece, beside [CLS] and [SEP]
STEP = ROOM - (MAX_TOKENS - 3) // 4  # words from the start of a piece to that of the next one
PIECES = 64
OPTIONS = ScoreOptions(batch_tokens=200, shard_rows=50, threads=2)


def pieces(words: list[str]) -> list[str]:
    """Cut a text as ``mean`` reads it, by hand."""
    starts = [0]
    while starts[-1] + ROOM < len(words):
        starts.append(starts[-1] + STEP)
    return [" ".join(words[start : start + ROOM]) for start in starts[:PIECES]]


def by_hand(text: str, long_text: str) -> np.ndarray:
    words = text.split()
    parts = {"head": [text], "tail": [" ".join(words[-ROOM:])], "mean": pieces(words)}[long_text]
    return np.mean([expected_logits(part) for part in parts], axis=0)


def words(count: int, seed: int = 0) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, size=count))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=30),
    long_text=st.sampled_from(["head", "tail", "mean"]),
    batch_tokens=st.integers(1, 500),
)
def test_every_row_has_the_loss_of_what_is_read_of_it(
    tiny_bundle: ModelBundle,
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    long_text: str,
    batch_tokens: int,
) -> None:
    texts = [words(length, seed) for seed, length in enumerate(lengths)]
    run = tmp_path_factory.mktemp("long") / "run"
    options = dataclasses.replace(OPTIONS, long_text=long_text, batch_tokens=batch_tokens)
    stats = score_dataset(tiny_bundle, pa.table({"text": texts, "label": [1] * len(texts)}), run, options)
    table = pq.read_table(run / "scores")
    logits = np.array([by_hand(text, long_text) for text in texts])
    expected = np.log(np.exp(logits - logits[:, [1]]).sum(axis=1))
    np.testing.assert_allclose(table["loss"].to_numpy(), expected, rtol=1e-4, atol=1e-4)
    long = np.array(lengths) > ROOM
    assert table["truncated"].to_pylist() == (long if long_text != "mean" else np.zeros(len(long), bool)).tolist()
    assert stats.truncated == table["truncated"].to_numpy().sum()
    if long_text == "mean":
        seen = [sum(len(piece.split()) + 2 for piece in pieces(text.split())) for text in texts]
    else:
        seen = np.minimum(np.array(lengths) + 2, MAX_TOKENS).tolist()
    assert table["n_tokens"].to_pylist() == seen


def test_pieces_end_at_64_and_the_text_counts_as_truncated(tiny_bundle: ModelBundle) -> None:
    tokenizer = BundleTokenizer(tiny_bundle, long_text="mean")
    whole, longer = ((PIECES - 1) * STEP + ROOM + more for more in (0, 1))
    tokens = tokenizer.tokenise([words(whole), words(longer), "w1"])
    assert np.bincount(tokens.texts).tolist() == [PIECES, PIECES, 1]
    assert tokens.truncated.tolist() == [False, True, False]
    assert tokens.text_lengths.tolist()[:2] == [PIECES * MAX_TOKENS] * 2


@pytest.mark.parametrize("long_text", ["head", "tail", "mean"])
def test_a_text_of_megabytes_is_read_as_the_whole_would_be(tiny_bundle: ModelBundle, long_text: str) -> None:
    """It is cut before it is tokenised; the tokens are those of tokenising all of it."""
    text = words(400_000)
    assert len(text) > 10**6
    tokens = BundleTokenizer(tiny_bundle, long_text=long_text).tokenise([text])
    listed = text.split()
    parts = {"head": [" ".join(listed[:ROOM])], "tail": [" ".join(listed[-ROOM:])], "mean": pieces(listed)}[long_text]
    found = [
        tokens.ids[start:stop].tolist() for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]
    assert found == [[VOCABULARY[word] for word in ("[CLS]", *part.split(), "[SEP]")] for part in parts]
    assert tokens.truncated.tolist() == [True]


@pytest.mark.parametrize(("long_text", "duplicates"), [("head", 2), ("mean", 1)])
def test_duplicates_are_counted_in_texts(
    tiny_bundle: ModelBundle, tmp_path: Path, long_text: str, duplicates: int
) -> None:
    long, other = words(200), words(200, 1)
    texts = [long, other, long, " ".join([*long.split()[:ROOM], *other.split()]), "w1"]
    data = pa.table({"text": texts, "label": [0] * 5})
    stats = score_dataset(tiny_bundle, data, tmp_path / "run", dataclasses.replace(OPTIONS, long_text=long_text))
    assert stats.duplicates == duplicates


def test_what_long_text_can_be_is_said(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=facts("`long_text`", "'middle'", "head", "tail", "mean")):
        ScoreOptions(long_text="middle")
    pairs = pa.table({"premise": ["w1"], "hypothesis": ["w2"], "label": [0]})
    with pytest.raises(RunError, match=facts("`long_text='mean'`", "pairs")):
        score_dataset(tiny_bundle, pairs, tmp_path / "pairs", ScoreOptions(long_text="mean"))
    data = pa.table({"text": ["w1 w2"], "label": [0]})
    score_dataset(tiny_bundle, data, tmp_path / "run", OPTIONS)
    with pytest.raises(RunError, match="options long_text is head in the run, tail now"):
        score_dataset(tiny_bundle, data, tmp_path / "run", dataclasses.replace(OPTIONS, long_text="tail"))


class SmallMemory:
    """Stands in for onnxruntime's session where a batch of more than so many tokens does not fit."""

    def __init__(self, session: Any, limit: int) -> None:
        self._session, self._limit = session, limit

    def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        if feeds["input_ids"].size > self._limit:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for 99 bytes")
        found: list[np.ndarray] = self._session.run(outputs, feeds)
        return found


def with_memory(monkeypatch: pytest.MonkeyPatch, tokens: int) -> list[int]:
    """Let sessions have memory for batches of so many tokens; return the sizes that are asked for."""
    asked: list[int] = []
    whole = OrtSession.run

    def run(self: OrtSession, bucket: Bucket) -> np.ndarray:
        asked.append(bucket.input_ids.size)
        if not isinstance(self._session, SmallMemory):
            self._session = SmallMemory(self._session, tokens)
        return whole(self, bucket)

    monkeypatch.setattr(OrtSession, "run", run)
    return asked


def test_a_batch_too_large_for_the_memory_runs_in_halves(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ScoreOptions(batch_tokens=2000, window_rows=100, shard_rows=100, threads=1)
    score_dataset(tiny_bundle, rows, tmp_path / "whole", options)
    asked = with_memory(monkeypatch, 300)
    score_dataset(tiny_bundle, rows, tmp_path / "run", options)
    expected, found = (pq.read_table(tmp_path / name / "scores") for name in ("whole", "run"))
    np.testing.assert_allclose(found["loss"].to_numpy(), expected["loss"].to_numpy(), atol=1e-5)
    assert max(asked) > 1000
    assert min(asked) <= 300


def test_a_row_too_large_for_the_memory_ends_no_run(
    tiny_bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory(monkeypatch, 20)
    data = pa.table({"text": [words(5), words(38), words(6), words(5, 1)], "label": [0] * 4})
    stats = score_dataset(tiny_bundle, data, tmp_path / "run", OPTIONS)
    assert stats.by_status == {"ok": 3, "no_memory": 1}
    assert pq.read_table(tmp_path / "run" / "scores")["status"].to_pylist()[1] == "no_memory"


def test_another_error_of_onnxruntime_is_not_taken_for_memory(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            raise RuntimeError("a node is broken")

    whole = OrtSession.run

    def run(self: OrtSession, bucket: Bucket) -> np.ndarray:
        self._session = Broken()
        return whole(self, bucket)

    monkeypatch.setattr(OrtSession, "run", run)
    with pytest.raises(RuntimeError, match="a node is broken"):
        score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)


def test_a_text_of_50_megabytes_is_one_row_like_any_other(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    text = " ".join(["w1 w2 w3"] * (50 * 2**20 // 9))
    pq.write_table(pa.table({"text": ["w4", text, "w5 w6"], "label": [0, 1, 2]}), tmp_path / "data.parquet")
    stats = score_dataset(tiny_bundle, tmp_path / "data.parquet", tmp_path / "run", OPTIONS)
    table = pq.read_table(tmp_path / "run" / "scores")
    assert stats.by_status == {"ok": 3}
    assert table["truncated"].to_pylist() == [False, True, False]
    logits = expected_logits(text[:1000])
    assert table["loss"][1].as_py() == pytest.approx(np.log(np.exp(logits - logits[1]).sum()), abs=1e-4)
