"""Ranking at scale: synthetic runs, in their own process, so that its time and memory are only theirs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.synthetic.make_run import make_run
from scorer import RunError, rank
from scorer.pipeline.summary import summarise
from tests.support import ROOT, SOAK
from tests.support.facts import facts

MEASURE = """
import json, sys, time
from scorer import rank
from scorer.pipeline.summary import peak_memory_bytes
started = time.perf_counter()
ranked = rank(sys.argv[1], 500)
print(json.dumps([[row.row for row in ranked], time.perf_counter() - started, peak_memory_bytes()]))
"""


@pytest.mark.parametrize("shards", [250, 1])
@SOAK
def test_the_worst_500_are_found_in_little_time_and_memory(tmp_path: Path, shards: int) -> None:
    rows = 2_000_000
    make_run(tmp_path / "run", rows, rows // shards)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    worst, seconds, memory = json.loads(done.stdout)
    loss = pq.read_table(tmp_path / "run" / "scores", columns=["loss"])["loss"].to_numpy()
    assert worst == np.argsort(-loss, kind="stable")[:500].tolist()
    # Of what ten million rows may take, five times over for a busy machine; memory does not grow with rows.
    assert seconds < 15 * max(1, rows / 1_000_000)
    assert memory < 500 * 2**20


def test_a_large_shard_is_ranked_in_parts_as_a_small_one_is(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 150_000, 140_000)
    table = pq.read_table(run.path / "scores")
    for by, column, sign in (("loss", "loss", -1), ("margin", "margin", 1)):
        values = sign * table[column].to_numpy()
        assert [row.row for row in rank(run, 300, by=by)] == np.argsort(values, kind="stable")[:300].tolist()
    label, loss = table["label"].to_numpy(), table["loss"].to_numpy()
    worst = {row for k in range(4) for row in np.flatnonzero(label == k)[np.argsort(-loss[label == k])[:20]].tolist()}
    assert {row.row for row in rank(run, per_class=20)} == worst
    first = rank(run, 1)[0]
    assert first.probs == tuple(table["probs"][first.row].as_py())


def test_a_shard_that_lost_rows_is_named_whatever_reads_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1000, 500)
    whole = pq.read_table(run.shard_file(1))
    pq.write_table(whole.slice(0, 499), run.shard_file(1))
    with pytest.raises(RunError, match=facts("part-00001.parquet", 499, 500)):
        rank(run, 5)
    run.shard_file(1).write_bytes(b"x")
    for read in (lambda: rank(run, 5), lambda: summarise(run, kept_rows=0, seconds={}, model_share=0.0)):
        with pytest.raises(RunError, match=facts("part-00001.parquet")):
            read()


def test_the_memory_of_whoever_starts_a_process_is_not_its_own() -> None:
    ballast = np.ones(600 * 2**20, np.uint8)
    program = "from scorer.pipeline.summary import peak_memory_bytes; print(peak_memory_bytes())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < len(ballast)
