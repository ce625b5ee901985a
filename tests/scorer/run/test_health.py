"""run_health(): the same numbers as sklearn, numpy and the run's summary, in one pass and little memory."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.synthetic.make_run import make_run
from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, score_dataset
from scorer.run.health import run_health
from tests.support import ROOT, SOAK
from tests.support.facts import facts
from tests.support.manifests import altered
from tests.support.tiny import CLASSES

MEASURE = """
import json, sys
from scorer import RunDirectory
from scorer.run.health import run_health
from scorer.pipeline.summary import peak_memory_bytes
health = run_health(RunDirectory.open(sys.argv[1]))
print(json.dumps([health.confusion.tolist(), peak_memory_bytes()]))
"""
Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def mixed(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run of several shards, with rows that have no text or no label."""
    texts, labels = rows["text"].to_pylist(), [CLASSES[k] for k in rows["label"].to_pylist()]
    texts[3], texts[400], labels[7], labels[9] = None, "  ", None, "Weather"
    path = tmp_path_factory.mktemp("health") / "run"
    score_dataset(tiny_bundle, pa.table({"text": texts, "label": labels}), path, ScoreOptions(shard_rows=300))
    return RunDirectory.open(path)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Change], RunDirectory]:
    """A run of 1,000 rows in one shard whose scores are what a function makes of them."""

    def make(change: Change) -> RunDirectory:
        run = make_run(tmp_path / "run", 1000, 1000)
        pq.write_table(change(pq.read_table(run.shard_file(0))), run.shard_file(0))
        return run

    return make


def with_losses(losses: list[float]) -> Change:
    def change(table: pa.Table) -> pa.Table:
        column = pa.array([*losses, *[0.01] * (len(table) - len(losses))], pa.float32())
        return table.set_column(table.schema.get_field_index("loss"), "loss", column)

    return change


def test_confusions_and_classes_are_sklearns(mixed: RunDirectory) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, recall_score  # every worker imports this file

    health = run_health(mixed)
    table = pq.read_table(mixed.path / "scores").filter(pc.field("status") == "ok")
    label, predicted, loss = (table[name].to_numpy() for name in ("label", "predicted", "loss"))
    np.testing.assert_array_equal(health.confusion, confusion_matrix(label, predicted, labels=range(len(CLASSES))))
    assert health.accuracy == accuracy_score(label, predicted)
    recalls = recall_score(label, predicted, labels=range(len(CLASSES)), average=None)
    for k, (found, recall) in enumerate(zip(health.classes(), recalls, strict=True)):
        assert (found.name, found.given, found.predicted) == (CLASSES[k], sum(label == k), sum(predicted == k))
        assert found.accuracy == pytest.approx(recall)
        assert found.mean_loss == pytest.approx(loss[label == k].mean(dtype=np.float64))
    assert health.mean_loss == pytest.approx(loss.mean(dtype=np.float64))
    assert health.disagreeing == int((label != predicted).sum())
    assert health.scored == len(table) == 996


def test_a_finished_runs_summary_has_the_same_numbers(mixed: RunDirectory) -> None:
    health, summary = run_health(mixed), mixed.manifest.summary
    for name in ("rows", "by_status", "by_precision", "truncated", "mean_loss", "accuracy"):
        assert getattr(health, name) == getattr(summary, name), name
    assert health.by_status == {"ok": 996, "no_text": 2, "no_label": 1, "unknown_label": 1}


@pytest.mark.parametrize("most", [1, 7, 40, 10_000])
def test_every_loss_is_in_its_bin(mixed: RunDirectory, most: int) -> None:
    found = run_health(mixed).histogram(most)
    table = pq.read_table(mixed.path / "scores").filter(pc.field("status") == "ok")
    loss, right = table["loss"].to_numpy(), pc.equal(table["label"], table["predicted"]).to_numpy()
    assert len(found.agree) <= most
    assert len({high - low for low, high in zip(found.edges[:-1], found.edges[1:], strict=True)}) == 1
    for counts, rows in ((found.agree, loss[right]), (found.disagree, loss[~right])):
        assert list(counts) == np.histogram(rows, bins=found.edges)[0].tolist()
        assert sum(counts) == len(rows)


def test_a_loss_on_an_edge_is_in_the_bin_above(changed: Callable[[Change], RunDirectory]) -> None:
    found = run_health(changed(with_losses([1.0, 0.99999]))).histogram(4)
    assert found.edges[:3] == (0.0, 0.5, 1.0)
    both = np.add(found.agree, found.disagree)
    assert both.tolist() == [998, 1, 1]


@pytest.mark.parametrize("enormous", [64.0, 1e30, float("inf")])
def test_enormous_losses_are_counted_in_one_open_bin(
    changed: Callable[[Change], RunDirectory], enormous: float
) -> None:
    found = run_health(changed(with_losses([3.0, enormous, enormous]))).histogram()
    assert found.edges[-1] == float("inf")
    assert np.add(found.agree, found.disagree)[-1] == 2
    assert sum(found.agree) + sum(found.disagree) == 1000


def test_classes_that_the_manifest_does_not_name_are_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1000, 500)
    run = altered(run, bundle={"class_names": ["World", "Sports"]})
    with pytest.raises(RunError, match=facts("run.json", "2 classes", "`overwrite=True`")):
        run_health(run)


def test_pairs_come_by_rows_and_name_no_class_with_itself(mixed: RunDirectory) -> None:
    health = run_health(mixed)
    expected = [
        (int(health.confusion[i, j]), CLASSES[i], CLASSES[j])
        for i in range(len(CLASSES))
        for j in range(len(CLASSES))
        if i != j and health.confusion[i, j]
    ]
    expected.sort(key=lambda pair: -pair[0])
    found = health.pairs(100)
    assert [(pair.rows, pair.given, pair.predicted) for pair in found] == expected
    assert found[0].share == found[0].rows / health.confusion[CLASSES.index(found[0].given)].sum()
    assert health.pairs(2) == found[:2]


def test_the_most_confused_classes_are_those_off_the_diagonal(mixed: RunDirectory) -> None:
    health = run_health(mixed)
    wrong = {k: sum(health.confusion[k]) + sum(health.confusion[:, k]) - 2 * health.confusion[k, k] for k in range(4)}
    assert health.most_confused(2) == sorted(sorted(wrong, key=lambda k: -wrong[k])[:2])
    assert health.most_confused(20) == [0, 1, 2, 3]


def test_without_labels_there_are_counts_and_no_losses(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, rows.select(["text"]), tmp_path / "run", ScoreOptions(threads=1))
    health = run_health(RunDirectory.open(tmp_path / "run"))
    assert (health.scored, health.mean_loss, health.accuracy, health.pairs(5)) == (0, None, None, [])
    assert health.by_status == {"no_label": 1000}
    assert {(each.given, each.mean_loss, each.accuracy) for each in health.classes()} == {(0, None, None)}


@SOAK
def test_a_million_rows_are_counted_in_little_memory(tmp_path: Path) -> None:
    from sklearn.metrics import confusion_matrix

    make_run(tmp_path / "run", 1_000_000, 100_000)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    confusion, memory = json.loads(done.stdout)
    table = pq.read_table(tmp_path / "run" / "scores", columns=["label", "predicted"])
    assert confusion == confusion_matrix(table["label"], table["predicted"]).tolist()
    assert memory < 300 * 2**20
