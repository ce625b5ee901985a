"""Source columns of every type can be written in every format, or an error names the column that can't."""

import datetime
import json
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lossrank.page.rows import page_rows
from lossrank.tables.json_values import plain
from lossrank.tables.values import column_values
from scorer import ModelBundle, RunDirectory, ScoreOptions, join_source, rank, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells
from tests.support.publishing import decide
from tests.support.tiny import make_texts

ID = uuid.UUID(int=7)
WITHOUT_PANDAS = """
import sys

class NoPandas:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError(name)

sys.meta_path.insert(0, NoPandas())
from cli.main import run

for line in sys.stdin.read().splitlines():
    run(line.split("\\t"), standalone_mode=False)
"""


def extension(kind: pa.DataType, storage: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(storage, kind.storage_type))


ns = pa.timestamp("ns")
# For each type: a column of two rows, its first value in JSON, and its first value in CSV if that is different.
COLUMNS: dict[str, tuple[pa.Array, Any, str | None]] = {
    "nanoseconds": (pa.array([1_234_567_891, None], ns), "1970-01-01T00:00:01.234567891", None),
    "zone": (pa.array([0, None], pa.timestamp("s", "Europe/Berlin")), "1970-01-01T00:00:00Z", None),
    "no_such_zone": (pa.array([1, None], pa.timestamp("us", "Foo/Bar")), "1970-01-01T00:00:00.000001Z", None),
    "far": (pa.array([3_000_000, None], pa.date32()), "10183-09-21", None),
    "too_far": (pa.array([2**60, None], pa.timestamp("s")), 2**60, str(2**60)),
    "date": (pa.array([86_400_000, None], pa.date64()), "1970-01-02", None),
    "time": (pa.array([1_234_567, None], pa.time64("ns")), "00:00:00.001234567", None),
    "noon": (pa.array([datetime.time(12), None], pa.time32("ms")), "12:00:00", None),
    "duration": (pa.array([-1_234_567, None], pa.duration("ns")), "PT-0.001234567S", None),
    "interval": (pa.array([(1, 2, 3), None], pa.month_day_nano_interval()), "P1M2DT0.000000003S", None),
    "category": (pa.array([5, None], ns).dictionary_encode(), "1970-01-01T00:00:00.000000005", None),
    "fixed": (pa.array([b"\xff\x00", None], pa.binary(2)), "/wA=", '"/wA="'),
    "uuid": (extension(pa.uuid(), [ID.bytes, None]), str(ID), None),
    "tensor": (extension(pa.fixed_shape_tensor(pa.int32(), [2]), [[1, 2], None]), [1, 2], "[1, 2]"),
    "decimal": (pa.array([Decimal("1.20"), None]), "1.20", None),
    "struct": (
        pa.array([{"a": 1, "b": [5]}, None], pa.struct({"a": pa.int8(), "b": pa.list_(ns)})),
        {"a": 1, "b": ["1970-01-01T00:00:00.000000005"]},
        '{"a": 1, "b": ["1970-01-01T00:00:00.000000005"]}',
    ),
    "map": (
        pa.array([[("k", 5)], None], pa.map_(pa.string(), ns)),
        [["k", "1970-01-01T00:00:00.000000005"]],
        '[["k", "1970-01-01T00:00:00.000000005"]]',
    ),
}


def scored(bundle: ModelBundle, folder: Path, columns: dict[str, pa.Array]) -> Path:
    """Score rows that have these columns in addition to text and label; return the run."""
    n = len(next(iter(columns.values())))
    table = pa.table({"text": make_texts(n), "label": [i % 2 for i in range(n)], **columns})
    with pa.OSFile(str(folder / "data.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    score_dataset(bundle, folder / "data.arrow", folder / "run", ScoreOptions(threads=1, label_column="label"))
    return folder / "run"


def test_every_type_goes_into_json_and_csv_without_pandas(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    run = scored(tiny_bundle, tmp_path, {name: array for name, (array, _, _) in COLUMNS.items()})
    commands = [
        ["rank", run, "--json"],
        ["rank", run, "-o", tmp_path / "out.jsonl"],
        ["rank", run, "-o", tmp_path / "out.csv"],
        ["report", run, "-o", tmp_path / "out.json"],
    ]
    given = "\n".join("\t".join(map(str, command)) for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PANDAS], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = json.JSONDecoder().raw_decode(done.stdout)[0]["rows"]
    reported = json.loads((tmp_path / "out.json").read_text())["worst"]["rows"]
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    convert = pa.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=True)
    cells = pa.csv.read_csv(tmp_path / "out.csv", convert_options=convert).to_pylist()
    for name, (_, value, cell) in COLUMNS.items():
        for row in shown + reported:
            assert row["source"][name] == (value if row["row"] == 0 else None), name
        assert {row["row"]: row[name] for row in written} == {0: value, 1: None}, name
        assert {row["row"]: row[name] for row in cells} == {0: cell or value, 1: None}, name


def test_values_of_a_slice_are_its_own() -> None:
    for array, value, _ in COLUMNS.values():
        twice = pa.chunked_array([array, array]).slice(1)
        assert plain(column_values(twice)) == [None, value, None]


def test_parquet_keeps_the_types(tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank) -> None:
    names = ("nanoseconds", "no_such_zone", "fixed", "uuid", "struct")
    run = scored(tiny_bundle, tmp_path, {name: COLUMNS[name][0] for name in names})
    assert lossrank("rank", run, "-o", tmp_path / "out.parquet").exit_code == 0
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert all(schema.field(name).type == COLUMNS[name][0].type for name in names)


@pytest.mark.parametrize(
    ("ending", "array"),
    [
        ("parquet", COLUMNS["interval"][0]),
        ("parquet", COLUMNS["too_far"][0]),
        ("csv", pa.StructArray.from_arrays([pa.array([1, 2])] * 2, names=["a", "a"])),
        ("jsonl", pa.StructArray.from_arrays([pa.array([1, 2])] * 2, names=["a", "a"])),
    ],
)
def test_a_column_that_a_format_can_not_hold_is_named_and_nothing_is_left(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank, ending: str, array: pa.Array
) -> None:
    run = scored(tiny_bundle, tmp_path, {"odd": array})
    before = sorted(tmp_path.iterdir())
    printed = error_line(lossrank("rank", run, "-o", tmp_path / f"out.{ending}"))
    assert tells(printed, "'odd'", array.type, tmp_path / f"out.{ending}")
    assert sorted(tmp_path.iterdir()) == before
    if ending == "jsonl":
        assert tells(error_line(lossrank("rank", run, "--json")), "'odd'", "JSON")


def test_bytes_that_are_not_utf8_in_categories_and_lists_end_no_command(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    words = pa.array([b"Sports", b"caf\xe9"], pa.binary()).view(pa.string())
    columns = {
        "label": pa.DictionaryArray.from_arrays(pa.array([0] * 29 + [1], pa.int8()), words),
        "tags": pa.ListArray.from_arrays(pa.array([0] * 30 + [2], pa.int32()), words),
    }
    run = RunDirectory.open(scored(tiny_bundle, tmp_path, columns))
    ranked = rank(run, by="entropy")
    shown, refused = page_rows(run, ranked, join_source(run, ranked))
    assert ({row.row: row.given for row in shown}[29], refused) == ("caf\ufffd", [])
    for command in ("rank --json", "rank -o x.csv", "rank -o x.jsonl", "report -o x.html", "log --to jsonl -o y.jsonl"):
        name, *options = command.replace("-o ", f"-o {tmp_path}/").split()
        result = lossrank(name, run.path, *options, "--by", "entropy")
        assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    found = {row["row"]: (row["label"], row["tags"]) for row in rows}
    assert (found[28], found[29]) == (("Sports", []), ("caf\ufffd", ["Sports", "caf\ufffd"]))
    decide(run.path, {28: "World"})
    assert lossrank("apply", run.path, "-o", tmp_path / "out.parquet").exit_code == 0
    corrected = pq.read_table(tmp_path / "out.parquet").slice(28)
    assert corrected["label"].to_pylist() == ["World", "caf\ufffd"]
    assert corrected["tags"].to_pylist() == [[], ["Sports", "caf\ufffd"]]
