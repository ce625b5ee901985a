"""What these tests share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import scorer.data.formats.base
from scorer import Source, open_source

datasets = pytest.importorskip("datasets")
pandas = pytest.importorskip("pandas")


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


def frame() -> Any:
    """Return a DataFrame with the types of the table: pandas would use another type of text."""
    return TABLE.to_pandas(types_mapper=pandas.ArrowDtype)


def nested(folder: Path) -> Path:
    """Write parts two folders down."""
    (folder / "a").mkdir()
    write_parts(folder / "a" / "b", write_arrow, ".arrow", (7, 8))
    return folder


IN_MEMORY: dict[str, Callable[[Path], Source]] = {
    "table": lambda d: open_source(TABLE),
    "table in chunks": lambda d: open_source(
        pa.concat_tables([TABLE.slice(0, 10), TABLE.slice(10, 0), TABLE.slice(10)])
    ),
    "Dataset": lambda d: open_source(to_dataset()),
    "Dataset with indices": lambda d: open_source(to_dataset(TABLE.take([*range(N)][::-1])).select([*range(N)][::-1])),
    "Dataset in several files": lambda d: open_source(datasets.load_from_disk(save_to_disk(d / "saved"))),
    "DatasetDict": lambda d: open_source(datasets.DatasetDict(test=to_dataset(), train=to_dataset()), split="test"),
    "IterableDataset": lambda d: open_source(to_dataset().to_iterable_dataset(num_shards=3)),
    "DataFrame": lambda d: open_source(frame()),
    "list of dicts": lambda d: open_source(TABLE.to_pylist()),
}


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
    **IN_MEMORY,
}


def rows_of(source: Source, start: int = 0, stop: int | None = None, columns: list[str] | None = None) -> list[dict]:  # type: ignore[type-arg]
    rows = [row for batch in source.read(columns, start, stop) for row in batch.to_pylist()]
    for row in rows:
        row.pop(scorer.data.formats.base.PROBLEM, None)
        if "label" in row:  # text formats read numbers as the text they are
            row["label"] = int(row["label"])
    return rows
