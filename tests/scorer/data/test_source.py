"""source: the same rows in the same order from every kind of data, and data that changed is noticed."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorer.data.formats
from scorer import Source, SourceError, open_source
from scorer.data.reopen import reopen_source
from scorer.data.spec import spec_from, spec_to
from tests.support.facts import facts

datasets = pytest.importorskip("datasets")

N = 250
TABLE = pa.table(
    {
        "text": [f"text number {i}, {'long ' * (i % 7)}" for i in range(N)],
        "label": [i % 4 for i in range(N)],
        "note": [None if i % 5 == 0 else f"note {i}" for i in range(N)],
    }
)
NAMES = ("World", "Sports", "Business", "Sci/Tech")


def with_names(table: pa.Table, names: tuple[str, ...] = NAMES, column: str = "label") -> pa.Table:
    """Mark a column as a ClassLabel, as `datasets` does."""
    features = {column: {"names": list(names), "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_parquet(path: Path, table: pa.Table = TABLE, rows: int = 1000) -> Path:
    pq.write_table(table, path, row_group_size=rows)
    return path


def write_arrow(path: Path, table: pa.Table = TABLE, rows: int = 60, *, stream: bool = False) -> Path:
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


def write_csv(path: Path, table: pa.Table = TABLE, delimiter: str = ",") -> Path:
    with pa.output_stream(str(path), compression="detect") as stream:
        pa_csv.write_csv(table, stream, pa_csv.WriteOptions(delimiter=delimiter))
    return path


def write_jsonl(path: Path, table: pa.Table = TABLE) -> Path:
    with pa.output_stream(str(path), compression="detect") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode())
    return path


def write_parts(folder: Path, write: Callable[[Path, pa.Table], Path], ending: str, cuts: tuple[int, ...]) -> Path:
    folder.mkdir()
    for number, (start, stop) in enumerate(zip((0, *cuts), (*cuts, N), strict=True)):
        write(folder / f"part-{number:03d}{ending}", TABLE.slice(start, stop - start))
    return folder


def to_dataset(table: pa.Table = TABLE) -> Any:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=list(NAMES)),
            "note": datasets.Value("string"),
        }
    )
    return datasets.Dataset.from_dict(table.to_pydict(), features=features)


def save_to_disk(folder: Path) -> Path:
    to_dataset().save_to_disk(folder, num_shards=3)
    return folder


def save_dict(folder: Path) -> Path:
    whole = to_dataset()
    datasets.DatasetDict({"train": whole.select(range(10)), "test": whole}).save_to_disk(folder)
    return folder


def nested(folder: Path) -> Path:
    """Write parts two folders down."""
    (folder / "a").mkdir()
    write_parts(folder / "a" / "b", write_arrow, ".arrow", (7, 8))
    return folder


KINDS: dict[str, Callable[[Path], Source]] = {
    "parquet, one row group": lambda d: open_source(write_parquet(d / "a.parquet")),
    "parquet, row groups of 1": lambda d: open_source(write_parquet(d / "a.parquet", rows=1)),
    "parquet, row groups of 33": lambda d: open_source(write_parquet(d / "a.pq", rows=33)),
    "arrow file": lambda d: open_source(write_arrow(d / "a.arrow")),
    "arrow stream": lambda d: open_source(write_arrow(d / "a.arrow", stream=True)),
    "feather": lambda d: open_source(write_arrow(d / "a.feather", rows=N)),
    "csv": lambda d: open_source(write_csv(d / "a.csv")),
    "csv.gz": lambda d: open_source(write_csv(d / "a.csv.gz")),
    "tsv": lambda d: open_source(write_csv(d / "a.tsv", delimiter="\t")),
    "tsv.bz2": lambda d: open_source(write_csv(d / "a.tsv.bz2", delimiter="\t")),
    "jsonl": lambda d: open_source(write_jsonl(d / "a.jsonl")),
    "jsonl.gz": lambda d: open_source(write_jsonl(d / "a.jsonl.gz")),
    "folder of parquet": lambda d: open_source(write_parts(d / "f", write_parquet, ".parquet", (1, 100, 110))),
    "folder of csv": lambda d: open_source(write_parts(d / "f", write_csv, ".csv", (30, 60))),
    "glob of jsonl": lambda d: open_source(str(write_parts(d / "f", write_jsonl, ".jsonl", (99,)) / "*.jsonl")),
    "glob of arrow": lambda d: open_source(str(nested(d) / "**" / "*.arrow")),
    "save_to_disk": lambda d: open_source(save_to_disk(d / "saved")),
    "save_to_disk of a DatasetDict": lambda d: open_source(save_dict(d / "saved"), split="test"),
    "table": lambda d: open_source(TABLE),
    "table in chunks": lambda d: open_source(
        pa.concat_tables([TABLE.slice(0, 10), TABLE.slice(10, 0), TABLE.slice(10)])
    ),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Every kind of source of the same rows."""
    return {kind: make(tmp_path_factory.mktemp("kind")) for kind, make in KINDS.items()}


def rows_of(source: Source, start: int = 0, stop: int | None = None, columns: list[str] | None = None) -> list[dict]:  # type: ignore[type-arg]
    rows = [row for batch in source.read(columns, start, stop) for row in batch.to_pylist()]
    for row in rows:
        row.pop(scorer.data.formats.PROBLEM, None)
        if "label" in row:  # text formats read numbers as the text they are
            row["label"] = int(row["label"])
    return rows


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
        with pytest.raises(
            SourceError, match=rf"rows run from {min(rows)} to {max(rows)}; a\.csv has rows 0 to {N - 1}"
        ):
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
        with pytest.raises(SourceError, match=r"part-002\.parquet is gone, while it was being read; restore"):
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


class TestFingerprint:
    @pytest.mark.parametrize("kind", [k for k in KINDS if "table" not in k and "glob" not in k and "Dict" not in k])
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
        spec = spec_from(json.loads(json.dumps(spec_to(source.spec))))  # as run.json holds it
        assert rows_of(reopen_source(spec, source.fingerprint)) == TABLE.to_pylist()
        moved = tmp_path / "b.csv"
        (tmp_path / "a.csv").rename(moved)
        with pytest.raises(SourceError, match=r"a\.csv does not exist \(did you mean 'b\.csv'\?\)"):
            reopen_source(spec, source.fingerprint)
        assert rows_of(reopen_source(spec, source.fingerprint, moved)) == TABLE.to_pylist()

    def test_from_another_working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_csv(tmp_path / "a.csv")
        monkeypatch.chdir(tmp_path)
        source = open_source("a.csv")
        monkeypatch.chdir("/")
        assert reopen_source(source.spec, source.fingerprint).num_rows == N

    def test_a_split_is_remembered(self, tmp_path: Path) -> None:
        source = open_source(save_dict(tmp_path / "saved"), split="train")
        assert source.num_rows == 10
        assert reopen_source(source.spec, source.fingerprint).num_rows == 10

    def test_changed_data_is_refused(self, tmp_path: Path) -> None:
        source = open_source(write_jsonl(tmp_path / "a.jsonl"))
        write_jsonl(tmp_path / "a.jsonl", TABLE.take(pa.array([1, 0, *range(2, N)])))
        with pytest.raises(
            SourceError,
            match=facts("a.jsonl", source.fingerprint[:12], "`data`"),
        ):
            reopen_source(source.spec, source.fingerprint)

    def test_a_table_must_be_passed_again(self) -> None:
        source = open_source(TABLE)
        with pytest.raises(SourceError, match=facts("table in memory", "`data`")):
            reopen_source(source.spec, source.fingerprint)
        assert reopen_source(source.spec, source.fingerprint, TABLE).num_rows == N
        with pytest.raises(SourceError, match="table has changed since it was scored"):
            reopen_source(source.spec, source.fingerprint, TABLE.slice(1))


class TestNotThere:
    def test_a_mistyped_name(self, tmp_path: Path) -> None:
        write_csv(tmp_path / "reviews.csv")
        with pytest.raises(SourceError, match=r"reveiws\.csv does not exist \(did you mean 'reviews\.csv'\?\)"):
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
            with pytest.raises(
                SourceError, match=r"known.*\.arrow, \.csv, .*\.jsonl.*\.parquet.*text formats also with \.gz"
            ):
                open_source(data)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="holds no file of a known kind"):
            open_source(tmp_path)


class TestFilesTogether:
    def test_several_kinds(self, tmp_path: Path) -> None:
        write_csv(tmp_path / "a.csv")
        write_parquet(tmp_path / "b.parquet")
        for data in (tmp_path, str(tmp_path / "*")):
            with pytest.raises(
                SourceError, match=r"files of several kinds \(CSV, Parquet\); name one kind with a glob"
            ):
                open_source(data)
        assert open_source(str(tmp_path / "*.csv")).num_rows == N

    @pytest.mark.parametrize(
        ("write", "ending"), [(write_parquet, ".parquet"), (write_csv, ".csv"), (write_jsonl, ".jsonl")]
    )
    def test_other_columns(self, tmp_path: Path, write: Callable[..., Path], ending: str) -> None:
        write(tmp_path / f"a{ending}", TABLE)
        write(tmp_path / f"b{ending}", TABLE.select(["text", "label"]))
        with pytest.raises(
            SourceError, match=rf"b\{ending} has the columns text, label; a\{ending} has text, label, note"
        ):
            open_source(tmp_path)

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
        with pytest.raises(SourceError, match=r"b\.parquet holds int64 in 'label'; a\.parquet holds string"):
            open_source(tmp_path)

    def test_a_value_that_does_not_fit_the_other_files_type(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", pa.table({"text": ["a"], "n": [0.5]}))
        write_parquet(tmp_path / "b.parquet", pa.table({"text": ["b"], "n": [2**60 + 1]}))
        source = open_source(tmp_path)
        assert rows_of(source, columns=["text"]) == [{"text": "a"}, {"text": "b"}]
        with pytest.raises(
            SourceError, match=r"has files whose columns don't go together \(.*1152921504606846977.*\); give"
        ):
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
        with pytest.raises(SourceError, match=r"b\.arrow holds dictionary<.*int64.*> in 'text'; a\.arrow holds string"):
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
        with pytest.raises(SourceError, match="has two columns of the same name: text, text"):
            open_source(make(twins, tmp_path / "a.parquet"))


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


class TestClassNames:
    def test_from_parquet_arrow_and_tables(self, tmp_path: Path) -> None:
        table = with_names(TABLE)
        paths = [
            write_parquet(tmp_path / "a.parquet", table),
            write_arrow(tmp_path / "b.arrow", table),
            write_arrow(tmp_path / "c.arrow", table, stream=True),
        ]
        for data in (*paths, table):
            assert open_source(data).label_names == {"label": NAMES}

    def test_as_datasets_writes_parquet(self, tmp_path: Path) -> None:
        to_dataset().to_parquet(tmp_path / "a.parquet")
        assert open_source(tmp_path / "a.parquet").label_names == {"label": NAMES}

    @pytest.mark.parametrize(
        "metadata",
        [
            {},
            {"huggingface": "{"},
            {"huggingface": "[]"},
            {"huggingface": '{"info": null}'},
            {"huggingface": '{"info": {"features": [1]}}'},
            {"huggingface": '{"info": {"features": {"label": [{"_type": "ClassLabel", "names": ["a"]}]}}}'},
            {"huggingface": '{"info": {"features": {"label": {"_type": "ClassLabel", "num_classes": 3}}}}'},
            {"huggingface": '{"info": {"features": {"label": {"_type": "Value", "dtype": "int64"}}}}'},
            {"huggingface": '{"info": {"features": {"gone": {"_type": "ClassLabel", "names": ["a", "b"]}}}}'},
        ],
    )
    def test_none_in_other_metadata(self, metadata: dict[str, str]) -> None:
        assert open_source(TABLE.replace_schema_metadata(metadata)).label_names == {}


class TestSavedFolders:
    def test_a_split_must_be_picked(self, tmp_path: Path) -> None:
        folder = save_dict(tmp_path / "saved")
        for split in (None, "validation"):
            with pytest.raises(
                SourceError, match=facts("saved has the splits train, test", "`split`", f"got {split!r}")
            ):
                open_source(folder, split=split)

    def test_a_shuffled_data_set_is_saved_in_its_new_order(self, tmp_path: Path) -> None:
        shuffled = to_dataset().shuffle(seed=3)
        shuffled.save_to_disk(tmp_path / "saved")
        assert [row["text"] for row in rows_of(open_source(tmp_path / "saved"))] == shuffled["text"][:]

    def test_more_than_nine_shards_keep_their_order(self, tmp_path: Path) -> None:
        to_dataset().save_to_disk(tmp_path / "saved", num_shards=12)
        assert rows_of(open_source(tmp_path / "saved")) == TABLE.to_pylist()

    @pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
    @pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"splits": 1}', '{"_data_files": [1]}'])
    def test_damaged(self, tmp_path: Path, name: str, content: str) -> None:
        folder = save_dict(tmp_path / "saved")
        ((folder / name) if name == "dataset_dict.json" else (folder / "test" / name)).write_text(content)
        with pytest.raises(SourceError, match=r"is a damaged save_to_disk folder \(.+\); save the data set again"):
            open_source(folder, split="test")

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ("[]", r"is empty: its state\.json lists no file"),
            ('[{"filename": "a.txt"}]', r"a\.txt is of no known kind"),
        ],
    )
    def test_without_a_file_that_can_be_read(self, tmp_path: Path, files: str, said: str) -> None:
        (tmp_path / "state.json").write_text(f'{{"_data_files": {files}}}')
        with pytest.raises(SourceError, match=said):
            open_source(tmp_path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        folder = save_to_disk(tmp_path / "saved")
        (folder / "data-00001-of-00003.arrow").unlink()
        with pytest.raises(SourceError, match=r"data-00001-of-00003\.arrow does not exist, though .*saved lists it"):
            open_source(folder)


class TestByName:
    @pytest.fixture
    def hub(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """A hub with one data set, whatever is put at "data"; "asked" holds the calls."""
        hub: dict[str, Any] = {"data": to_dataset(), "asked": []}

        def load_dataset(name: str, config: str | None, *, split: str) -> Any:
            hub["asked"].append((name, config, split))
            return hub["data"]

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return hub

    def test_rows_and_class_names(self, hub: dict[str, Any]) -> None:
        source = open_source("ag_news", config="default", split="test")
        assert hub["asked"] == [("ag_news", "default", "test")]
        assert rows_of(source) == TABLE.to_pylist()
        assert source.label_names == {"label": NAMES}
        assert source.name == "ag_news"
        assert source.take(np.array([200, 3])).to_pylist() == TABLE.take([200, 3]).to_pylist()

    @pytest.mark.parametrize(
        "pick",
        [
            lambda data: data.select([9, 3, 3, 200]),  # by an indices mapping
            lambda data: data.select(range(20, 60)),  # by a slice
            lambda data: data.shuffle(seed=1),
            lambda data: data.shuffle(seed=1).select(range(30)),
            lambda data: data.filter(lambda row: row["label"] == 2),
            lambda data: datasets.concatenate_datasets([data.select(range(5)), data.select([7, 6])]),
            lambda data: data.with_format("numpy", columns=["label"]),
        ],
    )
    def test_the_rows_that_the_data_set_shows(self, hub: dict[str, Any], pick: Callable[[Any], Any]) -> None:
        hub["data"] = pick(to_dataset())
        expected = [dict(row) for row in hub["data"].with_format(None)]
        source = open_source("ag_news", split="test")
        assert source.num_rows == len(expected)
        assert rows_of(source) == expected
        assert source.label_names == {"label": NAMES}

    def test_reopened_by_name(self, hub: dict[str, Any]) -> None:
        source = open_source("user/data", config="x", split="train")
        spec = spec_from(json.loads(json.dumps(spec_to(source.spec))))
        assert rows_of(reopen_source(spec, source.fingerprint)) == TABLE.to_pylist()
        assert hub["asked"] == [("user/data", "x", "train")] * 2
        hub["data"] = to_dataset(TABLE.slice(0, N - 1))
        with pytest.raises(SourceError, match="user/data has changed since it was scored"):
            reopen_source(spec, source.fingerprint)

    def test_a_split_is_needed(self, hub: dict[str, Any]) -> None:
        with pytest.raises(SourceError, match=facts("ag_news is loaded by name", "`split='test'`")):
            open_source("ag_news")
        assert hub["asked"] == []

    def test_what_the_library_says_is_passed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def load_dataset(*args: object, **kwargs: object) -> None:
            raise ValueError("Unknown split 'tset'. Should be one of ['train', 'test'].\nmore lines")

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        with pytest.raises(
            SourceError, match=r"ag_news is no file or folder here, and .*\(Unknown split 'tset'\. .*'test'\]\.\)$"
        ):
            open_source("ag_news", split="tset")

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(
            SourceError, match=r"ag_news is no file or folder here; .*pip install 'lossrank\[datasets\]'"
        ):
            open_source("ag_news", split="test")

    def test_columns_of_extension_types(self, hub: dict[str, Any]) -> None:
        features = datasets.Features({"text": datasets.Value("string"), "grid": datasets.Array2D((2, 2), "int32")})
        grids = [[[i, 1], [2, 3]] for i in range(5)]
        hub["data"] = datasets.Dataset.from_dict({"text": list("abcde"), "grid": grids}, features=features)
        source = open_source("grids", split="test")
        assert [row["text"] for row in rows_of(source, columns=["text"])] == list("abcde")
        assert source.take(np.array([4, 1]))["text"].to_pylist() == ["e", "b"]


def test_a_split_of_what_has_none_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["w1"]}), tmp_path / "train-0.parquet")
    for data in (tmp_path, tmp_path / "train-0.parquet", tmp_path / "*.parquet"):
        with pytest.raises(SourceError, match=facts("`split='test'`", "'FOLDER/test-*.parquet'")):
            open_source(str(data), split="test")


def test_a_configuration_of_what_is_here_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["w1"]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=facts("`config='nonsense'`", "name of a data set")):
        open_source(str(tmp_path / "a.parquet"), config="nonsense")


def test_json_names_that_turn_up_late_are_columns(tmp_path: Path) -> None:
    lines = [{"text": "w1"}] * 1200 + [{"text": "w2", "label": "World", "note": "late"}]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = open_source(str(file))
    assert source.schema.names == ["text", "label", "note"]
    assert source.take(np.array([1200])).to_pylist() == [lines[-1]]
