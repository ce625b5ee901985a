"""The kinds of data in memory: each makes its own from the same Arrow table."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from scorer.data.schemas import label_names


def _dataset(table: pa.Table) -> Any:
    import datasets

    names = label_names(table.schema).get("label")
    made = datasets.Dataset.from_list(table.to_pylist())
    return made if names is None else made.cast_column("label", datasets.ClassLabel(names=list(names)))


def _dataset_dict(table: pa.Table) -> Any:
    import datasets

    return datasets.DatasetDict({"train": _dataset(table)})


def _polars(table: pa.Table) -> Any:
    import polars

    return polars.from_arrow(table)


KINDS: dict[str, Callable[[pa.Table], Any]] = {
    "Table": lambda table: table,
    "RecordBatchReader": lambda table: table.to_reader(100),
    "Dataset": _dataset,
    "DatasetDict": _dataset_dict,
    "IterableDataset": lambda table: _dataset(table).to_iterable_dataset(),
    "pandas": lambda table: table.to_pandas(),
    "polars": _polars,
    "dicts": lambda table: table.to_pylist(),
}
