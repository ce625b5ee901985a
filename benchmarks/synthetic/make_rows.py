"""Make a data set of any number of rows with AG News' lengths and words.

    python -m benchmarks.synthetic.make_rows FOLDER

A row is the first half of one demo text and the second half of another demo text of the same class. So lengths and
classes are those of the demo, and hardly any row is a duplicate. The same seed gives the same files.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cli.commands.demo import DATA

ROWS, FILES, SEED = 1_000_000, 20, 0


def make_rows(folder: Path, rows: int = ROWS, files: int = FILES, seed: int = SEED) -> None:
    """Write ``rows`` rows to ``files`` Parquet files of nearly equal length, with the demo's schema.

    Raises:
        FileExistsError: the folder exists.
    """
    demo = pq.read_table(DATA)
    halves = [(words[: len(words) // 2], words[len(words) // 2 :]) for words in map(str.split, _column(demo, "text"))]
    starts, ends = ([" ".join(half[i]) for half in halves] for i in (0, 1))
    labels = np.array(_column(demo, "label"))
    by_label = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    cuts = np.linspace(0, rows, files + 1).astype(int)
    for i, count in enumerate(np.diff(cuts).tolist()):
        first = random.integers(0, len(labels), size=count)
        second = np.array([random.choice(by_label[labels[row]]) for row in first])
        texts = [f"{starts[a]} {ends[b]}" for a, b in zip(first.tolist(), second.tolist(), strict=True)]
        columns = {"text": pa.array(texts), "label": pa.array(labels[first])}
        schema = pa.schema([demo.schema.field(name) for name in columns], metadata=demo.schema.metadata)
        table = pa.table({name: values.cast(schema.field(name).type) for name, values in columns.items()})
        pq.write_table(table.cast(schema), folder / f"part-{i:03}.parquet")


def _column(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table[name].to_pylist()
    return values


def main() -> None:
    """Make the rows that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic.make_rows", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    make_rows(options.folder, options.rows, options.files, options.seed)


if __name__ == "__main__":
    main()
