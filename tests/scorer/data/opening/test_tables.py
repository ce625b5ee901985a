"""Tables in memory: DataFrames, lists of dicts and pyarrow's data give their rows, and say which column is at fault."""

import datetime
import decimal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from scorer import Source, SourceError, open_source
from tests.support.facts import facts

ROWS = [{"text": "one", "label": 0}, {"text": "two", "label": 1}, {"text": None, "label": None}]


def rows_of(source: Source) -> list[dict[str, Any]]:
    return [row for batch in source.read() for row in batch.to_pylist()]


class TestArrow:
    KINDS: dict[str, Callable[[pa.Table], Any]] = {  # noqa: RUF012
        "RecordBatch": lambda table: table.to_batches()[0],
        "RecordBatchReader": lambda table: table.to_reader(max_chunksize=2),
        "table": lambda table: table,
    }

    @pytest.mark.parametrize("kind", KINDS)
    def test_rows_names_and_fingerprint(self, kind: str) -> None:
        table = pa.Table.from_pylist(ROWS)
        source = open_source(self.KINDS[kind](table))
        assert rows_of(source) == ROWS
        assert source.name == kind
        assert open_source(table, name="mine").name == "mine"
        assert source.fingerprint == open_source(table).fingerprint

    def test_a_reader_can_be_read_once(self) -> None:
        reader = pa.Table.from_pylist(ROWS).to_reader()
        open_source(reader)
        with pytest.raises(SourceError, match=facts("RecordBatchReader is empty", "text")):
            open_source(reader)

    @pytest.mark.parametrize("error", [OSError("gone"), pa.ArrowInvalid("bad")], ids=["OSError", "ArrowInvalid"])
    def test_a_reader_that_fails(self, error: Exception) -> None:
        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist(ROWS)
            raise error

        schema = pa.Table.from_pylist(ROWS).schema
        with pytest.raises(SourceError, match=facts("RecordBatchReader", str(error))):
            open_source(pa.RecordBatchReader.from_batches(schema, batches()))


class TestPandas:
    def test_rows_without_the_index(self) -> None:
        frame = pd.DataFrame(ROWS, index=["c", "a", "b"]).sort_index()
        source = open_source(frame)
        assert source.name == "DataFrame"
        assert source.schema.names == ["text", "label"]
        assert [row["text"] for row in rows_of(source)] == ["two", None, "one"]

    @pytest.mark.parametrize(
        ("column", "expected"),
        [
            (pd.Series(["a", None], dtype="object"), ["a", None]),
            (pd.Series(["a", float("nan")], dtype="object"), ["a", None]),
            (pd.Series(["a", pd.NA], dtype="string"), ["a", None]),
            (pd.Series(["a", None], dtype="str"), ["a", None]),
            (pd.Series(["a", None], dtype="category"), ["a", None]),
            (pd.Series([7, None], dtype="category"), [7, None]),
            (pd.Series([1, None], dtype="Int8"), [1, None]),
            (pd.Series([1, None]), [1.0, None]),
            (pd.Series([True, None], dtype="boolean"), [True, None]),
            (pd.Series([pd.Timestamp(2024, 1, 2), pd.NaT]), [datetime.datetime(2024, 1, 2), None]),
            (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())), ["a", None]),
        ],
        ids=lambda value: str(getattr(value, "dtype", "")),
    )
    def test_types(self, column: Any, expected: list[Any]) -> None:
        frame = pd.DataFrame({"text": ["x", "y"], "column": column})
        assert [row["column"] for row in rows_of(open_source(frame))] == expected
        assert open_source(frame).take(np.array([1, 0]))["column"].to_pylist() == expected[::-1]

    def test_names_that_are_no_text(self) -> None:
        assert open_source(pd.DataFrame([["a", 1]])).schema.names == ["0", "1"]
        assert open_source(pd.DataFrame([["a", 1]], columns=["text", 3])).schema.names == ["text", "3"]
        levels = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
        assert open_source(pd.DataFrame([["a", 1]], columns=levels)).schema.names == ["('a', 1)", "('a', 2)"]

    @pytest.mark.parametrize("columns", [["text", "text"], [1, "1"]])
    def test_two_columns_of_one_name(self, columns: list[Any]) -> None:
        with pytest.raises(SourceError, match=facts("DataFrame", "several columns", str(columns[0]))):
            open_source(pd.DataFrame([["a", "b"]], columns=columns))

    @pytest.mark.parametrize(
        "values",
        [["a", 1], [1, b"x"], [object(), object()], [[1], "a"], [2**70, 1], [1j, 2j], ["\ud800", 1]],
    )
    def test_a_column_that_arrow_lacks_is_named_also_if_it_is_not_used(self, values: list[Any]) -> None:
        frame = pd.DataFrame({"text": ["x", "y"], "odd one": pd.Series(values, dtype="object")})
        with pytest.raises(SourceError, match=facts("'odd one'", "DataFrame", "drop it", "one type")) as caught:
            open_source(frame)
        assert caught.value.quotes_data
        assert open_source(frame.drop(columns="odd one")).num_rows == 2

    def test_half_a_surrogate_pair_costs_its_row_only(self) -> None:
        frame = pd.DataFrame({"text": pd.Series(["fine", "\ud83d"], dtype="object"), "label": [1, 2]})
        table = open_source(frame).take(np.array([0, 1]))
        assert table["text"][0].as_py() == "fine"
        assert "\ufffd" in table["text"][1].as_py()

    def test_without_rows(self) -> None:
        with pytest.raises(SourceError, match=facts("DataFrame is empty", "text", "no rows")):
            open_source(pd.DataFrame({"text": []}))


class TestListOfDicts:
    def test_columns_are_the_keys_of_all_rows(self) -> None:
        source = open_source([{"text": "a"}, {"label": 1, "text": "b"}, {}])
        assert source.name == "list of dicts"
        assert source.schema.names == ["text", "label"]
        assert rows_of(source) == [{"text": t, "label": y} for t, y in [("a", None), ("b", 1), (None, None)]]

    @pytest.mark.parametrize("nothing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
    def test_missing_values(self, nothing: Any) -> None:
        rows = rows_of(open_source(({"text": nothing, "label": 2}, {"text": "b", "label": nothing})))
        assert rows == [{"text": None, "label": 2}, {"text": "b", "label": None}]

    def test_values(self) -> None:
        row = {"text": "a", "n": np.int32(3), "tags": ["x"], "meta": {"k": 1}, "on": True, "d": decimal.Decimal("1.5")}
        assert rows_of(open_source([row])) == [row]

    def test_a_column_of_two_types_is_named(self) -> None:
        with pytest.raises(SourceError, match=facts("'label'", "list of dicts", "one type")):
            open_source([{"text": "a", "label": 1}, {"text": "b", "label": "x"}])

    def test_keys_of_one_name(self) -> None:
        source = open_source([{"text": "a", 1: "b"}, {"1": "c"}])
        assert source.schema.names == ["text"]
        assert "several columns" in source.unusable["1"]

    def test_half_a_surrogate_pair_costs_its_row_only(self) -> None:
        assert "\ufffd" in open_source([{"text": "\ud83d"}]).take(np.array([0]))["text"][0].as_py()

    @pytest.mark.parametrize("rows", [[{}], [{}, {}]])
    def test_rows_without_a_key(self, rows: list[Any]) -> None:
        with pytest.raises(SourceError, match=facts("list of dicts", "no column")):
            open_source(rows)


class TestPolars:
    def test_rows(self) -> None:
        columns = {
            "text": ["a", "b", None],
            "label": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "kind": pl.Series(["x", "y", None], dtype=pl.Enum(["x", "y"])),
        }
        source = open_source(pl.DataFrame(columns))
        assert source.name == "DataFrame"
        expected = [{"text": "b", "label": "y", "kind": "y"}, {"text": None, "label": "x", "kind": None}]
        assert source.take(np.array([1, 2])).to_pylist() == expected

    def test_a_column_of_objects_is_named(self) -> None:
        frame = pl.DataFrame({"text": ["a"], "odd": pl.Series([object()], dtype=pl.Object)})
        with pytest.raises(SourceError, match=facts("'odd'", "DataFrame", "drop it")):
            open_source(frame)

    def test_a_lazy_frame_is_no_data(self) -> None:
        with pytest.raises(TypeError, match=facts("polars.LazyFrame", "DataFrame")):
            open_source(pl.LazyFrame({"text": ["a"]}))


class TestOtherTypes:
    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (3, "int"),
            (None, "NoneType"),
            (b"news.csv", "bytes"),
            ({"text": ["a"]}, "dict"),
            ({"text"}, "set"),
            (iter([{"text": "a"}]), "list_iterator"),
            (np.array(["a"]), "numpy.ndarray"),
            (pa.array(["a"]), "pyarrow.StringArray"),
            (pd.Series(["a"], name="text"), "pandas.Series"),
            (["a.csv", {"text": "a"}], "list of str and dict"),
            ([{"text": "a"}, None], "list of dict and NoneType"),
            ([["a"], ["b"]], "list of list of str"),
            ([1, 2], "list of int"),
        ],
    )
    def test_the_type_and_what_is_taken_are_named(self, data: Any, kind: str) -> None:
        taken = (
            "path",
            "Dataset",
            "IterableDataset",
            "DatasetDict",
            "pandas",
            "polars",
            "RecordBatch",
            "list of dicts",
        )
        with pytest.raises(TypeError, match=facts(f"`data` is of type {kind};", *taken)):
            open_source(data)

    @pytest.mark.parametrize("data", [[], ()])
    def test_an_empty_list(self, data: Any) -> None:
        with pytest.raises(SourceError, match=facts("`data`", "empty list")):
            open_source(data)

    @pytest.mark.parametrize(
        ("keywords", "said"),
        [
            ({"config": "default"}, "`config='default'`"),
            ({"split": "test"}, "`split='test'`"),
            ({"streaming": True}, "`streaming=True`"),
        ],
    )
    @pytest.mark.parametrize(
        "data", [pd.DataFrame(ROWS), ROWS, pa.Table.from_pylist(ROWS)], ids=["pandas", "list", "pa"]
    )
    def test_keywords_that_do_not_fit(self, data: Any, keywords: dict[str, Any], said: str) -> None:
        with pytest.raises(SourceError, match=facts(said, "leave it out")):
            open_source(data, **keywords)

    def test_a_module_that_has_a_librarys_name_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for library in ("datasets", "pandas", "polars"):
            monkeypatch.setitem(sys.modules, library, type(sys)(library))
        assert open_source([{"text": "a"}]).num_rows == 1
