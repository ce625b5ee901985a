"""apply and diff over many rows, in their own process, so that their memory is only theirs."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from benchmarks.synthetic.make_run import make_run
from lossrank.review.decision import RELABELLED, Decision, now_text
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, open_source
from tests.support import ROOT, SOAK
from tests.support.manifests import altered

MEASURE = """
import sys
from cli.main import run
from scorer.pipeline.summary import peak_memory_bytes
run(sys.argv[1:], standalone_mode=False)
print(peak_memory_bytes())
"""


def make(folder: Path, rows: int, ending: str) -> Path:
    """Write data of so many rows and a synthetic run over them, a hundredth of its rows relabelled."""
    folder.mkdir()
    texts = [f"{i} " + "word " * (i % 80) for i in range(1000)]
    table = pa.table({"text": np.tile(texts, rows // 1000), "label": np.arange(rows) % 4, "n": np.arange(rows)})
    if ending == "csv":
        pa.csv.write_csv(table, folder / "rows.csv")
    else:
        pq.write_table(table, folder / "rows.parquet", row_group_size=20_000)
    source = open_source(folder / f"rows.{ending}")
    made = make_run(folder / "run", rows, 8192)
    data = {
        "name": source.name,
        "fingerprint": source.fingerprint,
        "rows": rows,
        "spec": msgspec.to_builtins(source.spec),
    }
    altered(made, data=data, labels={"how": "by name; numbers as they are", "map": {}}).save()
    opened, moment = RunDirectory.open(folder / "run"), now_text()
    with DecisionStore(opened) as store:
        store.add(Decision(row, RELABELLED, "World", "ann", "csv", moment) for row in range(0, rows, 100))
    return folder / "run"


def peak(*arguments: object) -> int:
    """Run a command and return the peak of its memory in bytes."""
    command = [sys.executable, "-c", MEASURE, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


pytestmark = SOAK
ROWS = (100_000, 500_000)
MORE = 60 * 2**20  # bytes that a command may take more for the larger data: buffers fill up, and no more than that


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_memory_of_apply_does_not_grow_with_the_rows(tmp_path: Path, ending: str) -> None:
    small, large = (make(tmp_path / str(count), count, ending) for count in ROWS)
    peaks = [peak("apply", run, "-o", run.parent / "out.parquet") for run in (small, large)]
    assert peaks[1] < 400 * 2**20
    assert peaks[1] - peaks[0] < MORE
    assert pq.read_metadata(large.parent / "out.parquet").num_rows == ROWS[1]


def test_memory_of_diff_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(count), count, 8192).path for count in ROWS]
    peaks = [peak("diff", run, run) for run in runs]
    assert peaks[1] - peaks[0] < MORE
