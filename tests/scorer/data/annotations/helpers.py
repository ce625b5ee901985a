"""What the tests of annotation tools' exports share."""

import json
from pathlib import Path
from typing import Any

import pytest

from scorer.data.annotations.base import NotARow, Shape, Tally
from scorer.data.annotations.recognise import shape_of
from scorer.errors import SourceError

Record = dict[str, Any]


def shape(records: list[Record]) -> Shape:
    found = shape_of(records[:1000])
    assert found is not None
    return found


def read(records: list[Record], annotators: str | None = None) -> tuple[list[Record | str], str]:
    """Return the rows of an export, or why a record is none, and the note on how it was read."""
    found, tally = shape(records), Tally()
    rows: list[Record | str] = []
    for record in records:
        before = json.dumps(record)
        try:
            rows.append(found.row(record, annotators, tally))
        except NotARow as error:
            rows.append(str(error))
        assert json.dumps(record) == before  # the record itself is left as it was
    return rows, found.note(tally)


def labels(records: list[Record], annotators: str | None = None, column: str = "label") -> list[Any]:
    """Return the label of each record, or why a record is no row."""
    return [row if isinstance(row, str) else row[column] for row in read(records, annotators)[0]]


def refused(records: list[Record], annotators: str | None = None) -> str:
    """Return the one line with which an export is refused, when it is recognised or read."""
    with pytest.raises(SourceError) as caught:
        read(records, annotators)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) <= 335  # the reader puts the file's name in front
    assert caught.value.quotes_data or "Prodigy's" in line or "JSON-MIN" in line
    return line


def write(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
