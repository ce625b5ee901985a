"""What these tests share: formats: what CSV and JSON lines may hold, and files that are not what their names say."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from scorer import Source
from scorer.data.columns import choose_columns
from scorer.data.formats.base import PROBLEM
from scorer.data.formats.text_files import RecordBytes
from scorer.pipeline.window import Window, read_windows

# Any text that UTF-8 can hold; CSV and JSON must give it back unchanged.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def column(source: Source, name: str) -> list[str | None]:
    values: list[str | None] = []
    for batch in source.read([name]):
        values += batch.column(name).to_pylist()
    return values


def problems(source: Source) -> list[str | None]:
    return [problem for batch in source.read() for problem in batch.column(PROBLEM).to_pylist()]


def window_of(source: Source) -> Window:
    (window,) = read_windows(source, choose_columns(source.schema, text="text"), None, [(0, source.num_rows)])
    return window


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of bytes that are taken of text files from now on."""
    taken: list[int] = []
    whole = RecordBytes.read1

    def read1(self: RecordBytes, size: int = -1) -> bytes:
        block = whole(self, size)
        taken.append(len(block))
        return block

    monkeypatch.setattr(RecordBytes, "read1", read1)
    return taken
