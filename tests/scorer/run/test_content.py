"""content_of(): the same rows have one content, whichever kind of data they are; any other row has another."""

import csv
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import SourceError, open_source
from scorer.data.columns import Columns
from scorer.data.source import Data
from scorer.pipeline.window import read_windows, window_ranges
from scorer.run.content import content_of, digits
from tests.support.facts import facts

ALL = Columns("text", "text_pair", "label", "id")
Row = tuple[str | None, str | None, Any, Any]  # the text, the text pair, the label and the id


def content(data: Data, columns: Columns = ALL, size: int = 7) -> str:
    """Return the content of data as a run records it, read in windows of ``size`` rows."""
    source = open_source(data)
    windows = read_windows(source, columns, None, window_ranges(0, source.num_rows, size))
    return digits(sum(window.content for window in windows))


def witness(rows: Sequence[Row]) -> str:
    """Return the content of rows whose values are spelt as they count, computed from its definition."""
    total = 0
    for number, row in enumerate(rows):
        fields = [("" if value is None else str(value)).encode() for value in row]
        head = b"".join(number.to_bytes(8, "little") for number in (number, *map(len, fields)))
        total += int.from_bytes(sha256(head + b"".join(fields)).digest(), "little")
    return format(total % 2**256, "064x")


def table(rows: Sequence[Row], texts: pa.DataType | None = None) -> pa.Table:
    values = dict(zip(ALL.names(), map(list, zip(*rows, strict=True)), strict=True))
    columns = {name: pa.array(values[name], texts or pa.string()) for name in ("text", "text_pair")}
    return pa.table(columns | {name: pa.array(values[name]) for name in ("label", "id")})


def chunked(rows: Sequence[Row]) -> pa.Table:
    """Return a table in two chunks, the first of which is a slice of a longer one."""
    whole = table([*rows, *rows])
    return pa.concat_tables([whole.slice(0, 1), whole.slice(1, len(rows) - 1)])


def as_floats(rows: Sequence[Row]) -> pa.Table:
    """Return a table with numbers as pandas holds them once one is missing."""
    made = table(rows)
    for name in ("label", "id"):
        if pa.types.is_integer(made.schema.field(name).type):
            made = made.set_column(made.column_names.index(name), name, made[name].cast(pa.float64()))
    return made


def parquet(file: Path, rows: Sequence[Row]) -> Path:
    pq.write_table(table(rows), file.with_suffix(".parquet"), row_group_size=3)
    return file.with_suffix(".parquet")


def arrow(file: Path, rows: Sequence[Row]) -> Path:
    made = table(rows, pa.dictionary(pa.int32(), pa.string()))
    with pa.ipc.new_file(str(file.with_suffix(".arrow")), made.schema) as writer:
        writer.write_table(made.unify_dictionaries())
    return file.with_suffix(".arrow")


def csv_file(file: Path, rows: Sequence[Row]) -> Path:
    with file.with_suffix(".csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([ALL.names(), *rows])
    return file.with_suffix(".csv")


def jsonl(file: Path, rows: Sequence[Row]) -> Path:
    lines = (json.dumps(dict(zip(ALL.names(), row, strict=True))) + "\n" for row in rows)
    file.with_suffix(".jsonl").write_text("".join(lines), encoding="utf-8")
    return file.with_suffix(".jsonl")


TABLES: dict[str, Callable[[Sequence[Row]], pa.Table]] = {
    "string": table,
    "large_string": lambda rows: table(rows, pa.large_string()),
    "dictionary": lambda rows: table(rows, pa.dictionary(pa.int32(), pa.large_string())),
    "views": lambda rows: table(rows, pa.string_view()),
    "floats": as_floats,
    "chunked": chunked,
}
FILES: dict[str, Callable[[Path, Sequence[Row]], Path]] = {
    "parquet": parquet,
    "arrow": arrow,
    "csv": csv_file,
    "jsonl": jsonl,
}
# Half of a surrogate pair is no text that a table can hold; CSV has no NUL.
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NUMBERS = st.none() | st.integers(-1, 10**6)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_the_same_rows_have_one_content(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    folder = tmp_path_factory.mktemp("kinds")
    expected = witness(rows)
    found = {name: content(make(rows)) for name, make in TABLES.items()}
    found |= {name: content(make(folder / "rows", rows)) for name, make in FILES.items()}
    assert found == dict.fromkeys(found, expected)
    assert {content(table(rows), size=size) for size in (1, 1000)} == {expected}


CELLS = st.sampled_from(["", "a", "b", "ab", "1", "11"])


@settings(max_examples=120, deadline=None)
@given(data=st.data(), rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=12))
def test_any_other_rows_have_another_content(data: st.DataObject, rows: list[Row]) -> None:
    """Few values and short ones, so that a value often moves to the next field or row."""
    other = data.draw(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=12) | st.permutations(rows))
    assert (content(table(rows)) == content(table(other))) == (rows == other)


def test_each_value_and_the_order_and_number_of_rows_count() -> None:
    rows: list[Row] = [(f"text {i}", f"pair {i}", i % 4, f"id {i}") for i in range(200)]
    before = content(table(rows), size=64)
    for at in (0, 63, 64, 199):
        for field, value in enumerate(("text", "pair", 7, "id")):
            changed = [list(row) for row in rows]
            changed[at][field] = value
            assert content(table([tuple(row) for row in changed])) != before
    assert content(table([rows[1], rows[0], *rows[2:]])) != before
    assert content(table(rows[:-1])) != before
    assert content(table([*rows, rows[-1]])) != before
    assert content(table(rows), Columns("text", "text_pair", "label", None)) != before
    assert content(table(rows), Columns("text_pair", "text", "label", "id")) != before


def test_a_large_window_is_hashed_in_pieces() -> None:
    rows: list[Row] = [(f"text {i}", None, i % 4, f"id {i}") for i in range(5000)]
    batch = table(rows).combine_chunks().to_batches()[0]
    assert digits(content_of(batch, 0, ALL.to_dict())) == witness(rows)


SAME: list[tuple[str, list[pa.Array]]] = [
    ("2", [pa.array([2]), pa.array([2], pa.uint8()), pa.array([2.0]), pa.array([2], pa.float32()), pa.array(["2"])]),
    ("2", [pa.array(["2.0"]), pa.array(["2.000"]), pa.array(["02"]), pa.array(["2"]).dictionary_encode()]),
    ("-1", [pa.array([-1]), pa.array([-1.0]), pa.array(["-1"]), pa.array(["-1.0"])]),
    ("0", [pa.array([0]), pa.array([-0.0]), pa.array(["-0"]), pa.array(["0.0"])]),
    ("123456789012", [pa.array([123456789012]), pa.array([123456789012.0]), pa.array(["123456789012"])]),
    ("10000000000000000", [pa.array([10**16]), pa.array([1e16]), pa.array(["1e+16"])]),
    ("9007199254740993", [pa.array([2**53 + 1]), pa.array(["9007199254740993"])]),
    ("0.1", [pa.array([0.1]), pa.array([0.1], pa.float32()), pa.array(["0.1"]), pa.array(["0.10"])]),
    ("0.00001", [pa.array([1e-5]), pa.array(["1e-05"])]),
    ("true", [pa.array([True]), pa.array(["true"]), pa.array(["True"]), pa.array(["TRUE"])]),
    ("", [pa.array([None], pa.int64()), pa.nulls(1), pa.array([""]), pa.array([float("nan")]), pa.array(["NaN"])]),
    ("Sci/Tech", [pa.array(["Sci/Tech"]), pa.array(["Sci/Tech"], pa.large_string())]),
    ("sci/tech", [pa.array(["sci/tech"])]),
    ("1e17", [pa.array(["1e17"])]),  # a hash, not a number
    ("2 ", [pa.array(["2 "])]),
    ("2024-05-01", [pa.array(["2024-05-01"]), pa.array([19844], pa.date32()), pa.array(["2024-05-01 00:00:00"])]),
    (
        "2024-05-01 10:30:00.5",
        [
            pa.array(["2024-05-01T10:30:00.500"]),
            *(pa.array([np.datetime64("2024-05-01T10:30:00.500")]).cast(pa.timestamp(unit)) for unit in ("us", "ns")),
        ],
    ),
    (
        "2024-05-01 10:30:00Z",
        [pa.array(["2024-05-01 10:30:00+00:00"]), pa.array([1714559400], pa.timestamp("s", "UTC"))],
    ),
]


@pytest.mark.parametrize("role", ["label", "id"])
@pytest.mark.parametrize(("spelt", "arrays"), SAME, ids=[spelt for spelt, _ in SAME])
def test_a_label_or_id_counts_by_its_value(role: str, spelt: str, arrays: list[pa.Array]) -> None:
    columns = {"text": "text", "text_pair": None, "label": None, "id": None} | {role: "value"}
    expected = witness([("a", None, *((spelt, None) if role == "label" else (None, spelt)))])
    for array in arrays:
        batch = pa.record_batch({"text": ["a"], "value": array})
        assert digits(content_of(batch, 0, columns)) == expected, array.type


def test_the_values_in_the_table_are_all_different() -> None:
    spelt = sorted({spelt for spelt, _ in SAME})
    assert all(witness([("", "", a, "")]) != witness([("", "", b, "")]) for a, b in pairwise(spelt))


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    raw = pa.array([b"caf\xe9", b"", None], pa.binary())
    texts = [raw.view(pa.string()), pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), raw.view(pa.string()))]
    expected = witness([("caf�", "", "caf�", ""), ("", "", "", ""), ("", "", "", "")])
    for column in texts:
        batch = pa.record_batch({"text": column, "label": raw.view(pa.string())})
        columns = {"text": "text", "text_pair": None, "label": "label", "id": None}
        assert digits(content_of(batch, 0, columns)) == expected


def test_a_broken_line_counts_as_a_row_without_values(tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_text("text,label\nfirst,1\ntoo,many,fields\nlast,2\n")
    assert content(file, Columns("text", None, "label", None)) == witness(
        [("first", None, 1, None), (None,) * 4, ("last", None, 2, None)]
    )


@pytest.mark.parametrize("role", ["text", "label", "id"])
def test_values_without_a_text_are_refused(role: str) -> None:
    batch = pa.record_batch({"text": ["a"], "lists": [["a", "b"]]})
    columns = {"text": "text", "text_pair": None, "label": None, "id": None} | {role: "lists"}
    with pytest.raises(SourceError, match=facts("'lists'", "can't be compared")) as raised:
        content_of(batch, 0, columns)
    assert raised.value.quotes_data


def test_a_label_in_a_list_of_its_own_is_the_label() -> None:
    columns = {"text": "text", "text_pair": None, "label": "label", "id": None}
    contents = {
        content_of(pa.record_batch({"text": ["a", "b", "c"], "label": labels}), 0, columns)
        for labels in (["x", None, "2"], [["x"], [], ["2"]], ['["x"]', "[]", "[2]"], [["x"], None, ["2.0"]])
    }
    assert len(contents) == 1
    assert content_of(pa.record_batch({"text": ["a", "b", "c"], "label": ["y", None, "2"]}), 0, columns) not in contents
