"""The demo: real wrong labels, in the package, quickly, without a network."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cli.commands.demo import BUNDLE, DATA, FILES
from scorer import ModelBundle, rank, score_dataset
from tests.support import ROOT
from tests.support.facts import tells

SEEDS = (0, 1, 2, 3, 4)


def test_the_demo_shows_the_worst_rows_and_what_to_do_next(
    lossrank: Callable[..., click.testing.Result], tmp_path: Path
) -> None:
    result = lossrank("demo", "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "mean loss" in result.stdout
    following = [line.strip() for line in result.stdout.splitlines() if line.startswith("    lossrank")]
    assert following[0] == f"lossrank review {tmp_path / 'run'}"
    assert f"lossrank rank {tmp_path / 'run'} --pair" in result.stdout
    summary = json.loads((tmp_path / "run" / "run.json").read_text())["summary"]
    assert summary["by_status"] == {"ok": 7600}
    assert summary["accuracy"] >= 0.87
    shown = [line.split()[1] for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert len(shown) == 20
    # A killing and a basketball player's trial, which AG News files under Sci/Tech: README speaks of them.
    assert {"2833", "912"} <= set(shown)


def test_the_demo_fits_in_the_package_and_states_its_source() -> None:
    assert sum(file.stat().st_size for file in FILES.rglob("*") if file.is_file()) <= 10_000_000
    terms = (FILES / "README.md").read_text()
    assert "Zhang, Junbo Zhao and Yann LeCun" in terms
    assert "non-commercial" in terms
    assert ModelBundle.load(BUNDLE).variants["fp32"]["parity"]["max_logit_difference"] < 1e-4


def test_the_demos_data_are_the_published_rows(shared: Path) -> None:
    published = pq.read_table(shared / "data" / "ag_news_test.parquet")
    shipped = pq.read_table(DATA)
    for column in ("text", "label"):
        assert shipped[column].to_pylist() == published[column].to_pylist()


def flip(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which 5% are changed to another class, and the rows that were."""
    random = np.random.default_rng(seed)
    rows = random.choice(len(labels), size=len(labels) // 20, replace=False)
    flipped = labels.copy()
    flipped[rows] = (flipped[rows] + random.integers(1, 4, size=len(rows))) % 4
    return flipped, rows


def test_flipped_labels_come_out_on_top(tmp_path: Path) -> None:
    """Each text stands there once for every seed, with that seed's label: of one window it is run once."""
    data = pq.read_table(DATA)
    flips = [flip(data["label"].to_numpy(), seed) for seed in SEEDS]
    texts = data["text"].take(np.repeat(np.arange(len(data)), len(SEEDS)))
    labels = np.stack([flipped for flipped, _ in flips], axis=1).ravel()
    score_dataset(BUNDLE, pa.table({"text": texts, "label": labels}), tmp_path / "run")
    places = np.array([row.row for row in rank(tmp_path / "run", len(labels))])
    assert len(places) == len(labels)
    recalls = []
    for seed, (_, rows) in zip(SEEDS, flips, strict=True):
        worst = set((places[places % len(SEEDS) == seed] // len(SEEDS))[: len(rows)].tolist())
        recalls.append(len(worst & set(rows.tolist())) / len(rows))
    print(f"flipped rows found in the top as many: {[f'{recall:.1%}' for recall in recalls]}")
    assert np.mean(recalls) >= 0.64


def test_two_runs_of_the_demo_are_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        score_dataset(BUNDLE, str(DATA), tmp_path / name)
        shards = sorted((tmp_path / name / "scores").iterdir())
        digests.append([hashlib.sha256(shard.read_bytes()).hexdigest() for shard in shards])
    assert digests[0] == digests[1]


def test_the_wheel_carries_the_demo_and_its_terms_and_no_tests(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*pip, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    shipped = [f"cli/demo_files/{name}" for name in ("bundle/model.onnx", "bundle/tokenizer.json", "README.md")]
    assert {*shipped, "cli/demo_files/bundle/bundle.json", "cli/demo_files/ag_news_test.parquet"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cli", "exporter", "lossrank", "scorer"}
    page = {str(file.relative_to(ROOT)) for file in (ROOT / "lossrank" / "page").rglob("*.*") if file.suffix != ".pyc"}
    assert (
        {"lossrank/page/templates/one.html", "lossrank/page/static/page.css", "lossrank/page/static/page.js"}
        <= page
        <= set(names)
    )
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/cli/demo_files/README.md") for name in names)


def test_another_run_in_the_demos_place_is_replaced_only_when_asked(
    lossrank: Callable[..., click.testing.Result], tmp_path: Path
) -> None:
    few = pq.read_table(DATA).slice(0, 40)
    score_dataset(BUNDLE, few, tmp_path / "run")
    refused = lossrank("demo", "-o", tmp_path / "run")
    assert refused.exit_code == 1
    assert tells(refused.stderr, "--overwrite")
    assert lossrank("demo", "-o", tmp_path / "run", "--overwrite").exit_code == 0
