"""json_values: arrays, lines and objects over several lines are read value by value, wherever a block ends."""

import json
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import SourceError, open_source
from scorer.data.filesystem import DataFile
from scorer.data.formats.encodings import UTF8
from scorer.data.formats.json_values import ARRAY, LINES, SEQUENCE, json_values, layout_of
from tests.scorer.data.formats.helpers import TEXTS, column, write
from tests.support.facts import facts

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def data_file(path: Path, content: str) -> DataFile:
    return DataFile(pafs.LocalFileSystem(), str(write(path, content)), path.name)


def values(file: DataFile) -> list[Any]:
    return [found.value for found in json_values(file, layout_of(file, UTF8))]


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 0, 2]), st.integers(1, 9), st.booleans())
def test_any_array_wherever_a_block_ends(
    tmp_path_factory: pytest.TempPathFactory, given_values: list[Any], indent: int | None, block: int, ascii: bool
) -> None:
    content = json.dumps(given_values, indent=indent, ensure_ascii=ascii)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scorer.data.formats.json_values._BLOCK", block)
        assert values(data_file(tmp_path_factory.mktemp("json") / "a.json", content)) == given_values


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        ('{"a": 1}\n{"a": 2}\n', LINES),
        ('\n \n{"a": 1}\n\n{"a": 2}', LINES),
        ('\ufeff[{"a": 1},\n{"a": 2}]\n', ARRAY),
        ('{\n "a": 1\n}\n{\n "a": 2\n}\n', SEQUENCE),
        ('{\n "a": 1\n}{\n "a": 2\n}', SEQUENCE),
    ],
)
def test_layouts(tmp_path: Path, content: str, layout: str) -> None:
    file = data_file(tmp_path / "a.json", content)
    assert layout_of(file, UTF8) == layout
    assert values(file) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('[{"a": 1}, {"a": ', ("line 1",)),
        ('[{"a": 1},\n{"a": 2}', ("line 2", "cut off")),
        ('[{"a": 1}\n {"a": 2}]', ("line 2", "no comma")),
        ('[{"a": 1}] [', ("follows the end",)),
        ('[{"a": 1},\n {"a" 2}]', ("line 2",)),
        ("[" * 100_000, ("deep",)),
        ('[{"a": 1},\n nonsense]', ("line 2",)),
    ],
)
def test_an_array_that_is_not_json_stops_and_names_the_line(
    tmp_path: Path, content: str, parts: tuple[str, ...]
) -> None:
    with pytest.raises(SourceError, match=facts("a.json", *parts)):
        open_source(write(tmp_path / "a.json", content))


def test_a_value_of_an_array_that_is_no_object_costs_its_row_only(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.json", '[{"text": "a"}, 5, {"text": "b"}]'))
    assert column(source, "text") == ["a", None, "b"]


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ({"data": [{"text": "a", "label": 1}], "version": 2}, ("'data'", "json.load(open(FILE))['data']")),
        ({"columns": ["text"], "index": [0], "data": [["a"]]}, ("pandas.read_json(FILE, orient='split', dtype=False",)),
        ({"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}, ("pandas.read_json(FILE, dtype=False",)),
        (
            {"0": {"text": "a", "label": 1}, "1": {"text": "b", "label": 0}},
            ("pandas.read_json(FILE, orient='index', dtype=False",),
        ),
        ({"text": ["a", "b"], "label": [0, 1]}, ("pandas.DataFrame(json.load(open(FILE))).to_json(",)),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_table_in_one_object_is_refused_with_its_conversion(
    tmp_path: Path, table: dict[str, Any], parts: tuple[str, ...], indent: int | None
) -> None:
    with pytest.raises(SourceError, match=facts("a.json")) as caught:
        open_source(write(tmp_path / "a.json", json.dumps(table, indent=indent)))
    assert all(part in str(caught.value) for part in parts)
    assert len(str(caught.value)) < 400


def test_a_row_with_lists_of_objects_is_a_row(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.json", json.dumps({"text": "a", "spans": [{"start": 0}]})))
    assert column(source, "text") == ["a"]


def test_a_value_may_have_any_number_of_lines(tmp_path: Path) -> None:
    rows = [{"text": "a", "words": list(range(30_000))}, {"text": "b"}]
    source = open_source(write(tmp_path / "a.json", json.dumps(rows, indent=1)))
    assert column(source, "text") == ["a", "b"]


def test_memory_holds_one_value_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("json_values", "text_files"):
        monkeypatch.setattr(f"scorer.data.formats.{module}.MOST_BYTES", 200_000)
    rows = [{"text": "word " * 1000, "row": i} for i in range(500)]
    assert open_source(write(tmp_path / "a.json", json.dumps(rows))).num_rows == 500
    rows[300]["text"] = "x" * 500_000
    with pytest.raises(SourceError, match=facts("b.json", "200,000 characters")):
        open_source(write(tmp_path / "b.json", json.dumps(rows)))
