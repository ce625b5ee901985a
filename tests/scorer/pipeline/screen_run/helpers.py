"""What these tests share."""

from pathlib import Path

from scorer import ScoreOptions

ROWS, SHARD_ROWS = 800, 160
OPTIONS = ScoreOptions(
    precision="screen", screen_top=60, window_rows=40, shard_rows=SHARD_ROWS, batch_tokens=512, threads=2
)


def shards(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((run / "scores").iterdir())}
