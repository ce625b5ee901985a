"""The script of docs/nightly.md works every night, whatever changes in the data, and scores only what has changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support import ROOT
from tests.support.tiny import CLASSES, make_texts

SCRIPT = re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs" / "nightly.md").read_text(), flags=re.M | re.S)[0]


@pytest.fixture
def place(tiny_bundle: ModelBundle, tmp_path: Path) -> Path:
    """A folder with the bundle and the script, and commands that stand for `lossrank` and `date`."""
    shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    (tmp_path / "night.sh").write_text(SCRIPT)
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "lossrank").write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m lossrank "$@"\n')
    (commands / "date").write_text('#!/bin/sh\necho "$NIGHT"\n')
    for file in commands.iterdir():
        file.chmod(0o755)
    return tmp_path


def night(place: Path, day: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Run the script on a night and return the document that it wrote."""
    pq.write_table(pa.Table.from_pylist(rows), place / "reviews.parquet")
    path = f"{place / 'commands'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "night.sh"], cwd=place, env={**os.environ, "PATH": path, "NIGHT": day}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (place / "nights" / "latest").resolve() == place / "nights" / day
    found: dict[str, Any] = json.loads((place / "nights" / f"{day}.json").read_text())
    return found


def losses(run: Path) -> dict[str, float]:
    table = pa.concat_tables([RunDirectory.open(run).read_shard(i) for i in range(RunDirectory.open(run).num_shards)])
    return dict(zip(table["id"].to_pylist(), table["loss"].to_pylist(), strict=True))


def test_three_nights_with_changes(place: Path, tiny_bundle: ModelBundle) -> None:
    texts = make_texts(400, seed=6, longest=30)
    rows = [{"id": i, "text": f"{text} w{i % 60}", "label": CLASSES[i % 4]} for i, text in enumerate(texts)]
    first = night(place, "2026-11-28", rows)
    assert (first["rows"], first["reused"]) == (400, 0)

    added = [{"id": 1000 + i, "text": f"w{i} w{i + 1} w9 w9 w9", "label": "World"} for i in range(30)]
    second_rows = [*added, *(dict(row) for row in rows[20:])]  # 20 removed, 30 added before the others
    for row in second_rows[50:60]:
        row["text"] += " w3 w3"
    for row in second_rows[100:105]:
        row["label"] = CLASSES[(CLASSES.index(row["label"]) + 1) % 4]
    second = night(place, "2026-11-29", second_rows)
    assert (second["rows"], second["reused"]) == (410, 410 - 30 - 10 - 5)
    assert night(place, "2026-11-29", second_rows)["reused"] == 365  # again on the same night: nothing to do

    third_rows = [*second_rows[:200], *second_rows[210:]]
    third_rows[0] = {**third_rows[0], "text": "w1 w2 w3 w4 w5"}
    third = night(place, "2026-11-30", third_rows)
    assert (third["rows"], third["reused"]) == (400, 399)

    for day, data in (("2026-11-29", second_rows), ("2026-11-30", third_rows)):
        full = place / f"full-{day}"
        score_dataset(tiny_bundle, pa.Table.from_pylist(data), full, ScoreOptions(id_column="id", threads=1))
        ours, theirs = losses(place / "nights" / day), losses(full)
        assert list(ours) == list(theirs)
        assert np.allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-5)
