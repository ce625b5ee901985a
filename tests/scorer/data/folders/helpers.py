"""What these tests share: rows with their texts and labels, and one-line errors."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scorer import Source, SourceError, open_source
from scorer.data.formats.base import PROBLEM

LABELS = ("World", "Sports", "Business", "Sci/Tech")
TABLE = pa.table({"text": [f"text {i}" for i in range(12)], "label": [LABELS[i % 4] for i in range(12)]})
Row = dict[str, Any]


def rows_of(source: Source, columns: list[str] | None = None) -> list[Row]:
    rows = [row for batch in source.read(columns) for row in batch.to_pylist()]
    for row in rows:
        assert row.pop(PROBLEM, None) is None
    return rows


def refusal(data: object, **options: Any) -> str:
    """Return the one line with which opening the data stops."""
    with pytest.raises(SourceError) as caught:
        open_source([str(path) for path in data] if isinstance(data, list) else str(data), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) <= 400
    return message


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
