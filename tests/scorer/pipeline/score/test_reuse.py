"""score with reuse: unchanged rows keep the scores of an earlier run, the others are scored, and the losses agree."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, score_dataset
from scorer.audit.verify import verify
from scorer.files import file_sha256
from scorer.pipeline import open_shard
from tests.scorer.pipeline.score.helpers import SMALL, scores, shard_bytes
from tests.support.facts import facts
from tests.support.tiny import expected_loss, make_bundle, make_texts, weights

NUMBERS = (
    "predicted",
    "loss",
    "label_prob",
    "top_prob",
    "margin",
    "entropy",
    "n_tokens",
    "truncated",
    "status",
    "probs",
)


def table(texts: list[str | None], labels: list[Any], ids: list[int] | None = None) -> pa.Table:
    return pa.table({"id": ids or list(range(len(texts))), "text": texts, "label": labels})


@pytest.fixture(scope="module")
def first(rows: pa.Table) -> pa.Table:
    return table(rows["text"].to_pylist(), rows["label"].to_pylist())


@pytest.fixture(scope="module")
def earlier(tiny_bundle: ModelBundle, first: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("earlier") / "run"
    score_dataset(tiny_bundle, first, run, SMALL)
    return run


def changed(first: pa.Table) -> tuple[pa.Table, int]:
    """Return the rows with some added, removed, edited, relabelled and moved, and how many are unchanged."""
    rows = first.to_pylist()
    del rows[10:30]
    for row in rows[100:140]:
        row["text"] += " w59 w58"
    for row in rows[200:250]:
        row["label"] = (row["label"] + 1) % 4
    new = [{"id": 2000 + i, "text": text, "label": i % 4} for i, text in enumerate(make_texts(70, seed=9, longest=30))]
    rows = [*rows[500:], *new, *rows[:500]]
    known = {(row["text"], row["label"]) for row in first.to_pylist()}
    return pa.Table.from_pylist(rows, first.schema), sum((row["text"], row["label"]) in known for row in rows)


def test_a_changed_data_set_has_the_losses_of_a_full_run(
    tiny_bundle: ModelBundle, first: pa.Table, earlier: Path, tmp_path: Path
) -> None:
    data, unchanged = changed(first)
    fed: list[int] = []
    stats = score_dataset(
        tiny_bundle, data, tmp_path / "run", SMALL, reuse=earlier, on_progress=lambda now: fed.append(now.tokens)
    )
    full = score_dataset(tiny_bundle, data, tmp_path / "full", SMALL)
    assert (stats.reused, full.reused) == (unchanged, 0)
    assert 880 <= unchanged <= 900
    assert stats.to_dict()["reused"] == unchanged
    ours, theirs, before = scores(tmp_path / "run"), scores(tmp_path / "full"), scores(earlier)
    assert ours.schema == theirs.schema
    for name in ours.schema.names:
        if name in ("loss", "label_prob", "top_prob", "margin", "entropy"):
            assert np.allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=0, atol=1e-5)
        elif name != "probs":
            assert ours[name].to_pylist() == theirs[name].to_pylist(), name
    for row in data.slice(0, 30).to_pylist():
        at = data["id"].to_pylist().index(row["id"])
        assert abs(ours["loss"][at].as_py() - expected_loss(row["text"], row["label"])) < 1e-4
    assert before["id"].null_count == 1000  # rows are matched without ids
    texts = {(row["text"], row["label"]): at for at, row in enumerate(first.to_pylist())}
    same = [
        (at, texts[row["text"], row["label"]])
        for at, row in enumerate(data.to_pylist())
        if (row["text"], row["label"]) in texts
    ]
    for name in NUMBERS:  # exactly, not only within rounding
        now, then = ours[name].to_pylist(), before[name].to_pylist()
        assert [now[at] for at, _ in same] == [then[at] for _, at in same]
    new = [
        len(text.split())
        for text in (row["text"] for row in data.to_pylist() if (row["text"], row["label"]) not in texts)
    ]
    assert 0 < fed[-1] <= sum(new) + 2 * len(new)  # the model got the tokens of the other rows only
    assert verify(tmp_path / "run", data=data).complete


def test_unchanged_data_runs_nothing(tiny_bundle: ModelBundle, first: pa.Table, earlier: Path, tmp_path: Path) -> None:
    stats = score_dataset(tiny_bundle, first, tmp_path / "run", SMALL, reuse=earlier)
    assert (stats.reused, stats.tokens) == (1000, 0)
    assert scores(tmp_path / "run").equals(scores(earlier))
    chained = score_dataset(tiny_bundle, first, tmp_path / "again", SMALL, reuse=tmp_path / "run")
    assert chained.reused == 1000
    assert shard_bytes(tmp_path / "again") == shard_bytes(tmp_path / "run")


def test_rows_that_cant_be_used_are_not_reused_and_rows_without_a_label_are(
    tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    texts: list[str | None] = [*make_texts(20, seed=3), None, " ", "w1", "w1", "w1"]
    labels: list[Any] = [*["World"] * 20, "World", "World", None, "Strange", "Sports"]
    data = table(texts, [*labels[:-3], None, "Strange", "Sports"])
    score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    stats = score_dataset(tiny_bundle, data, tmp_path / "next", SMALL, reuse=tmp_path / "run")
    assert stats.by_status == {"ok": 21, "no_text": 2, "no_label": 1, "unknown_label": 1}
    assert stats.reused == 23
    assert scores(tmp_path / "next").equals(scores(tmp_path / "run"))
    relabelled = table(texts, [*labels[:-3], "World", None, "Strange"])
    stats = score_dataset(tiny_bundle, relabelled, tmp_path / "last", SMALL, reuse=tmp_path / "run")
    assert stats.reused == 22  # "w1" is new as World, known without a label and as Strange
    assert scores(tmp_path / "last")["loss"].to_pylist()[22] == pytest.approx(expected_loss("w1", 0), abs=1e-5)


def test_a_stopped_run_goes_on_byte_for_byte(
    tiny_bundle: ModelBundle, first: pa.Table, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, unchanged = changed(first)
    score_dataset(tiny_bundle, data, tmp_path / "whole", SMALL, reuse=earlier)
    monkeypatch.setattr(open_shard, "_FIRST", 0)
    monkeypatch.setattr(open_shard, "_EVERY", 0)

    def press(progress: Progress) -> None:
        if progress.rows > 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, data, tmp_path / "run", SMALL, reuse=earlier, on_progress=press)
    with pytest.raises(RunError, match=facts("another run", "reuse")):
        score_dataset(tiny_bundle, data, tmp_path / "run", SMALL)
    stats = score_dataset(tiny_bundle, data, tmp_path / "run", SMALL, reuse=earlier)
    assert stats.kept_rows > 0
    assert stats.reused == unchanged
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")


def test_other_settings_are_refused_in_one_line(
    tiny_bundle: ModelBundle, first: pa.Table, earlier: Path, tmp_path: Path
) -> None:
    def refused(match: str, bundle: ModelBundle = tiny_bundle, output: str = "run", **options: Any) -> None:
        with pytest.raises(RunError, match=match) as caught:
            score_dataset(
                bundle, first, tmp_path / output, ScoreOptions(**{**SMALL.__dict__, **options}), reuse=earlier
            )
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
        assert not (tmp_path / output).exists()

    refused(facts("reused", "max tokens", 40, 20), max_tokens=20)
    refused(facts("reused", "long text", "head", "tail"), long_text="tail")
    refused(facts("reused", "bundle"), make_bundle(tmp_path / "other", table=weights(seed=5)))
    int8 = make_bundle(tmp_path / "int8", int8=weights(seed=1))
    refused(facts("reused", "precision", "fp32", "int8"), int8, precision="int8")
    refused(facts("screen"), int8, precision="screen")
    with pytest.raises(RunError, match=facts("reuse", "is the run to write")):
        score_dataset(tiny_bundle, first, earlier, SMALL, reuse=earlier)
    with pytest.raises(RunError, match=facts("does not exist")):
        score_dataset(tiny_bundle, first, tmp_path / "run", SMALL, reuse=tmp_path / "nowhere")


def as_older(run: Path) -> None:
    """Rewrite a run as an older version wrote it: without the hashes of texts."""
    manifest = json.loads((run / "run.json").read_text())
    del manifest["options"]["text_hash"]
    for name, shard in manifest["shards"].items():
        file = run / "scores" / name
        pq.write_table(pq.read_table(file).drop_columns("text_hash"), file, compression="zstd")
        shard["sha256"] = file_sha256(file)
    (run / "run.json").write_text(json.dumps(manifest))


def test_a_run_of_an_older_version_is_read_and_resumed_and_not_reused(
    tiny_bundle: ModelBundle, first: pa.Table, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, first, tmp_path / "run", SMALL)
    as_older(tmp_path / "run")
    assert verify(tmp_path / "run", data=first).complete
    with pytest.raises(RunError, match=facts("older", "reuse")):
        score_dataset(tiny_bundle, first, tmp_path / "next", SMALL, reuse=tmp_path / "run")
    whole = scores(tmp_path / "run")
    (tmp_path / "run" / "scores" / "part-00003.parquet").unlink()
    assert score_dataset(tiny_bundle, first, tmp_path / "run", SMALL).kept_rows == 850
    assert scores(tmp_path / "run").equals(whole)
    run = RunDirectory.open(tmp_path / "run")
    assert run.take(np.array([1, 500], dtype=np.int64)).num_rows == 2
    assert verify(tmp_path / "run", data=first).complete


def test_a_changed_file_is_named_as_changed(tiny_bundle: ModelBundle, first: pa.Table, tmp_path: Path) -> None:
    file = tmp_path / "reviews.parquet"
    pq.write_table(first, file)
    score_dataset(tiny_bundle, file, tmp_path / "run", SMALL)
    pq.write_table(first.slice(3), file)
    with pytest.raises(
        RunError, match=facts("reviews.parquet", "has changed since", "1,000", "997", "reuse")
    ) as caught:
        score_dataset(tiny_bundle, file, tmp_path / "run", SMALL)
    assert "fingerprint" not in str(caught.value)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 400
