"""Folders: tables with a log, partitions, splits, archives, what systems leave beside data, and plain text files."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather

from tests.inputs.case import (
    ISSUE,
    NEWS,
    OWN,
    Input,
    either,
    json_lines,
    lines,
    parquet,
    parquet_of,
    records,
    row,
    scored,
    stops,
    table,
    zipped,
)
from tests.support.tiny import CLASSES

A, B, C = NEWS[:4], NEWS[4:8], NEWS[8:]
WITHDRAWN = [(text, "World") for text, _ in A]
HIVE = {name: [one for one in NEWS if one[1] == name] for name in CLASSES}
HIVE_FOLDERS = {"World": "World", "Sports": "Sports", "Business": "Business", "Sci/Tech": "Sci%2FTech"}
HIVE_ORDER = [one for name in ("Business", "Sci/Tech", "Sports", "World") for one in HIVE[name]]
TEXTS_ONLY = {name: parquet_of(pa.table({"text": [text for text, _ in rows]})) for name, rows in HIVE.items()}
FASTTEXT = [f"__label__{label} {text}" for text, label in NEWS]
INDEX = parquet_of(pa.Table.from_pandas(pd.DataFrame(B, columns=["text", "label"], index=[7, 3, 5, 1])))
APPLE = bytes.fromhex("00051607000200004d6163204f532058") + b"\0" * 64


def log(*actions: Any) -> bytes:
    """Return a commit of a Delta table's log."""
    return json_lines(actions).encode()


def added(name: str, data: bytes) -> dict[str, Any]:
    return {"add": {"path": name, "partitionValues": {}, "size": len(data), "modificationTime": 1, "dataChange": True}}


SCHEMA = {
    "type": "struct",
    "fields": [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in ("text", "label")],
}
START = (
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {
        "metaData": {
            "id": "0e6b8c1e-0000-4000-8000-000000000000",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(SCHEMA),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": 1,
        }
    },
)
OLD, NEW = parquet(WITHDRAWN), parquet(A)
REMOVED = {"remove": {"path": "part-00000-old.parquet", "deletionTimestamp": 2, "dataChange": True}}
DELTA = {
    "part-00000-old.parquet": OLD, "part-00000-new.parquet": NEW,
    "_delta_log/00000000000000000000.json": log(*START, added("part-00000-old.parquet", OLD)),
    "_delta_log/00000000000000000001.json": log(REMOVED, added("part-00000-new.parquet", NEW)),
}  # fmt: skip
ICEBERG = {
    "data/00000-0-old.parquet": OLD, "data/00000-1-new.parquet": NEW,
    "metadata/v2.metadata.json": b'{"format-version": 2, "current-snapshot-id": 2, "snapshots": []}',
    "metadata/v1.metadata.json": b'{"format-version": 2}', "metadata/version-hint.text": b"2",
}  # fmt: skip


def iceberg(path: Path) -> None:
    """Write an Iceberg table of which ``path`` is the folder of data."""
    for name, content in ICEBERG.items():
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).write_bytes(content)


def saved(path: Path) -> None:
    """Write the rows by save_to_disk."""
    datasets.Dataset.from_list(records()).save_to_disk(str(path), num_shards=2)


def saved_splits(path: Path) -> None:
    """Write two splits by save_to_disk."""
    parts = {"train": datasets.Dataset.from_list(records(A)), "test": datasets.Dataset.from_list(records(B))}
    datasets.DatasetDict(parts).save_to_disk(str(path))


def hub(folder: Path) -> None:
    """Write a repository of a data set, as git clones it."""
    files = {"train-00000-of-00002": A, "train-00001-of-00002": B, "test-00000-of-00001": C}
    (folder / "data").mkdir(parents=True)
    for name, rows in files.items():
        (folder / "data" / f"{name}.parquet").write_bytes(parquet(rows))
    (folder / "README.md").write_text("---\ntask_categories: [text-classification]\n---\n")
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")


def linked(folder: Path) -> None:
    """Write a folder with a link to a file elsewhere, as the hub's cache is."""
    folder.mkdir()
    (folder.parent / "blob").write_bytes(parquet())
    (folder / "news.parquet").symlink_to(folder.parent / "blob")


def tar(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return stream.getvalue()


def arrow_stream(path: Path) -> None:
    """Write the rows as `datasets` caches them: a stream of several batches."""
    with pa.ipc.new_stream(path, pa.schema([("text", pa.string()), ("label", pa.string())])) as writer:
        for rows in (A, B, C):
            writer.write_batch(pa.RecordBatch.from_pylist(records(rows)))


def encoded(*parts: tuple[str, object]) -> dict[str, bytes]:
    return {name: table(rows).encode() for name, rows in parts}  # type: ignore[arg-type]


SPLITS = encoded(("train.csv", A), ("test.csv", B))
PARTS = encoded(("part-0.csv", A), ("part-1.csv", B), ("part-2.csv", C))

FOLDERS = [
    Input("a Delta table that was overwritten", ISSUE, "delta", DELTA, either(A, "delta")),
    Input("an Iceberg table", ISSUE, "iceberg", ICEBERG, either(A, "iceberg")),
    Input("an Iceberg table's folder of data", ISSUE, "iceberg/data", iceberg, either(A, "iceberg")),
    Input(
        "Hive's partitions of labels", ISSUE, "hive", {f"label={HIVE_FOLDERS[name]}/part-0.parquet": data
        for name, data in TEXTS_ONLY.items()}, scored(HIVE_ORDER),
    ),
    Input(
        "Hive's partition of no label", "mjakubowski84/parquet4s#353", "hive",
        {"label=World/a.parquet": TEXTS_ONLY["World"],
        "label=__HIVE_DEFAULT_PARTITION__/a.parquet": TEXTS_ONLY["Sports"]},
        scored([*HIVE["World"], *((text, None) for text, _ in HIVE["Sports"])]),
    ),
    Input(
        "Hive's partitions of other columns", "apache/gluten#6879", "hive",
        {"day=2024-08-10/app=Ai%20Chat/a.parquet": parquet(A), "day=2024-08-11/app=Ai%20Chat/a.parquet": parquet(B)},
        scored((*A, *B)),
    ),
    Input("a zip with one file", ISSUE, "news.zip", zipped({"news.csv": table()}), scored()),
    Input(
        "a zip from a Mac", OWN, "mac.zip", zipped({"news.csv": table(), "__MACOSX/._news.csv": "\0\5\x16\7",
        ".DS_Store": "x"}), scored(),
    ),
    Input(
        "a zip with several files", ISSUE, "two.zip", zipped({"train.csv": table(A), "test.csv": table(B)}),
        stops("train.csv", "test.csv"),
    ),
    Input(
        "a zip of one CSV in a zip's folder", OWN, "nested.zip", zipped({"archive/news.jsonl": json_lines(records())}),
        scored(),
    ),
    Input("a damaged zip", OWN, "bad.zip", zipped({"news.csv": table()})[:-60], stops("bad.zip")),
    Input("a tar", OWN, "news.tar.gz", tar({"news.csv": table()}), either(NEWS, "news.tar.gz")),
    Input("a clone of the hub, with --split", ISSUE, "clone", hub, scored((*A, *B)), ("--split", "train")),
    Input("a clone of the hub, another split", ISSUE, "clone", hub, scored(C), ("--split", "test")),
    Input("a clone of the hub without --split", ISSUE, "clone", hub, stops("--split", "train", "test")),
    Input("a split that is not there", ISSUE, "clone", hub, stops("train", "validation"), ("--split", "validation")),
    Input("train.csv and test.csv with --split", ISSUE, "splits", SPLITS, scored(B), ("--split", "test")),
    Input("train.csv and test.csv without --split", ISSUE, "splits", SPLITS, either((*B, *A), "--split")),
    Input("fastText's lines", ISSUE, "train.txt", lines(*FASTTEXT), scored()),
    Input(
        "fastText's lines with tabs", "flairNLP/flair#1654", "train.txt",
        lines(*(f"__label__{label}\t{text}" for text, label in NEWS)), scored(),
    ),
    Input(
        "fastText's lines with several labels", OWN, "multi.txt",
        lines(*(f"__label__World {line}" for line in FASTTEXT)), stops("multi.txt"),
    ),
    Input(
        "fastText's lines with quotes and commas", OWN, "quotes.txt",
        lines(*FASTTEXT, '__label__World "No, said the minister'), scored((*NEWS, ('"No, said the minister', "World"))),
    ),
    Input("a text file of lines", OWN, "lines.txt", lines(*(text for text, _ in NEWS)), stops("lines.txt")),
    Input(
        "a folder for each class, as IMDB's", OWN, "aclImdb", {f"{label}/{i}.txt": text.encode()
        for i, (text, label) in enumerate(A)}, stops("aclImdb"),
    ),
    Input("save_to_disk", OWN, "saved", saved, scored()),
    Input("a saved DatasetDict", ISSUE, "dict", saved_splits, stops("--split", "train", "test")),
    Input("a saved DatasetDict with --split", ISSUE, "dict", saved_splits, scored(A), ("--split", "train")),
    Input(
        "one file of several with pandas' index", ISSUE, "mixed",
        {"a.parquet": parquet(A), "b.parquet": INDEX, "c.parquet": parquet(C)}, scored(),
    ),
    Input(
        "one file of several with a further column", OWN, "wider",
        {"a.csv": table(A).encode(), "b.csv": table(((*one, "x") for one in B), "text,label,note").encode()},
        scored((*A, *B)),
    ),
    Input(
        "one file of several without the label", OWN, "narrow", {"a.csv": table(A).encode(),
        "b.csv": table([(text,) for text, _ in B], "text").encode()}, stops("b.csv"),
    ),
    Input(
        "columns in another order", OWN, "order", {"a.csv": table(A).encode(),
        "b.csv": table([(label, text) for text, label in B], "label,text").encode()}, scored((*A, *B)),
    ),
    Input(
        "one file of several by semicolons", OWN, "dialects", {"a.csv": table(A).encode(),
        "b.csv": table(B, "text;label", ";").encode()}, either((*A, *B), "b.csv"),
    ),
    Input(
        "one file of several without rows", OWN, "empty", {"a.parquet": parquet(A),
        "b.parquet": parquet([], text=pa.string(), label=pa.string()), "c.parquet": parquet(C)}, scored((*A, *C)),
    ),
    Input(
        "one file of several without bytes, as Spark writes it", OWN, "spark",
        {**PARTS, "part-3.csv": b"", "_SUCCESS": b"", "._SUCCESS.crc": b"\0"}, either(NEWS, "part-3.csv"),
    ),
    Input(
        "what macOS leaves beside data", "Farama-Foundation/Minari#97", "mac",
        {**PARTS, ".DS_Store": b"\0\0\0\1Bud1", "README.md": b"# News"}, scored(),
    ),
    Input(
        "AppleDouble files", "duckdb/duckdb#16466", "exfat", {"a.parquet": parquet(), "._a.parquet": APPLE}, scored(),
    ),
    Input(
        "AppleDouble files among partitions", "scverse/spatialdata#1013", "exfat",
        {"label=World/a.parquet": TEXTS_ONLY["World"], "label=World/._a.parquet": APPLE}, scored(HIVE["World"]),
    ),
    Input(
        "parts by number: in the order of their names", OWN, "numbers", encoded(("part-10.csv", B), ("part-2.csv", A)),
        scored((*B, *A)),
    ),
    Input(
        "a file and its gzipped copy", OWN, "copies", {"news.csv": table().encode(),
        "news.csv.gz": gzip.compress(table().encode())}, either(NEWS, "news.csv"),
    ),
    Input("files of two formats", OWN, "kinds", {"a.csv": table(A).encode(), "b.parquet": parquet(B)}, stops("kinds")),
    Input(
        "nothing that can be read", OWN, "nothing", {"notes.md": b"# Notes", "photo.jpg": b"\xff\xd8"},
        stops("nothing"),
    ),
    Input("a link, as in the hub's cache", OWN, "linked", linked, scored()),
    Input("brackets, blanks and other letters in a file's name", OWN, "añ ñews [1] #2 100%.csv", table(), scored()),
    Input("an Arrow stream", OWN, "cache.arrow", arrow_stream, scored()),
    Input(
        "a Feather file", OWN, "news.feather", lambda path: feather.write_feather(pa.Table.from_pylist(records()),
        path), scored(),
    ),
    Input("a Parquet file that was cut off", OWN, "cut.parquet", parquet()[:-20], stops("cut.parquet")),
    Input(
        "a Parquet file with null, NaN and empty texts", ISSUE, "null.parquet",
        parquet([*NEWS, (None, "World"), ("", "World"), (" \t", "World"), ("NaN", "World")]),
        scored([*(row(*one) for one in NEWS), *[row(None, "World")] * 4]),
    ),
    Input("a spreadsheet", OWN, "news.xlsx", zipped({"xl/workbook.xml": "<workbook/>"}), stops("news.xlsx")),
    Input(
        "a spreadsheet that is called .csv", OWN, "news.csv", zipped({"xl/workbook.xml": "<workbook/>"}),
        stops("news.csv"),
    ),
]  # fmt: skip
