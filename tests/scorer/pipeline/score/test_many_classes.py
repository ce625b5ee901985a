"""score with more than 256 classes: a row keeps its 20 highest probabilities and its label's, or all with all_probs."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from scorer import ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, rank, score_dataset
from scorer.audit.verify import verify
from scorer.model.losses import top_classes
from scorer.pipeline import scores as scores_module
from tests.scorer.pipeline.score.helpers import SMALL, scores, shard_bytes
from tests.support.facts import facts
from tests.support.tiny import expected_logits, make_bundle, make_texts, weights

CLASSES = tuple(f"class {i}" for i in range(300))
TABLE = weights(len(CLASSES), seed=3)
TABLE[:, 280:] = TABLE[:, 279:280]  # the last classes are equally probable
ROWS = 400
ALL = dataclasses.replace(SMALL, all_probs=True)
INT8 = (TABLE + np.random.default_rng(5).normal(size=TABLE.shape) * 0.02).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return make_bundle(tmp_path_factory.mktemp("many") / "bundle", CLASSES, TABLE, INT8)


@pytest.fixture(scope="module")
def data() -> pa.Table:
    random = np.random.default_rng(1)
    texts: list[str | None] = [*make_texts(ROWS, 2, 25)]
    labels: list[str | None] = [CLASSES[i] for i in random.integers(0, len(CLASSES), ROWS)]
    for row in range(50, ROWS):  # most labels are right, so that nothing looks permuted
        labels[row] = CLASSES[int(expected_logits(str(texts[row]), TABLE).argmax())]
    texts[5], labels[6], labels[7] = None, None, "none of them"
    return pa.table({"text": texts, "label": labels})


@pytest.fixture(scope="module")
def run(bundle: ModelBundle, data: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    score_dataset(bundle, data, path, SMALL)
    return path


@pytest.fixture(scope="module")
def whole(bundle: ModelBundle, data: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    score_dataset(bundle, data, path, ALL)
    return path


def probs_by_hand(text: str, table: NDArray[np.float32] = TABLE) -> NDArray[np.float64]:
    logits = expected_logits(text, table)
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


def test_a_row_keeps_its_20_highest_probabilities_and_its_labels(run: Path, data: pa.Table) -> None:
    outside = 0
    for record, row in zip(scores(run).to_pylist(), data.to_pylist(), strict=True):
        if row["text"] is None:
            assert (record["status"], record["probs_class"], record["probs"]) == ("no_text", None, None)
            continue
        probs = probs_by_hand(row["text"])
        label = CLASSES.index(row["label"]) if row["label"] in CLASSES else None
        expected = np.sort(probs)[::-1][:20].tolist()
        kept = record["probs_class"]
        if label is not None and label not in kept[:20]:
            outside += 1
            assert kept[20] == label
            expected.append(probs[label])
        assert len(kept) == len(set(kept)) == len(expected)
        assert record["probs"] == pytest.approx(expected, rel=1e-4, abs=1e-9)
        assert record["probs"] == pytest.approx(probs[kept].tolist(), rel=1e-4, abs=1e-9)
        assert (kept[0], record["probs"][0]) == (record["predicted"], record["top_prob"])
        if label is not None:
            assert record["probs"][kept.index(label)] == record["label_prob"]
    assert outside > 30


def test_all_other_columns_are_those_of_a_run_with_all_probabilities(run: Path, whole: Path, data: pa.Table) -> None:
    few, full = scores(run), scores(whole)
    assert few.drop(["probs_class", "probs"]).equals(full.drop(["probs"]))
    assert full.schema.field("probs").type == pa.list_(pa.float32(), 300)
    for record, probs in zip(few.to_pylist(), full["probs"].to_pylist(), strict=True):
        if probs is not None:
            assert record["probs"] == [probs[k] for k in record["probs_class"]]
    assert json.loads((run / "run.json").read_text())["options"]["top_probs"] == 20
    assert "top_probs" not in json.loads((whole / "run.json").read_text())["options"]
    for path in (run, whole):
        assert verify(path).complete


@pytest.mark.parametrize("at_once", [1, 7 * 300, 1 << 20])
def test_the_numbers_do_not_depend_on_how_many_rows_are_computed_at_once(
    bundle: ModelBundle, data: pa.Table, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(scores_module, "_AT_ONCE", at_once)
    score_dataset(bundle, data, tmp_path / "run", SMALL)
    assert shard_bytes(tmp_path / "run") == shard_bytes(run)


def test_up_to_256_classes_all_are_kept(tmp_path: Path) -> None:
    names = CLASSES[:256]
    bundle = make_bundle(tmp_path / "bundle", names, TABLE[:, :256])
    data = pa.table({"text": make_texts(100), "label": [names[i] for i in range(100)]})
    for name, options in (("run", SMALL), ("all", ALL)):
        score_dataset(bundle, data, tmp_path / name, options)
    assert scores(tmp_path / "run").schema.field("probs").type == pa.list_(pa.float32(), 256)
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "all")
    options = [json.loads((tmp_path / name / "run.json").read_text())["options"] for name in ("run", "all")]
    assert options[0] == options[1]


class TestResume:
    class Cut(Exception):
        """Stands in for whatever ends a process."""

    def cut_run(self, bundle: ModelBundle, data: pa.Table, path: Path, options: ScoreOptions) -> None:
        def cut(progress: Progress) -> None:
            if progress.rows > 200:
                raise self.Cut

        with pytest.raises(self.Cut):
            score_dataset(bundle, data, path, options, on_progress=cut)

    def test_it_ends_byte_for_byte_the_same(
        self, bundle: ModelBundle, data: pa.Table, run: Path, tmp_path: Path
    ) -> None:
        self.cut_run(bundle, data, tmp_path / "run", SMALL)
        assert score_dataset(bundle, data, tmp_path / "run", SMALL).kept_rows > 0
        assert shard_bytes(tmp_path / "run") == shard_bytes(run)

    def test_a_run_with_all_probabilities_goes_on_with_all(
        self, bundle: ModelBundle, data: pa.Table, whole: Path, tmp_path: Path
    ) -> None:
        # As a run that an older version began, whose run.json has no `top_probs` either.
        self.cut_run(bundle, data, tmp_path / "run", ALL)
        assert score_dataset(bundle, data, tmp_path / "run", SMALL).kept_rows > 0
        assert shard_bytes(tmp_path / "run") == shard_bytes(whole)

    def test_all_probabilities_are_not_promised_to_a_run_that_keeps_some(
        self, bundle: ModelBundle, data: pa.Table, run: Path, tmp_path: Path
    ) -> None:
        self.cut_run(bundle, data, tmp_path / "run", SMALL)
        for path in (tmp_path / "run", run):
            with pytest.raises(RunError, match=facts("top_probs is 20 in the run", "`overwrite=True`")):
                score_dataset(bundle, data, path, ALL)


class TestReuse:
    def test_rows_keep_their_scores(self, bundle: ModelBundle, data: pa.Table, run: Path, tmp_path: Path) -> None:
        more = pa.concat_tables(
            [data.slice(100), pa.table({"text": ["w1 w2"], "label": ["class 0"]}), data.slice(0, 9)]
        )
        stats = score_dataset(bundle, more, tmp_path / "reusing", SMALL, reuse=run)
        score_dataset(bundle, more, tmp_path / "full", SMALL)
        assert stats.reused == 308
        found, full = scores(tmp_path / "reusing"), scores(tmp_path / "full")
        assert found["probs_class"].to_pylist() == full["probs_class"].to_pylist()
        for one, other in zip(found["probs"].to_pylist(), full["probs"].to_pylist(), strict=True):
            assert one == (other if other is None else pytest.approx(other, rel=1e-5))
        assert verify(tmp_path / "reusing").complete

    @pytest.mark.parametrize("keeps_all", [True, False])
    def test_another_form_is_refused(
        self, bundle: ModelBundle, data: pa.Table, run: Path, whole: Path, tmp_path: Path, keeps_all: bool
    ) -> None:
        here, there = ("all", "the 20 highest")[:: 1 if keeps_all else -1]
        earlier = run if keeps_all else whole
        with pytest.raises(RunError, match=facts("can't be reused", f"keeps {there}", f"{here} here", "`all_probs`")):
            score_dataset(bundle, data, tmp_path / "run", ALL if keeps_all else SMALL, reuse=earlier)
        assert not (tmp_path / "run").exists()


def test_a_screen_rescores_both_forms_alike(bundle: ModelBundle, data: pa.Table, tmp_path: Path) -> None:
    screened = dataclasses.replace(SMALL, precision="screen", screen_top=20)
    score_dataset(bundle, data, tmp_path / "few", screened)
    score_dataset(bundle, data, tmp_path / "all", dataclasses.replace(screened, all_probs=True))
    few, full = scores(tmp_path / "few"), scores(tmp_path / "all")
    assert few.drop(["probs_class", "probs"]).equals(full.drop(["probs"]))
    precisions = few["precision"].to_pylist()
    assert {"fp32", "int8"} <= set(precisions)
    texts = data["text"].to_pylist()
    for row, precision in enumerate(precisions):
        if precision is not None:
            by_hand = probs_by_hand(texts[row], TABLE if precision == "fp32" else INT8)
            kept, probs = few["probs_class"][row].as_py(), few["probs"][row].as_py()
            assert probs == pytest.approx(by_hand[kept].tolist(), rel=1e-4, abs=1e-9)
            assert probs == [full["probs"][row].as_py()[k] for k in kept]
    assert verify(tmp_path / "few").complete


def test_both_forms_have_the_same_ranking(run: Path, whole: Path) -> None:
    few, full = rank(run, 30), rank(whole, 30)
    for one, other in zip(few, full, strict=True):
        assert one.probs_class is not None
        assert other.probs_class is None
        assert len(one.probs) in (20, 21)
        assert one.known_probs() == {k: other.probs[k] for k in one.probs_class}
        assert other.known_probs() == dict(enumerate(other.probs))
        assert dataclasses.replace(one, probs=other.probs, probs_class=None) == other


def test_a_manifest_with_too_few_classes_is_one_line(run: Path) -> None:
    directory = RunDirectory.open(run)
    highest = max(k for row in scores(run)["probs_class"].to_pylist() if row for k in row)
    with pytest.raises(RunError, match="it names 290 classes"):
        rank(directory.with_class_names(CLASSES[:290]), ROWS)
    assert highest >= 290


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_equally_probable_classes_come_in_index_order(levels: int) -> None:
    probs = np.random.default_rng(levels).integers(0, levels, (50, 80)) / 1000.0
    expected = [sorted(range(80), key=lambda k, row=row: (-row[k], k))[:20] for row in probs]
    assert top_classes(probs, 20).tolist() == expected
    assert top_classes(probs[:0], 20).shape == (0, 20)
