"""The same rows give the same losses, and memory does not grow with the rows: on the demo's real transformer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.commands.demo import BUNDLE, DATA
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support import ROOT, SOAK


@pytest.fixture(scope="module")
def news() -> pa.Table:
    """400 real rows."""
    return pq.read_table(DATA).slice(0, 400)


@pytest.fixture(scope="module")
def reference(news: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Their losses, one row a batch, one thread."""
    run = tmp_path_factory.mktemp("reference") / "run"
    score_dataset(BUNDLE, news, run, ScoreOptions(batch_tokens=1, threads=1))
    losses: np.ndarray = pq.read_table(run / "scores")["loss"].to_numpy()
    return losses


@pytest.mark.parametrize(
    "options",
    [
        ScoreOptions(),
        ScoreOptions(batch_tokens=4096, threads=2),
        ScoreOptions(batch_tokens=333, window_rows=37, shard_rows=90, threads=1),
        ScoreOptions(window_rows=1, shard_rows=1000),
        ScoreOptions(shard_rows=7),
    ],
)
def test_the_same_rows_give_the_same_losses(
    news: pa.Table, reference: np.ndarray, tmp_path: Path, options: ScoreOptions
) -> None:
    score_dataset(BUNDLE, news, tmp_path / "run", options)
    losses = pq.read_table(tmp_path / "run" / "scores")["loss"].to_numpy()
    assert np.abs(losses - reference).max() <= 1e-5


def test_the_thread_count_changes_no_bit(news: pa.Table, tmp_path: Path) -> None:
    found = []
    for threads in (1, 2, 5):
        score_dataset(BUNDLE, news, tmp_path / f"run{threads}", ScoreOptions(threads=threads, batch_tokens=512))
        shards = sorted((tmp_path / f"run{threads}" / "scores").iterdir())
        found.append([shard.read_bytes() for shard in shards])
    assert found[0] == found[1] == found[2]


def test_a_rows_loss_does_not_depend_on_the_rows_beside_it(
    news: pa.Table, reference: np.ndarray, tmp_path: Path
) -> None:
    order = np.random.default_rng(3).permutation(len(news))[:100]
    score_dataset(BUNDLE, news.take(order), tmp_path / "run")
    losses = pq.read_table(tmp_path / "run" / "scores")["loss"].to_numpy()
    assert np.abs(losses - reference[order]).max() <= 1e-5


@SOAK
def test_padding_on_real_news_is_below_3_percent(tmp_path: Path) -> None:
    stats = score_dataset(BUNDLE, pq.read_table(DATA).slice(0, 4096), tmp_path / "run")
    assert 0 < stats.padding < 0.03


MEASURE = """
import json, sys
from scorer import ScoreOptions, rank, score_dataset
stats = score_dataset(sys.argv[1], sys.argv[2], sys.argv[3], ScoreOptions(threads=1, window_rows=1000, shard_rows=1000))
rank(sys.argv[3], 100)
from scorer.pipeline.summary import peak_memory_bytes
print(json.dumps([stats.rows, peak_memory_bytes()]))
"""


@SOAK
def test_peak_memory_does_not_depend_on_the_number_of_rows(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    peaks = []
    for repeats in (5, 200):
        data = tmp_path / f"{repeats}.parquet"
        with pq.ParquetWriter(data, rows.schema) as writer:
            for _ in range(repeats):
                writer.write_table(rows)
        arguments = [sys.executable, "-c", MEASURE, str(tiny_bundle.path), str(data), str(tmp_path / f"run{repeats}")]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
        scored, peak = json.loads(done.stdout)
        assert scored == repeats * 1000
        peaks.append(peak)
    # Forty times the rows; the difference that is left is the allocator's.
    assert peaks[1] < peaks[0] * 1.15
