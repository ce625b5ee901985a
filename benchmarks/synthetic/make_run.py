"""Make a synthetic finished run of any size, to measure the commands that read a run.

    python -m benchmarks.synthetic.make_run RUN --rows 10000000

The shards have the real schema; every row has the status ``ok`` and seeded random scores. There is no model and
no data, so only commands that read nothing but the scores work on it (``rank`` in Python, ``verify``, ``status``).
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import asdict

from scorer.data.spec import TableSpec
from scorer.files import file_sha256
from scorer.layout import SCORES
from scorer.pipeline.summary import summarise
from scorer.run.directory import RunDirectory
from scorer.run.manifest import (
    FORMAT,
    BundleInfo,
    DataInfo,
    LabelInfo,
    Manifest,
    RunColumns,
    RunOptions,
    ShardInfo,
    ShardNotes,
)
from scorer.run.schema import score_schema

CLASSES = ("World", "Sports", "Business", "Sci/Tech")


def make_run(path: Path, rows: int, shard_rows: int, seed: int = 0) -> RunDirectory:
    """Write a run of ``rows`` rows in shards of ``shard_rows``; the folder must not exist."""
    (path / SCORES).mkdir(parents=True)
    run = RunDirectory(path, _manifest(rows, shard_rows))
    for index in range(run.num_shards):
        start, stop = run.shard_range(index)
        file = run.shard_file(index)
        table = _shard(start, stop, np.random.default_rng((seed, index)))
        pq.write_table(table, file, compression="zstd")
        notes = ShardNotes(by_status={"ok": stop - start}, tokens=int(pc.sum(table["n_tokens"]).as_py()))
        run.manifest.shards[file.name] = ShardInfo(sha256=file_sha256(file), **asdict(notes))
    run.finish(summarise(run, kept_rows=0, seconds={"total": 1.0}, model_share=0.0))
    return run


def _shard(start: int, stop: int, random: np.random.Generator) -> pa.Table:
    n, classes = stop - start, len(CLASSES)
    z = random.normal(size=(n, classes)).astype(np.float32) * 4
    probs = np.exp(z - z.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    label, predicted = random.integers(0, classes, n), probs.argmax(axis=1)
    own = probs[np.arange(n), label]
    others = np.where(np.eye(classes, dtype=bool)[label], 0, probs).max(axis=1)
    tiny = np.finfo(np.float32).tiny
    columns = {
        "row": np.arange(start, stop),
        "id": pa.nulls(n, pa.string()),
        "label": label.astype(np.int32),
        "predicted": predicted.astype(np.int32),
        "loss": -np.log(np.maximum(own, tiny)),
        "label_prob": own,
        "top_prob": probs.max(axis=1),
        "margin": own - others,
        "entropy": -(probs * np.log(np.maximum(probs, tiny))).sum(axis=1),
        "n_tokens": random.integers(5, 128, n).astype(np.int32),
        "truncated": np.zeros(n, bool),
        "status": pa.array(["ok"]).take(pa.array(np.zeros(n, np.int64))),
        "precision": pa.array(["fp32"]).take(pa.array(np.zeros(n, np.int64))),
        "int8_loss": pa.nulls(n, pa.float32()),
        "probs": pa.FixedSizeListArray.from_arrays(pa.array(probs.reshape(-1)), classes),
    }
    schema = score_schema(CLASSES)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def _manifest(rows: int, shard_rows: int) -> Manifest:
    return Manifest(
        format=FORMAT,
        bundle=BundleInfo(path="/nowhere", sha256="0" * 64, model="synthetic", class_names=CLASSES),
        data=DataInfo(name="synthetic", fingerprint="0" * 64, rows=rows, spec=TableSpec()),
        columns=RunColumns(text="text", text_pair=None, label="label", id=None),
        labels=LabelInfo(how="by class name", map={name.casefold(): index for index, name in enumerate(CLASSES)}),
        options=RunOptions(precision="fp32", shard_rows=shard_rows, batch_tokens=512),
        shards={},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shard-rows", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = make_run(arguments.run, arguments.rows, arguments.shard_rows, arguments.seed)
    print(f"{run.num_rows:,} rows in {run.num_shards:,} shards")


if __name__ == "__main__":
    main()
