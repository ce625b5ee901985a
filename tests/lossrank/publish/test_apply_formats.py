"""apply over every kind of source: nothing but the label changes, and numbers of text formats stay numbers."""

import gzip
import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import click.testing
import datasets
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from lossrank.review.decision import KEPT
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support.commands import Lossrank
from tests.support.facts import counts, tells
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES, make_texts

N = 5000  # more than one batch
Publish = Callable[..., tuple[pa.Table, click.testing.Result]]


@pytest.fixture
def publish(lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path) -> Publish:
    """Score data, decide of rows, apply, and return what was written."""

    def make(data: Any, decisions: dict[int, str], *arguments: object, **given: Any) -> Any:
        score_dataset(tiny_bundle, data, tmp_path / "run", ScoreOptions(threads=1), **given)
        decide(tmp_path / "run", decisions)
        result = lossrank("apply", tmp_path / "run", "-o", tmp_path / "out.parquet", *arguments)
        assert result.exit_code == 0, result.output
        return pq.read_table(tmp_path / "out.parquet"), result

    return make


@pytest.fixture
def table() -> pa.Table:
    texts = make_texts(N, longest=6)
    return pa.table({"text": texts, "label": [i % 4 for i in range(N)], "n": [i * 10 for i in range(N)]})


def check(out: pa.Table, table: pa.Table, changed: dict[int, int]) -> None:
    """Make sure that a table is another one with changed labels and two columns more."""
    assert out.drop_columns(["label", "original_label", "label_status"]).equals(table.drop_columns(["label"]))
    labels = table["label"].to_pylist()
    assert out["original_label"].to_pylist() == labels
    assert out["label"].to_pylist() == [changed.get(i, label) for i, label in enumerate(labels)]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv"])
def test_csv_columns_get_the_type_that_all_their_values_have(publish: Publish, tmp_path: Path, ending: str) -> None:
    texts = [text.replace(",", " ") for text in make_texts(N, longest=6)]
    header = ["text", "label", "zip", "price", "flag", "late", "big", "empty", "huge"]
    lines = [
        [text, i % 4, f"{i:05d}", i / 4, ["true", "false"][i % 2], "x" if i == N - 1 else i, 2**60 + i, "", 10**19 + i]
        for i, text in enumerate(texts)
    ]
    mark = "\t" if ending == "tsv" else ","
    text = "\n".join(mark.join(map(str, line)) for line in [header, *lines]) + "\n"
    file = tmp_path / f"news.{ending}"
    file.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    out, result = publish(file, {0: "Sports", 4999: "World", 7: KEPT})
    assert {field.name: str(field.type) for field in out.schema} == {
        "text": "string",
        "label": "int64",
        "zip": "string",
        "price": "double",
        "flag": "bool",
        "late": "string",
        "big": "int64",
        "empty": "string",
        "huge": "string",
        "original_label": "int64",
        "label_status": "string",
    }
    assert out["zip"].to_pylist()[:2] == ["00000", "00001"]
    assert out["big"].to_pylist()[1] == 2**60 + 1
    assert out["price"].to_pylist()[:3] == [0.0, 0.25, 0.5]
    assert out["flag"].to_pylist()[:2] == [True, False]
    assert out["empty"].null_count == N
    assert out["label"].to_pylist()[0] == 1
    assert out["label"].to_pylist()[4999] == 0
    assert tells(result.stderr, "label int64, price double, flag bool", "text, zip, late, empty, huge")


def test_json_lines_keep_strings_as_strings_and_nested_values_as_json(publish: Publish, tmp_path: Path) -> None:
    records = [
        {"text": text, "label": CLASSES[i % 4], "code": str(i), "n": i, "x": i + 0.5, "ok": True, "tags": [{"a": i}]}
        for i, text in enumerate(make_texts(N, longest=6))
    ]
    records[4000]["n"] = "many"
    file = tmp_path / "news.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    out, result = publish(file, {1: "World"})
    kinds = {field.name: str(field.type) for field in out.schema}
    assert (kinds["code"], kinds["n"], kinds["x"], kinds["ok"]) == ("string", "string", "double", "bool")
    assert out["tags"].to_pylist()[1] == '[{"a": 1}]'
    assert out["n"].to_pylist()[4000] == "many"
    assert out["label"].to_pylist()[:3] == ["World", "World", "Business"]
    assert tells(result.stderr, "JSON", "tags")


def test_broken_lines_stay_as_rows_of_nulls_and_are_counted(publish: Publish, tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    lines = [f"{text},{i % 4},{i}" for i, text in enumerate(make_texts(50))]
    lines[7] = "too,many,fields,here"
    file.write_text("\n".join(["text,label,n", *lines]) + "\n")
    out, result = publish(file, {8: "World"})
    assert len(out) == 50
    assert [out[name][7].as_py() for name in ("text", "label", "n", "label_status")] == [None, None, None, "unreviewed"]
    assert out["n"].to_pylist()[6:9] == [6, None, 8]
    assert any(counts(line) == [1] and tells(line, "null") for line in result.stderr.splitlines())


def test_bytes_that_are_not_utf_8_become_the_replacement_character_and_that_is_said(
    publish: Publish, tmp_path: Path
) -> None:
    file = tmp_path / "news.csv"
    file.write_bytes(b"text,label\nw1 w2,0\ncaf\xe9,1\nw3,2\n")
    out, result = publish(file, {0: "Sports"})
    assert out["text"].to_pylist() == ["w1 w2", "caf\ufffd", "w3"]
    assert tells(result.stderr, "UTF-8", "U+FFFD", "text")


def test_a_label_that_is_not_utf_8_stands_in_nobodys_way(publish: Publish, tmp_path: Path) -> None:
    labels = pa.array([b"World"] * 30 + [b"caf\xe9"] + [b"Sports"] * 29, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": make_texts(60), "label": labels}), tmp_path / "news.parquet")
    out, result = publish(tmp_path / "news.parquet", {0: "Sports", 30: "World"})
    assert out["label"].to_pylist() == ["Sports", *["World"] * 30, *["Sports"] * 29]
    assert out["original_label"][30].as_py() == "caf\ufffd"
    assert tells(result.stderr, "U+FFFD", "label")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_datasets_reads_columns_of_every_simple_type_as_the_card_says_them(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    day, moment = date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5)
    values: dict[pa.DataType, object] = dict.fromkeys(
        [pa.int8(), pa.uint16(), pa.int64(), pa.float32(), pa.float64()], 1
    )
    values |= {pa.bool_(): True, pa.large_string(): "x", pa.binary(): b"x", pa.date32(): day, pa.date64(): day}
    values |= {pa.timestamp(unit): moment for unit in ("s", "ms", "us")} | {pa.timestamp("us", "UTC"): moment}
    values |= {pa.time32("s"): time(1), pa.time64("us"): time(1), pa.decimal128(9, 2): Decimal("1.25")}
    columns = {f"c{i}": pa.array([value] * 20, kind) for i, (kind, value) in enumerate(values.items())}
    table = pa.table({"text": make_texts(20), "label": [0, 1] * 10, **columns})
    pq.write_table(table, tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {0: "World"})
    assert lossrank("apply", tmp_path / "run", "-o", tmp_path / "out", "--reviewers").exit_code == 0
    assert '"features":' in (tmp_path / "out" / "README.md").read_text()
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    read = pq.read_table(tmp_path / "news.parquet")
    for name in columns:
        assert loaded[name][:] == read[name].to_pylist()


@pytest.mark.parametrize("kind", ["folder", "glob", "arrow", "two"])
def test_files_of_every_kind(publish: Publish, table: pa.Table, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, part in enumerate((table.slice(0, 3000), table.slice(3000))):
        if kind == "arrow":
            pyarrow.feather.write_feather(part, folder / f"part-{i}.arrow")
        else:
            pq.write_table(part, folder / f"part-{i}.parquet", row_group_size=700)
    data: Any = {"glob": f"{folder}/*.parquet", "two": [folder / "part-0.parquet", folder / "part-1.parquet"]}
    out, _ = publish(data.get(kind, folder), {2999: "World", 3000: "Sports", 4999: "World"})
    check(out, table, {2999: 0, 3000: 1, 4999: 0})


def test_dictionaries_that_differ_between_files_and_row_groups_become_one(publish: Publish, tmp_path: Path) -> None:
    words = [["World", "Sports"], ["Business", "World", "Never"], ["Sci/Tech", "Sports"]]
    parts = [pa.DictionaryArray.from_arrays(pa.array([i % 2 for i in range(40)]), pa.array(each)) for each in words]
    tables = [pa.table({"text": make_texts(40), "label": part}) for part in parts]
    with pq.ParquetWriter(tmp_path / "a.parquet", tables[0].schema) as writer:
        for table in tables[:2]:
            writer.write_table(table)
    pq.write_table(tables[2], tmp_path / "b.parquet")
    out, _ = publish([tmp_path / "a.parquet", tmp_path / "b.parquet"], {40: "World"})
    given = [value for part in parts for value in part.to_pylist()]
    assert out["original_label"].to_pylist() == given
    assert out["label"].to_pylist() == [*given[:40], "World", *given[41:]]
    for name in ("label", "original_label"):
        assert out[name].chunk(0).dictionary.to_pylist() == ["World", "Sports", "Business", "Never", "Sci/Tech"]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (("0", "0.5", "1"), "double"),
        (("3", "1e-07", "-2"), "double"),
        (("2", "1.0", "NaN", "-Infinity", "1e+16"), "double"),
        (("1", str(2**53), "0.25"), "double"),
        (("1", str(2**53 + 1), "0.25"), "string"),
        (("1", str(10**18), "0.25"), "string"),
        (("1", str(2**53 + 1)), "int64"),
        (("1", str(2**63)), "string"),
        (("1", "0.5", "true"), "string"),
        (("1", "0.5", '"1.10"'), "string"),
        (("true", "false"), "bool"),
    ],
)
def test_numbers_of_json_lines_are_numbers(publish: Publish, tmp_path: Path, written: Any, kind: str) -> None:
    file = tmp_path / "news.jsonl"
    file.write_text("".join(f'{{"text": "w1", "label": 0, "n": {value}}}\n' for value in written))
    out, _ = publish(file, {0: KEPT})
    values = [json.loads(value) for value in written]
    assert str(out["n"].type) == kind
    if kind == "string":
        assert out["n"].to_pylist() == [value.strip('"') for value in written]
    else:
        assert str(out["n"].to_pylist()) == str([float(value) if kind == "double" else value for value in values])


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (("0", "0.5", "1"), "double"),
        (("0.0", "0.5", "1.0", "1e-7"), "double"),
        (("0", "0.5", "1e-100"), "double"),
        (("3", "1e-7", "1e-07", "0.00001"), "double"),
        (("1", "1.0", "1.1"), "string"),
        (("1.10", "1.2"), "string"),
        (("007", "0.5"), "string"),
        (("1e5", "2e6"), "string"),
        (("1e+5", "1"), "string"),  # which may be a version or a name
        (("0.5", "1e+16"), "string"),
        (("0.5", "1e+400"), "string"),
        (("0.5", "1e+99999999999999999999"), "string"),
        (("0.5", "0.12345678901234567890123"), "string"),
        (("0.5", str(2**53 + 1)), "string"),
    ],
)
def test_a_csv_column_is_of_numbers_where_none_loses_what_is_written(
    publish: Publish, tmp_path: Path, written: tuple[str, ...], kind: str
) -> None:
    file = tmp_path / "news.csv"
    file.write_text("text,label,n\n" + "".join(f"w1,0,{value}\n" for value in written))
    out, _ = publish(file, {0: KEPT})
    assert str(out["n"].type) == kind
    assert out["n"].to_pylist() == ([float(value) for value in written] if kind == "double" else list(written))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("streaming", [False, True])
def test_saved_and_streamed_data_sets(publish: Publish, table: pa.Table, tmp_path: Path, streaming: bool) -> None:
    table = with_features(table, label=CLASSES)
    folder = tmp_path / "saved"
    if streaming:
        folder.mkdir()
        pq.write_table(table, folder / "train-00000-of-00001.parquet")
        out, _ = publish(folder, {4998: "World"}, split="train", streaming=True)
    else:
        datasets.DatasetDict({"train": datasets.Dataset(table)}).save_to_disk(folder)
        out, _ = publish(folder, {4998: "World"}, split="train")
    check(out, table, {4998: 0})
    assert json.loads(out.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"] == list(CLASSES)


def test_nested_columns_of_parquet_stay_what_they_are(publish: Publish, table: pa.Table, tmp_path: Path) -> None:
    nested = pa.array([{"a": [i], "b": None if i % 3 else str(i)} for i in range(N)])
    table = table.append_column("nested", nested).append_column(
        "kind", pa.array(["x", "y"] * (N // 2)).dictionary_encode()
    )
    pq.write_table(table, tmp_path / "news.parquet")
    out, _ = publish(tmp_path / "news.parquet", {5: "World"})
    check(out, table, {5: 0})
