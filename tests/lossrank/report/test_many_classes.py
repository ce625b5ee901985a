"""Runs of many classes: the report is bounded and exact, and rank, log, diff, review and the API read both forms."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import confusion_matrix

import lossrank as lr
from lossrank.report.report import report
from scorer import ScoreOptions, score_dataset
from scorer.text import some
from tests.support import ROOT, SOAK
from tests.support.commands import Lossrank
from tests.support.pages import page_of, words
from tests.support.tiny import expected_logits, make_bundle, make_texts, weights

CLASSES = tuple(f"class {i:03d}" for i in range(300))
TABLE = weights(len(CLASSES), seed=3)
SCORE = """
import json, sys
import lossrank as lr
run = lr.score(sys.argv[1], sys.argv[2], sys.argv[3], progress=False)
print(json.dumps([run.stats.peak_memory_bytes, run.stats.rows]))
"""


def rows_of(names: tuple[str, ...], table: np.ndarray, count: int) -> pa.Table:
    """Return rows of which the model predicts most labels."""
    random = np.random.default_rng(1)
    texts = make_texts(count, 2, 12)
    right = [int(expected_logits(text, table).argmax()) for text in texts]
    labels = np.where(random.random(count) < 0.7, right, random.integers(0, len(names), count))
    return pa.table({"text": texts, "label": [names[k] for k in labels]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data.parquet``, the run ``few`` with some probabilities and the run ``all`` with all."""
    folder = tmp_path_factory.mktemp("many")
    bundle = make_bundle(folder / "bundle", CLASSES, TABLE)
    pq.write_table(rows_of(CLASSES, TABLE, 800), folder / "data.parquet")
    for name in ("few", "all"):
        options = ScoreOptions(threads=1, all_probs=name == "all")
        score_dataset(bundle, folder / "data.parquet", folder / name, options)
    return folder


def labels_of(run: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = pq.read_table(run / "scores", columns=["label", "predicted", "loss"])
    return table["label"].to_numpy(), table["predicted"].to_numpy(), table["loss"].to_numpy()


def test_the_reports_cells_are_those_of_sklearns_matrix(folder: Path) -> None:
    label, predicted, _ = labels_of(folder / "few")
    dense = confusion_matrix(label, predicted, labels=range(300))
    document = json.loads(report(folder / "few", format="json").content)
    assert document["confusion"] is None
    assert document["confusion_cells"] == [[i, j, dense[i, j]] for i, j in zip(*np.nonzero(dense), strict=True)]
    shown = document["most_confused"]
    assert document["confused_matrix"] == dense[np.ix_(shown, shown)].tolist()
    wrong = dense.sum(axis=0) + dense.sum(axis=1) - 2 * np.diag(dense)
    assert shown == sorted(np.argsort(-wrong, kind="stable")[:20].tolist())
    off = dense - np.diag(np.diag(dense))
    assert [pair["rows"] for pair in document["pairs"]] == np.sort(off, axis=None)[::-1][:20].tolist()
    assert [counts["given"] for counts in document["classes"]] == dense.sum(axis=1).tolist()
    health = lr.open_run(folder / "few").health()
    assert (health.to_dict()["confusion"], health.to_dict()["confusion_cells"]) == (None, document["confusion_cells"])
    np.testing.assert_array_equal(health.counts.confusion, dense)


def test_pages_list_the_256_classes_with_the_highest_mean_loss(folder: Path) -> None:
    label, _, loss = labels_of(folder / "few")
    means = {k: loss[label == k].mean(dtype=np.float64) for k in np.unique(label).tolist()}
    worst = [CLASSES[k] for k in sorted(means, key=lambda k: -means[k])][:256]
    page = report(folder / "few", format="html").content
    text = report(folder / "few", format="md").content
    of_page = re.findall(
        r"<td>(class \d+)</td>", page.partition('<section id="classes">')[2].partition("</section>")[0]
    )
    of_text = re.findall(r"^\| (class \d+) \|", text.partition("## Classes")[2].partition("\n## ")[0], re.MULTILINE)
    assert len(of_page) == 256
    assert of_page == of_text
    assert of_page[: len(worst)] == worst
    for content in (page, text):
        assert "The 256 given classes with the highest mean loss; the report in JSON has the other 44 too" in content
    assert "every class" not in page


def test_up_to_256_classes_pages_list_all_and_json_has_the_matrix(tmp_path: Path) -> None:
    names = CLASSES[:256]
    data = rows_of(names, TABLE[:, :256], 300)
    score_dataset(make_bundle(tmp_path / "bundle", names, TABLE[:, :256]), data, tmp_path / "run")
    label, predicted, _ = labels_of(tmp_path / "run")
    document = json.loads(report(tmp_path / "run", format="json", no_texts=True).content)
    assert document["confusion"] == confusion_matrix(label, predicted, labels=range(256)).tolist()
    assert document["confusion_cells"] is None
    text = report(tmp_path / "run", format="md", no_texts=True).content
    listed = re.findall(r"^\| (class \d+) \|", text.partition("## Classes")[2].partition("\n## ")[0], re.MULTILINE)
    assert listed == list(names)
    assert "highest mean loss" not in text


def test_rank_log_diff_and_files_give_the_same_for_both_forms(folder: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    for kind in ("csv", "jsonl", "doccano", "label-studio"):
        for name in ("few", "all"):
            done = lossrank("log", folder / name, "--to", kind, "-o", tmp_path / f"{name}.{kind}.jsonl", "--top", 50)
            assert done.exit_code == 0, done.output
        few, full = ((tmp_path / f"{name}.{kind}.jsonl").read_bytes() for name in ("few", "all"))
        assert few == full
    ranked = {name: json.loads(lossrank("rank", folder / name, "--top", 9, "--json").stdout) for name in ("few", "all")}
    for few, full in zip(ranked["few"]["rows"], ranked["all"]["rows"], strict=True):
        assert few["probs"] == [full["probs"][k] for k in few["probs_class"]]
        assert full["probs_class"] is None
        assert {**few, "probs": 0, "probs_class": 0} == {**full, "probs": 0, "probs_class": 0}
    done = lossrank("diff", folder / "all", folder / "few")
    assert done.exit_code == 0, done.output
    assert lossrank("verify", folder / "few").exit_code == 0


def test_a_data_frame_explodes_into_one_row_for_each_probability(folder: Path) -> None:
    scores = lr.open_run(folder / "few").to_pandas()
    long = scores[["row", "probs_class", "probs"]].explode(["probs_class", "probs"])
    texts = pq.read_table(folder / "data.parquet")["text"].to_pylist()
    for row in (0, 17, 799):
        logits = expected_logits(texts[row], TABLE)
        probs = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        part = long[long.row == row]
        assert len(part) in (20, 21)
        assert part.probs.astype(float).tolist() == pytest.approx(
            probs[part.probs_class.astype(int)].tolist(), rel=1e-4
        )


def test_the_review_page_shows_the_known_probabilities_and_every_class(folder: Path) -> None:
    first = lr.open_run(folder / "few").worst(1)[0]
    assert first.probs_class is not None
    with page_of(folder / "few") as page:
        response = page.get()
        for key, index in enumerate(first.probs_class[:9], start=1):
            assert f'value="{index}" data-keys="{key}"' in response.text
        assert f"The other {len(first.probs) - 9} known probabilities" in words(response)
        assert all(f">{name}</option>" in response.text for name in CLASSES)
        other = next(k for k in range(300) if k not in first.probs_class)
        page.post("decide", row=first.row, seen=0, label=other)
        chosen = page.get(f"./?at={first.row}").text
        assert f'<option value="{other}" selected>{CLASSES[other]}</option>' in chosen
        assert page.get("./?view=list").status_code == 200


def test_a_notebook_shows_the_20_most_confused_classes(folder: Path) -> None:
    health = lr.open_run(folder / "few").health()
    html = health._repr_html_()
    shown = health.counts.most_confused(20)
    assert {CLASSES[k] for k in shown} <= set(re.findall(r"class \d{3}", html))
    assert len(html) < 500_000


def test_messages_name_some_of_the_classes(folder: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    run = lr.open_run(folder / "few")
    calls: list[Callable[[], object]] = [
        lambda: run.worst(pair="no pair"),
        lambda: run.worst(pair=("class 001", "another")),
        lambda: run.decide({0: "another"}, annotator="ann"),
    ]
    for call in calls:
        with pytest.raises(lr.LossrankError, match=r"class 000, class 001, .* and 2\d\d more") as caught:
            call()
        assert len(str(caught.value)) <= 400
    done = lossrank("log", folder / "few", "--to", "csv", "-o", tmp_path / "worst.csv")
    assert "class 000, class 001, " in done.output
    assert len(done.output) < 2000


@pytest.mark.parametrize("room", [1, 10, 11, 12, 30, 1000])
def test_some_names_fit_in_their_room(room: int) -> None:
    names = [f"name {i}" for i in range(40)]
    text = some(names, room)
    shown = text.partition(" and ")[0].split(", ")
    assert shown == names[: len(shown)]
    assert len(shown) == 1 or len(", ".join(shown)) <= room
    assert len(shown) == 40 or len(", ".join(names[: len(shown) + 1])) > room
    assert text.endswith(f" and {40 - len(shown)} more") == (len(shown) < 40)
    assert len(some(["x" * 500], 10)) == 60


@SOAK
def test_ten_thousand_classes_are_scored_and_reported_in_little_memory_and_time(tmp_path: Path) -> None:
    names = tuple(f"class {i:05d}" for i in range(10_000))
    table = weights(10_000)
    make_bundle(tmp_path / "bundle", names, table)
    pq.write_table(rows_of(names, table, 1500), tmp_path / "data.parquet")
    arguments = [str(tmp_path / name) for name in ("bundle", "data.parquet", "run")]
    done = subprocess.run(
        [sys.executable, "-c", SCORE, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    memory, rows = json.loads(done.stdout)
    assert rows == 1500
    assert memory < 700 * 2**20  # one int64 matrix of the classes has 763 MiB
    assert (tmp_path / "run" / "scores" / "part-00000.parquet").stat().st_size < 1_500_000
    started = time.process_time()
    sizes = {kind: len(report(tmp_path / "run", format=kind).content) for kind in ("html", "md", "json")}
    assert time.process_time() - started < 40  # for all three
    assert sizes["html"] < 1_000_000
    assert sizes["md"] < 200_000
    assert sizes["json"] < 4_000_000
