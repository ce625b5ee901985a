"""source: the same rows in the same order from every kind of data, and data that changed is noticed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import Source, SourceError, open_source
from tests.scorer.data.source.helpers import (
    KINDS,
    NAMES,
    TABLE,
    N,
    rows_of,
    write_arrow,
    write_csv,
    write_jsonl,
    write_parquet,
    write_parts,
)
from tests.support.facts import facts


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Every kind of source of the same rows."""
    return {kind: make(tmp_path_factory.mktemp("kind")) for kind, make in KINDS.items()}


class TestEveryKind:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_same_rows_in_the_same_order(self, sources: dict[str, Source], kind: str) -> None:
        source = sources[kind]
        assert source.num_rows == N
        assert source.schema.names == ["text", "label", "note"]
        assert rows_of(source) == TABLE.to_pylist()

    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=12, deadline=None)
    @given(st.data())
    def test_a_range_is_a_slice(self, sources: dict[str, Source], kind: str, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, N))
        stop = data.draw(st.one_of(st.none(), st.integers(start, N)))
        columns = data.draw(st.sampled_from([None, ["text"], ["note", "text"]]))
        length = None if stop is None else stop - start
        expected = TABLE.slice(start, length).select(columns or TABLE.column_names).to_pylist()
        assert rows_of(sources[kind], start, stop, columns) == expected

    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=12, deadline=None)
    @given(rows=st.lists(st.integers(0, N - 1), max_size=30))
    def test_take_gives_the_rows_asked_for_in_their_order(
        self, sources: dict[str, Source], kind: str, rows: list[int]
    ) -> None:
        table = sources[kind].take(np.array(rows, dtype=np.int64))
        assert table.column_names == TABLE.column_names
        taken = table.to_pylist()
        for row in taken:
            row["label"] = int(row["label"])
        assert taken == TABLE.take(pa.array(rows, pa.int64())).to_pylist()

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if "csv" not in kind and "tsv" not in kind])
    def test_take_keeps_the_types(self, sources: dict[str, Source], kind: str) -> None:
        for rows in ([0], [5, 3], list(range(N)), []):
            table = sources[kind].take(np.array(rows, dtype=np.int64))
            assert table.schema.types == TABLE.schema.types

    @pytest.mark.parametrize("write", [write_parquet, write_arrow])
    def test_what_is_taken_holds_no_dictionary_of_its_row_group(
        self, tmp_path: Path, write: Callable[..., Path]
    ) -> None:
        rows = 20_000
        texts = pa.array([None if i % 100 == 1 else f"text {i} {'long ' * 30}" for i in range(rows)])
        table = pa.table({"text": texts.dictionary_encode(), "n": np.arange(rows)})
        source = open_source(write(tmp_path / f"a.{write.__name__[6:]}", table, rows))
        wanted = np.arange(1, rows, 400)
        taken = source.take(wanted)
        assert taken.get_total_buffer_size() < 100_000  # 50 rows of 200 bytes, of a dictionary of 3 MB
        assert taken.to_pylist() == table.take(pa.array(wanted)).to_pylist()
        assert taken.schema == source.take(np.array([], dtype=np.int64)).schema
        assert taken.schema.types == [pa.string(), pa.int64()]

    def test_rows_too_large_for_one_array_are_not_copied_into_one(
        self, sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = np.array([200, 3, 3, 150, 0])
        for kind in ("parquet, row groups of 33", "jsonl", "table"):
            with monkeypatch.context() as patched:
                before = sources[kind].take(rows)
                patched.setattr("scorer.data.source._TOGETHER", 100)
                taken = sources[kind].take(rows)
            assert taken.equals(before)
            assert taken["text"].num_chunks == len(rows)

    @pytest.mark.parametrize("rows", [[N], [-1], [0, 10**12]])
    def test_rows_that_are_not_there(self, sources: dict[str, Source], rows: list[int]) -> None:
        with pytest.raises(SourceError, match=facts(min(rows), max(rows), "a.csv", f"0 to {N - 1}")):
            sources["csv"].take(np.array(rows))

    @pytest.mark.parametrize("kind", ["save_to_disk", "save_to_disk of a DatasetDict"])
    def test_a_saved_data_set_has_its_class_names(self, sources: dict[str, Source], kind: str) -> None:
        assert sources[kind].label_names == {"label": NAMES}


class TestManyRows:
    """More rows than a reader holds at once: the row numbers go on from chunk to chunk and from file to file."""

    N = 9_000
    WRITERS: ClassVar = {"parquet": write_parquet, "csv": write_csv, "jsonl": write_jsonl, "arrow": write_arrow}

    @pytest.mark.parametrize("ending", WRITERS)
    def test_ranges_and_rows(self, tmp_path: Path, ending: str) -> None:
        table = pa.table({"text": [f"row {i}" for i in range(self.N)]})
        write = self.WRITERS[ending]
        kwargs = {"rows": self.N} if ending in ("parquet", "arrow") else {}
        write(tmp_path / f"a.{ending}", table.slice(0, 8_500), **kwargs)
        write(tmp_path / f"b.{ending}", table.slice(8_500), **kwargs)
        source = open_source(tmp_path)
        assert source.num_rows == self.N
        for start, stop in [(0, self.N), (4095, 4097), (4096, 8192), (8191, 8193), (8499, 8501), (8999, 9000)]:
            found = [row["text"] for row in rows_of(source, start, stop)]
            assert found == [f"row {i}" for i in range(start, stop)]
        rows = [8999, 0, 4095, 4096, 4097, 8191, 8192, 8499, 8500, 0]
        assert source.take(np.array(rows))["text"].to_pylist() == [f"row {i}" for i in rows]


class TestRowGroups:
    @pytest.fixture
    def groups_read(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        read: list[int] = []
        original = pq.ParquetFile.iter_batches

        def spy(self: pq.ParquetFile, *args: Any, **kwargs: Any) -> Any:
            read.extend(kwargs["row_groups"])
            return original(self, *args, **kwargs)

        monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
        return read

    def test_take_reads_only_those_that_hold_the_rows(self, tmp_path: Path, groups_read: list[int]) -> None:
        source = open_source(write_parquet(tmp_path / "a.parquet", rows=50))
        source.take(np.array([240, 60, 99, 60]))
        assert groups_read == [1, 4]

    def test_read_reads_only_those_of_its_range(self, tmp_path: Path, groups_read: list[int]) -> None:
        source = open_source(write_parquet(tmp_path / "a.parquet", rows=50))
        assert len(rows_of(source, 100, 150)) == 50
        assert groups_read == [2]
        groups_read.clear()
        assert len(rows_of(source, 149, 151)) == 2
        assert groups_read == [2, 3]

    def test_files_that_hold_no_row_of_the_range_are_not_opened(self, tmp_path: Path) -> None:
        folder = write_parts(tmp_path / "f", write_parquet, ".parquet", (100, 200))
        source = open_source(folder)
        (folder / "part-000.parquet").unlink()
        (folder / "part-002.parquet").unlink()
        assert rows_of(source, 100, 200) == TABLE.slice(100, 100).to_pylist()
        assert source.take(np.array([199, 100])).to_pylist() == TABLE.take([199, 100]).to_pylist()
        with pytest.raises(SourceError, match=facts("part-002.parquet", "removed")):
            rows_of(source, 199, 201)


class TestOrder:
    def test_files_come_by_name_not_by_time(self, tmp_path: Path) -> None:
        for name in ("b", "c", "a"):
            write_jsonl(tmp_path / f"{name}.jsonl", pa.table({"text": [name]}))
        os.utime(tmp_path / "a.jsonl", (2**31, 2**31))
        assert [row["text"] for row in rows_of(open_source(tmp_path))] == ["a", "b", "c"]
        assert [row["text"] for row in rows_of(open_source(str(tmp_path / "[bc].jsonl")))] == ["b", "c"]

    def test_folders_below_and_hidden_files(self, tmp_path: Path) -> None:
        for name in (
            "z.csv",
            "a/b.csv",
            "a/.hidden.csv",
            ".git/x.csv",
            "_temporary/x.csv",
            "a/_part.csv",
            "a/README.md",
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"text\n{name}\n")
        assert [row["text"] for row in rows_of(open_source(tmp_path))] == ["a/b.csv", "z.csv"]
