"""source: the same rows in the same order from every kind of data, and data that changed is noticed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import SourceError, open_source
from scorer.run.reopened import reopen_data
from tests.scorer.data.source.helpers import (
    IN_MEMORY,
    KINDS,
    TABLE,
    N,
    rows_of,
    save_dict,
    with_names,
    write_arrow,
    write_csv,
    write_jsonl,
    write_parquet,
    write_parts,
)
from tests.support.facts import facts
from tests.support.manifests import run_of


class TestFingerprint:
    @pytest.mark.parametrize("kind", [k for k in KINDS if k not in IN_MEMORY and "glob" not in k and "Dict" not in k])
    def test_the_same_wherever_the_files_lie(self, tmp_path: Path, kind: str) -> None:
        source = KINDS[kind](tmp_path)
        here = Path(source.spec.data)
        there = tmp_path / f"moved {here.name}"
        shutil.move(here, there)
        assert open_source(there).fingerprint == source.fingerprint

    @pytest.mark.parametrize("write", [write_parquet, write_arrow, write_csv, write_jsonl])
    @pytest.mark.parametrize("column", [0, 1, 2])
    def test_any_changed_value_changes_it(self, tmp_path: Path, write: Callable[..., Path], column: int) -> None:
        ending = {write_parquet: ".parquet", write_arrow: ".arrow", write_csv: ".csv", write_jsonl: ".jsonl"}[write]
        values = TABLE.column(column).to_pylist()
        values[N - 1] = "other" if column != 1 else 3
        changed = TABLE.set_column(column, TABLE.column_names[column], pa.array(values))
        before = open_source(write(tmp_path / f"a{ending}", TABLE)).fingerprint
        assert open_source(write(tmp_path / f"b{ending}", changed)).fingerprint != before
        assert open_source(write(tmp_path / f"c{ending}", TABLE)).fingerprint == before

    def test_files_in_another_order_change_it(self, tmp_path: Path) -> None:
        folder = write_parts(tmp_path / "f", write_csv, ".csv", (100,))
        before = open_source(folder).fingerprint
        (folder / "part-000.csv").rename(folder / "part-002.csv")
        assert open_source(folder).fingerprint != before

    def test_tables(self) -> None:
        before = open_source(TABLE).fingerprint
        assert open_source(pa.table(TABLE.to_pydict())).fingerprint == before
        assert open_source(with_names(TABLE)).fingerprint == before  # metadata is not content
        assert open_source(TABLE.slice(0, N - 1)).fingerprint != before
        assert open_source(TABLE.take(pa.array([1, 0, *range(2, N)]))).fingerprint != before
        assert open_source(TABLE.rename_columns(["text", "label", "Note"])).fingerprint != before
        assert open_source(TABLE.set_column(1, "label", TABLE["label"].cast(pa.int32()))).fingerprint != before

    @pytest.mark.parametrize("row", [0, 1, 4095, 4096, 9999])
    def test_any_row_of_a_table_counts(self, row: int) -> None:
        numbers = np.arange(10_000)
        before = open_source(pa.table({"n": numbers})).fingerprint
        numbers[row] += 1
        assert open_source(pa.table({"n": numbers})).fingerprint != before

    @settings(max_examples=80, deadline=None)
    @given(st.data())
    def test_a_tables_chunks_and_slices_do_not_count(self, data: st.DataObject) -> None:
        rows = data.draw(st.integers(1, 40))
        values = st.one_of(st.none(), st.integers(0, 3))
        numbers = data.draw(st.lists(values, min_size=rows + 20, max_size=rows + 20))
        table = pa.table(
            {
                "text": [None if n is None else "x" * n for n in numbers],
                "number": numbers,
                "flag": [None if n is None else n > 1 for n in numbers],
                "tags": [None if n is None else ["t"] * n for n in numbers],
                "meta": [None if n is None else {"n": n} for n in numbers],
                "code": pa.array([None if n is None else f"c{n}" for n in numbers], pa.string()).dictionary_encode(),
            }
        )
        start = data.draw(st.integers(0, 20))
        part = table.slice(start, rows)
        at = data.draw(st.integers(0, rows))
        chunked = pa.concat_tables([part.slice(0, at), part.slice(at)])
        built = pa.table(part.to_pydict(), schema=part.schema)
        assert open_source(chunked).fingerprint == open_source(built).fingerprint

    def test_the_values_of_a_dictionary_count(self) -> None:
        first, second = (
            pa.table({"text": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["a", "c"])
        )
        assert open_source(first).fingerprint != open_source(second).fingerprint
        # The order of the dictionary does not.
        codes, values = pa.array([0, 1], pa.int32()), pa.array(["a", "b"])
        same = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int32()), values.take(pa.array([1, 0])))
        original = pa.DictionaryArray.from_arrays(codes, values)
        assert (
            open_source(pa.table({"text": same})).fingerprint == open_source(pa.table({"text": original})).fingerprint
        )


class TestReopen:
    def test_by_its_record_and_from_where_it_lies_now(self, tmp_path: Path) -> None:
        source = open_source(write_csv(tmp_path / "a.csv"))
        assert rows_of(reopen_data(run_of(source))) == TABLE.to_pylist()
        moved = tmp_path / "b.csv"
        (tmp_path / "a.csv").rename(moved)
        with pytest.raises(SourceError, match=facts("a.csv", "did you mean 'b.csv'?")):
            reopen_data(run_of(source))
        assert rows_of(reopen_data(run_of(source), moved)) == TABLE.to_pylist()

    def test_from_another_working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_csv(tmp_path / "a.csv")
        monkeypatch.chdir(tmp_path)
        source = open_source("a.csv")
        monkeypatch.chdir("/")
        assert reopen_data(run_of(source)).num_rows == N

    def test_a_split_is_remembered(self, tmp_path: Path) -> None:
        source = open_source(save_dict(tmp_path / "saved"), split="train")
        assert source.num_rows == 10
        assert reopen_data(run_of(source)).num_rows == 10

    def test_changed_data_is_refused(self, tmp_path: Path) -> None:
        source = open_source(write_jsonl(tmp_path / "a.jsonl"))
        write_jsonl(tmp_path / "a.jsonl", TABLE.take(pa.array([1, 0, *range(2, N)])))
        with pytest.raises(
            SourceError,
            match=facts("a.jsonl has changed", "`data`"),
        ):
            reopen_data(run_of(source))

    def test_a_table_must_be_passed_again(self) -> None:
        source = open_source(TABLE)
        with pytest.raises(SourceError, match=facts("in memory", "`data`")):
            reopen_data(run_of(source))
        assert reopen_data(run_of(source), TABLE).num_rows == N
        with pytest.raises(SourceError, match="table has changed since it was scored"):
            reopen_data(run_of(source), TABLE.slice(1))


class TestNotThere:
    def test_a_mistyped_name(self, tmp_path: Path) -> None:
        write_csv(tmp_path / "reviews.csv")
        with pytest.raises(SourceError, match=facts("reveiws.csv", "did you mean 'reviews.csv'?")):
            open_source(tmp_path / "reveiws.csv")

    @pytest.mark.parametrize(
        "data", ["nowhere/at/all", "./nothing", "../nothing", "~/nothing", "nothing.parquet", "/nothing"]
    )
    def test_a_path_is_never_taken_for_a_hubs_name(self, data: str) -> None:
        with pytest.raises(SourceError, match=f"^{data} does not exist"):
            open_source(data)

    def test_a_glob_that_matches_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"no file matches .*\*\.csv"):
            open_source(str(tmp_path / "*.csv"))

    def test_an_unknown_ending(self, tmp_path: Path) -> None:
        (tmp_path / "a.xlsx").write_bytes(b"PK")
        for data in (tmp_path / "a.xlsx", str(tmp_path / "*.xlsx"), tmp_path):
            with pytest.raises(SourceError, match=facts(".arrow", ".csv", ".jsonl", ".parquet", ".gz")):
                open_source(data)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="holds no file of a known kind"):
            open_source(tmp_path)
