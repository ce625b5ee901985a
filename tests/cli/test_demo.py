"""The demo: real wrong labels, in the package, quickly, without a network."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import main
from cli.commands.demo import BUNDLE, DATA, FILES
from scorer import ModelBundle, rank, score_dataset
from tests.support import ROOT, SOAK
from tests.support.commands import Lossrank, document
from tests.support.facts import tells


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, click.testing.Result]:
    """The run that the demo makes, and what it prints."""
    run = tmp_path_factory.mktemp("demo") / "run"
    return run, click.testing.CliRunner().invoke(main.run, ["demo", "-o", str(run)], env={"COLUMNS": "120"})


def test_the_demo_shows_the_worst_rows_and_what_to_do_next(shown: tuple[Path, click.testing.Result]) -> None:
    run, result = shown
    assert result.exit_code == 0, result.output
    assert "mean loss" in result.stdout
    following = [line.strip() for line in result.stdout.splitlines() if line.startswith("    lossrank")]
    assert following[0] == f"lossrank review {run}"
    assert f"lossrank rank {run} --pair" in result.stdout
    summary = json.loads((run / "run.json").read_text())["summary"]
    assert summary["by_status"] == {"ok": 7600}
    assert summary["accuracy"] >= 0.87
    rows = [line.split()[1] for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert len(rows) == 20
    # A killing and a basketball player's trial, which AG News files under Sci/Tech: README speaks of them.
    assert {"2833", "912"} <= set(rows)


def test_the_demo_in_json(shown: tuple[Path, click.testing.Result], lossrank: Lossrank) -> None:
    found = document(lossrank("demo", "-o", shown[0], "--top", 3, "--json"))
    assert found["by_status"] == {"ok": 7600}
    assert [row["rank"] for row in found["worst"]] == [1, 2, 3]
    assert found["worst"][0]["source"]["text"]


@SOAK
def test_the_demo_again_is_the_same_run_byte_for_byte(
    shown: tuple[Path, click.testing.Result], lossrank: Lossrank, tmp_path: Path
) -> None:
    assert document(lossrank("demo", "-o", tmp_path / "run", "--json"))["by_status"] == {"ok": 7600}
    first, second = (sorted((run / "scores").iterdir()) for run in (shown[0], tmp_path / "run"))
    assert [file.name for file in first] == [file.name for file in second]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_the_demo_fits_in_the_package_and_states_its_source() -> None:
    assert sum(file.stat().st_size for file in FILES.rglob("*") if file.is_file()) <= 10_000_000
    terms = (FILES / "README.md").read_text()
    assert "Zhang, Junbo Zhao and Yann LeCun" in terms
    assert "non-commercial" in terms
    assert ModelBundle.load(BUNDLE).parity().max_logit_difference < 1e-4


def test_the_demos_data_are_the_published_rows(shared: Path) -> None:
    published = pq.read_table(shared / "data" / "ag_news_test.parquet")
    shipped = pq.read_table(DATA)
    for column in ("text", "label"):
        assert shipped[column].to_pylist() == published[column].to_pylist()


SEEDS = (0, 1, 2, 3, 4)


def flip(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which 5% are changed to another class, and the rows that were."""
    random = np.random.default_rng(seed)
    rows = random.choice(len(labels), size=len(labels) // 20, replace=False)
    flipped = labels.copy()
    flipped[rows] = (flipped[rows] + random.integers(1, 4, size=len(rows))) % 4
    return flipped, rows


@pytest.mark.parametrize(("rows", "least"), [(600, 0.6), pytest.param(7600, 0.64, marks=SOAK)])
def test_flipped_labels_come_out_on_top(tmp_path: Path, rows: int, least: float) -> None:
    """Each text stands there once for every seed, with that seed's label: of one window it is run once."""
    data = pq.read_table(DATA).slice(0, rows)
    flips = [flip(data["label"].to_numpy(), seed) for seed in SEEDS]
    texts = data["text"].take(np.repeat(np.arange(len(data)), len(SEEDS)))
    labels = np.stack([flipped for flipped, _ in flips], axis=1).ravel()
    score_dataset(BUNDLE, pa.table({"text": texts, "label": labels}), tmp_path / "run")
    places = np.array([row.row for row in rank(tmp_path / "run", len(labels))])
    assert len(places) == len(labels)
    recalls = []
    for seed, (_, flipped) in zip(SEEDS, flips, strict=True):
        worst = set((places[places % len(SEEDS) == seed] // len(SEEDS))[: len(flipped)].tolist())
        recalls.append(len(worst & set(flipped.tolist())) / len(flipped))
    print(f"flipped rows found in the top as many: {[f'{recall:.1%}' for recall in recalls]}")
    assert np.mean(recalls) >= least


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
        {"lossrank/page/templates/row.html", "lossrank/page/static/page.css", "lossrank/page/static/page.js"}
        <= page
        <= set(names)
    )
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/cli/demo_files/README.md") for name in names)


def test_another_run_in_the_demos_place_is_replaced_only_when_asked(
    lossrank: Lossrank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = pq.read_table(DATA).slice(0, 80)
    score_dataset(BUNDLE, few.slice(40), tmp_path / "run")
    pq.write_table(few, tmp_path / "few.parquet")
    monkeypatch.setattr("cli.commands.demo.DATA", tmp_path / "few.parquet")
    refused = lossrank("demo", "-o", tmp_path / "run")
    assert refused.exit_code == 1
    assert tells(refused.stderr, "--overwrite")
    assert lossrank("demo", "-o", tmp_path / "run", "--overwrite").exit_code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["summary"]["rows"] == 80
