"""What the tests of ``verify`` share: what it found, and ways to damage a run."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer import ScoreOptions
from scorer.audit.verify import Verification
from scorer.files import file_sha256

OPTIONS = ScoreOptions(shard_rows=300, threads=1)


def states(found: Verification) -> dict[str, str]:
    return {finding.what: finding.state for finding in found.findings}


def says(found: Verification, what: str) -> str:
    (said,) = (finding.says for finding in found.findings if finding.what == what)
    assert "\n" not in said
    return said


def shard(run: Path, index: int = 1) -> Path:
    return run / "scores" / f"part-0000{index}.parquet"


def edit(run: Path, **changes: Any) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(manifest | changes))


def relist(run: Path, index: int, table: pa.Table) -> None:
    """Replace a shard by another table, and its hash in the manifest by that one's."""
    pq.write_table(table, shard(run, index))
    manifest = json.loads((run / "run.json").read_text())
    manifest["shards"][shard(run, index).name]["sha256"] = file_sha256(shard(run, index))
    edit(run, shards=manifest["shards"])


def truncate(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
