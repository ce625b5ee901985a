"""What these tests share."""

import gzip
import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorer import (
    Source,
)

N = 600


TABLE = pa.table({"text": [f"w{i} number {i}" for i in range(N)], "label": [i % 4 for i in range(N)]})


Bucket = Callable[..., str]


def parquet(table: pa.Table = TABLE, rows: int = 100) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=rows, store_schema=False)
    return bytes(sink.getvalue())


def jsonl(table: pa.Table = TABLE) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()


def csv(table: pa.Table = TABLE) -> bytes:
    return ("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in table.to_pylist())).encode()


def arrow(table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=70)
    return bytes(sink.getvalue())


FILES = {
    "a.parquet": parquet(),
    "a.csv": csv(),
    "a.csv.gz": gzip.compress(csv()),
    "a.jsonl": jsonl(),
    "a.jsonl.zst": pa.compress(jsonl(), "zstd", asbytes=True),
    "a.arrow": arrow(),
}


def texts(source: Source) -> list[str]:
    return [text for batch in source.read(["text"]) for text in batch["text"].to_pylist()]


def same_rows(source: Source) -> None:
    assert source.num_rows == N
    assert texts(source) == TABLE["text"].to_pylist()
    assert (
        source.take(np.array([N - 1, 0, 77, 77]))["text"].to_pylist()
        == TABLE["text"].take([N - 1, 0, 77, 77]).to_pylist()
    )
    assert [row for batch in source.read(["label"], 130, 260) for row in map(int, batch["label"].to_pylist())] == [
        i % 4 for i in range(130, 260)
    ]
