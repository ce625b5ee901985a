"""source: the same rows in the same order from every kind of data, and data that changed is noticed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from scorer import Source, SourceError, open_source
from scorer.data.columns import choose_columns
from tests.scorer.data.source.helpers import (
    NAMES,
    TABLE,
    N,
    rows_of,
    with_names,
    write_arrow,
    write_csv,
    write_jsonl,
    write_parquet,
)
from tests.support.facts import facts


class TestFilesTogether:
    def test_several_kinds(self, tmp_path: Path) -> None:
        write_csv(tmp_path / "a.csv")
        write_parquet(tmp_path / "b.parquet")
        for data in (tmp_path, str(tmp_path / "*")):
            with pytest.raises(SourceError, match=facts("CSV, Parquet", "glob")):
                open_source(data)
        assert open_source(str(tmp_path / "*.csv")).num_rows == N

    @pytest.mark.parametrize(
        ("write", "ending"), [(write_parquet, ".parquet"), (write_csv, ".csv"), (write_jsonl, ".jsonl")]
    )
    def test_other_columns(self, tmp_path: Path, write: Callable[..., Path], ending: str) -> None:
        write(tmp_path / f"a{ending}", TABLE)
        write(tmp_path / f"b{ending}", TABLE.select(["text", "label"]))
        source = open_source(tmp_path)
        notes = TABLE["note"].to_pylist()
        assert [row["note"] for row in rows_of(source)] == [*notes, *[None] * N]
        assert rows_of(source, columns=["label", "text"]) == TABLE.select(["label", "text"]).to_pylist() * 2
        assert choose_columns(source.schema, unusable=source.unusable).names() == ["text", "label"]
        with pytest.raises(SourceError, match=facts("'note'", f"b{ending}", "no such column")):
            choose_columns(source.schema, text="note", unusable=source.unusable)

    @pytest.mark.parametrize(
        ("write", "ending"), [(write_parquet, ".parquet"), (write_arrow, ".arrow"), (write_csv, ".csv")]
    )
    def test_columns_in_another_order(self, tmp_path: Path, write: Callable[..., Path], ending: str) -> None:
        write(tmp_path / f"a{ending}", TABLE.slice(0, 100))
        write(tmp_path / f"b{ending}", TABLE.slice(100).select(["note", "label", "text"]))
        source = open_source(tmp_path)
        assert rows_of(source, columns=["label", "text"]) == TABLE.select(["label", "text"]).to_pylist()
        for rows in ([5, 200], [200, 5], [200]):
            table = source.take(np.array(rows))
            assert table.column_names == ["text", "label", "note"]
            assert table["text"].to_pylist() == [TABLE["text"][row].as_py() for row in rows]

    def test_types_that_one_type_holds(self, tmp_path: Path) -> None:
        write_parquet(
            tmp_path / "a.parquet", pa.table({"text": ["a"], "label": pa.array([1], pa.int8()), "note": pa.nulls(1)})
        )
        write_parquet(
            tmp_path / "b.parquet",
            pa.table({"text": pa.array(["b"], pa.large_string()), "label": pa.array([300]), "note": ["x"]}),
        )
        source = open_source(tmp_path)
        assert source.schema.types == [pa.large_string(), pa.int64(), pa.string()]
        table = pa.Table.from_batches(source.read())  # fails where batches differ
        assert table.to_pylist() == [{"text": "a", "label": 1, "note": None}, {"text": "b", "label": 300, "note": "x"}]
        for rows in ([0], [1], [1, 0]):
            assert source.take(np.array(rows)).schema.types == source.schema.types

    def test_types_that_no_type_holds(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", pa.table({"text": ["a"], "label": ["World"]}))
        write_parquet(tmp_path / "b.parquet", pa.table({"text": ["b"], "label": [0]}))
        with pytest.raises(SourceError, match=facts("b.parquet", "int64", "'label'", "a.parquet", "string")):
            open_source(tmp_path)

    def test_a_value_that_does_not_fit_the_other_files_type(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", pa.table({"text": ["a"], "n": [0.5]}))
        write_parquet(tmp_path / "b.parquet", pa.table({"text": ["b"], "n": [2**60 + 1]}))
        source = open_source(tmp_path)
        assert rows_of(source, columns=["text"]) == [{"text": "a"}, {"text": "b"}]
        with pytest.raises(SourceError, match=facts("column", "1152921504606846977")):
            rows_of(source)

    def test_json_lines_of_different_types(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('{"text": "a", "n": 1, "m": 1}\n')
        (tmp_path / "b.jsonl").write_text('{"m": "two", "text": "b", "n": 2.5}\n')
        source = open_source(tmp_path)
        assert source.take(np.array([1, 0])).to_pylist() == [
            {"text": "b", "n": 2.5, "m": "two"},
            {"text": "a", "n": 1.0, "m": "1"},
        ]

    def test_dictionaries_that_differ(self, tmp_path: Path) -> None:
        for name, values in (("a", ["World", "Sports"]), ("b", ["Business", "World"])):
            encoded = pa.array(values).dictionary_encode()
            write_parquet(tmp_path / f"{name}.parquet", pa.table({"text": ["x", "y"], "label": encoded}))
        source = open_source(tmp_path)
        assert [r["label"] for b in source.read() for r in b.to_pylist()] == ["World", "Sports", "Business", "World"]
        assert source.take(np.array([3, 0, 2, 1]))["label"].to_pylist() == ["World", "World", "Business", "Sports"]

    @pytest.mark.parametrize(
        ("one", "other", "common"),
        [
            (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
            (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.string()),
            (pa.dictionary(pa.int32(), pa.string()), pa.large_string(), pa.large_string()),
            (pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.large_string()),
            (pa.dictionary(pa.int8(), pa.string(), ordered=True), pa.dictionary(pa.int8(), pa.string()), pa.string()),
        ],
    )
    @pytest.mark.parametrize("write", [write_parquet, write_arrow])
    def test_a_dictionary_beside_plain_values(
        self, tmp_path: Path, write: Callable[..., Path], one: pa.DataType, other: pa.DataType, common: pa.DataType
    ) -> None:
        ending = write.__name__[6:]
        for name, values, kind in (("a", ["x", None, "y"], one), ("b", ["z", "x", None], other)):
            encoded = pa.array(values).dictionary_encode()
            column = encoded.cast(kind) if pa.types.is_dictionary(kind) else pa.array(values, kind)
            if pa.types.is_dictionary(kind) and kind.ordered:
                column = pa.DictionaryArray.from_arrays(column.indices, column.dictionary, ordered=True)
            write(tmp_path / f"{name}.{ending}", pa.table({"text": column, "n": [1, 2, 3]}))
        source = open_source(tmp_path)
        assert source.schema.field("text").type == common
        assert [row["text"] for row in rows_of(source)] == ["x", None, "y", "z", "x", None]
        assert source.take(np.array([3, 2]))["text"] == pa.chunked_array([pa.array(["z", "y"], common)])

    def test_a_dictionary_of_numbers_beside_text_is_refused(self, tmp_path: Path) -> None:
        write_arrow(tmp_path / "a.arrow", pa.table({"text": ["a"]}))
        write_arrow(tmp_path / "b.arrow", pa.table({"text": pa.array([1]).dictionary_encode()}))
        with pytest.raises(SourceError, match=facts("b.arrow", "dictionary<", "int64", "'text'", "a.arrow", "string")):
            open_source(tmp_path)

    def test_class_names_that_differ(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", with_names(TABLE))
        write_parquet(tmp_path / "b.parquet", with_names(TABLE, NAMES[::-1]))
        with pytest.raises(
            SourceError, match=r"b\.parquet has the classes Sci/Tech, .* in 'label'; a\.parquet has World, "
        ):
            open_source(tmp_path)

    @pytest.mark.parametrize("make", [lambda table, path: table, lambda table, path: write_parquet(path, table)])
    def test_columns_that_cannot_be_told_apart(self, tmp_path: Path, make: Callable[[pa.Table, Path], Any]) -> None:
        twins = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
        with pytest.raises(SourceError, match=facts("several columns", "'text'")):
            open_source(make(twins, tmp_path / "a.parquet"))
        twins = twins.append_column("label", pa.array(["c"]))
        source = open_source(make(twins, tmp_path / "a.parquet"))
        assert source.take(np.array([0])).to_pylist() == [{"label": "c"}]
        with pytest.raises(SourceError, match=facts("'text'", "several columns")):
            choose_columns(source.schema, text="text", unusable=source.unusable)


class TestViews:
    """Polars writes Arrow's view types, which pyarrow can hardly handle."""

    TABLE = pa.table(
        {
            "text": pa.array(["a", None, "a text longer than twelve bytes"], pa.string_view()),
            "tags": pa.array([["p"], None, []], pa.large_list(pa.string_view())),
            "raw": pa.array([b"a", None, b"\xff" * 20], pa.binary_view()),
            "meta": pa.array([{"k": "v"}, None, {"k": None}], pa.struct([("k", pa.string_view())])),
        }
    )

    @pytest.mark.parametrize("stream", [False, True])
    def test_in_an_arrow_file(self, tmp_path: Path, stream: bool) -> None:
        source = open_source(write_arrow(tmp_path / "a.arrow", self.TABLE, stream=stream))
        self.check(source)

    def test_in_a_table(self) -> None:
        self.check(open_source(self.TABLE))

    def check(self, source: Source) -> None:
        expected = self.TABLE.to_pylist()
        assert source.schema.field("text").type == pa.large_string()
        assert rows_of(source) == expected
        assert source.take(np.array([2, 0])).to_pylist() == [expected[2], expected[0]]


class TestRunEndEncoding:
    VALUES: ClassVar = {
        "text": pa.array(["a", None, "b"]),
        "view": pa.array(["a", None, "a text longer than twelve bytes"], pa.string_view()),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        "n": pa.array([1, None, 2]),
        "tags": pa.array([["p"], None, []]),
    }
    TABLE = pa.table({name: pa.RunEndEncodedArray.from_arrays([2, 3, 7], each) for name, each in VALUES.items()})

    @pytest.mark.parametrize("rows", [1, 3, 100])
    @pytest.mark.parametrize("in_file", [True, False])
    def test_becomes_plain_values(self, tmp_path: Path, rows: int, in_file: bool) -> None:
        table = pa.Table.from_batches(self.TABLE.to_batches(max_chunksize=rows))
        source = open_source(write_arrow(tmp_path / "a.arrow", table) if in_file else table)
        expected = self.TABLE.to_pylist()
        assert [row["text"] for row in expected] == ["a", "a", None, "b", "b", "b", "b"]
        assert source.schema.field("text").type == pa.string()
        assert source.schema.field("view").type == pa.large_string()
        assert rows_of(source) == expected
        assert rows_of(source, 1, 4) == expected[1:4]
        assert source.take(np.array([6, 0, 2])).to_pylist() == [expected[6], expected[0], expected[2]]

    def test_beside_plain_values(self, tmp_path: Path) -> None:
        write_arrow(tmp_path / "a.arrow", self.TABLE.select(["text"]))
        write_arrow(tmp_path / "b.arrow", pa.table({"text": ["c"]}))
        assert [row["text"] for row in rows_of(open_source(tmp_path))][-2:] == ["b", "c"]


def test_json_names_that_turn_up_late_are_columns(tmp_path: Path) -> None:
    lines = [{"text": "w1"}] * 1200 + [{"text": "w2", "label": "World", "note": "late"}]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = open_source(str(file))
    assert source.schema.names == ["text", "label", "note"]
    assert source.take(np.array([1200])).to_pylist() == [lines[-1]]
