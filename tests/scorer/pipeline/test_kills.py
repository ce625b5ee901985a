"""kill -9 at random moments: nothing is lost, and the end is byte for byte an uninterrupted run's."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.synthetic.make_rows import make_rows
from cli.commands.demo import DATA
from scorer import ModelBundle, ScoreOptions, score_dataset
from scorer.audit.verify import verify
from tests.support import ROOT, SOAK

SHARD_ROWS = 150


@SOAK
def test_kills_at_random_moments(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    kills, thousands = 20, 60
    data = tmp_path / "data.parquet"
    pq.write_table(pa.concat_tables([rows] * thousands), data)
    score_dataset(tiny_bundle, data, tmp_path / "whole", ScoreOptions(shard_rows=SHARD_ROWS, threads=1))
    moments, run, killed = random.Random(20), tmp_path / "run", 0
    arguments = ["score", tiny_bundle.path, data, "-o", run, "--shard-rows", SHARD_ROWS, "--threads", 1]
    command = [sys.executable, "-c", "from cli.entry import main; main()", *map(str, arguments)]
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Before the first shard, too: as often as not before the run has been opened.
        wanted = len(list(run.glob("scores/part-*"))) + moments.choice([0, 0, 1, 2, 5, 9])
        deadline = time.monotonic() + 60
        while process.poll() is None and len(list(run.glob("scores/part-*"))) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moments.random() * (0.02 if wanted else 0.9))
        os.kill(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if (run / "run.json").exists():
            assert verify(run).sound
    assert killed == kills
    assert not verify(run).complete
    stats = score_dataset(tiny_bundle, data, run, ScoreOptions(shard_rows=SHARD_ROWS, threads=1))
    assert stats.kept_rows > 0
    assert verify(run).complete
    for file in sorted((tmp_path / "whole" / "scores").iterdir()):
        assert (run / "scores" / file.name).read_bytes() == file.read_bytes()
    assert len(list((run / "scores").iterdir())) == 1000 * thousands // SHARD_ROWS


def test_made_rows_are_like_the_demos_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_rows(tmp_path / name, rows=1001, files=3)
    make_rows(tmp_path / "c", rows=1001, files=3, seed=1)
    files = {name: sorted((tmp_path / name).iterdir()) for name in "abc"}
    assert [file.read_bytes() for file in files["a"]] == [file.read_bytes() for file in files["b"]]
    table, demo = pa.concat_tables([pq.read_table(file) for file in files["a"]]), pq.read_table(DATA)
    assert len(table) == 1001
    assert len(set(table["text"].to_pylist())) > 990
    lengths = [np.mean([len(text.split()) for text in each["text"].to_pylist()]) for each in (table, demo)]
    assert abs(lengths[0] / lengths[1] - 1) < 0.05
    assert [file.read_bytes() for file in files["c"]] != [file.read_bytes() for file in files["a"]]
