"""What these tests share."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scorer import ScoreOptions

SMALL = ScoreOptions(batch_tokens=300, window_rows=64, shard_rows=150, device="cpu", threads=1)


def scores(run: Path) -> pa.Table:
    return pq.read_table(run / "scores")


def shard_bytes(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((run / "scores").iterdir())}


def kept_of(run: Path) -> tuple[int, int]:
    """Return how many shards a run's manifest lists, and how many rows of unfinished shards."""
    manifest = json.loads((run / "run.json").read_text())
    return len(manifest["shards"]), sum(windows["rows"] for windows in manifest.get("unfinished", {}).values())
