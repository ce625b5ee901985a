"""Open data in memory: a table, a Dataset, or a stream of rows of the `datasets` library."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from scorer.data.arrow import hash_table, is_text, readable
from scorer.data.hf_datasets import DatasetPart, Stream, count
from scorer.data.opening.tables import arrow_table, is_kind, is_table
from scorer.data.parts import Part, TablePart
from scorer.data.schemas import conform, label_names, usable
from scorer.data.source import Source
from scorer.data.spec import Spec, TableSpec
from scorer.errors import SourceError

_TAKEN = (
    "a path or address, or a list of them; a Dataset, IterableDataset or DatasetDict of `datasets`; a DataFrame of "
    "pandas or polars; a Table, RecordBatch or RecordBatchReader of pyarrow; or a list of dicts, one a row"
)


def from_memory(data: Any, name: str | None, config: str | None, split: str | None, streaming: bool) -> Source:
    """Open data in memory, called ``name`` in messages.

    Raises:
        TypeError: the data is of no kind that can be scored.
        SourceError: the data can't be read, or ``config``, ``split`` or ``streaming`` does not fit it.
    """
    if isinstance(data, list | tuple) and not data:
        raise SourceError("`data` is an empty list; give at least one row or path")
    given = _kind(data)
    is_hugging_face = is_kind(data, "datasets", "Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")
    if not is_hugging_face and not is_table(data):
        raise TypeError(f"`data` is of type {given}; it must be {_TAKEN}")
    for keyword, value in (("config", config), ("streaming", streaming or None)):
        if value is not None:
            raise SourceError(f"`{keyword}={value!r}` goes with the name of a data set, not a {given}; leave it out")
    if is_kind(data, "datasets", "DatasetDict", "IterableDatasetDict"):
        split, data = _pick(data, split, given)
    elif split is not None:
        raise SourceError(
            f"`split={split!r}` goes with a DatasetDict or a data set's name, not a {given}; leave it out"
        )
    if is_hugging_face:
        name = name or _dataset_name(data)
        spec = TableSpec(split=split or (None if data.split is None else str(data.split)))
        if is_kind(data, "datasets", "Dataset"):
            return from_dataset(_shown(data), name, spec)
        return from_stream(count(data, name), name, spec)
    return from_table(arrow_table(data), name or _table_name(data))


def from_table(table: pa.Table, name: str) -> Source:
    """Open a table."""
    schema, twins = usable(table.schema, name)
    if twins:
        table = table.select([i for i, column in enumerate(table.schema.names) if column not in twins])
    if (schema := readable(schema)) != table.schema:
        table = pa.Table.from_batches([conform(batch, schema, name) for batch in table.to_batches()], schema)
    return replace(_from_part(TablePart(table), table.schema, name, TableSpec()), unusable=twins)


def from_dataset(dataset: Any, name: str, spec: Spec) -> Source:
    """Open all columns of a Dataset in the order that it shows, without copying it."""
    # The class names are taken from the features, because the cached table may lack them.
    schema = readable(dataset.data.schema).with_metadata(dataset.features.arrow_schema.metadata)
    usable(schema, name)
    return _from_part(DatasetPart(name, dataset.with_format("arrow")), schema, name, spec)


def from_stream(found: Stream, name: str, spec: Spec) -> Source:
    """Open a stream of rows that have been counted."""
    usable(found.schema, name)
    return Source(
        name=name,
        spec=spec,
        schema=found.schema,
        num_rows=found.part.rows,
        fingerprint=found.fingerprint,
        label_names=label_names(found.schema),
        parts=[found.part],
        notes=found.notes,
    )


def _from_part(part: Part, schema: pa.Schema, name: str, spec: Spec) -> Source:
    batches = (conform(batch, schema, name) for _, batch in part.batches(schema.names, lambda start, stop: True))
    return Source(
        name=name,
        spec=spec,
        schema=schema,
        num_rows=part.rows,
        fingerprint=hash_table(schema, batches, part.rows),
        label_names=label_names(schema),
        parts=[part],
    )


def _kind(data: Any) -> str:
    """Return the data's class for a message, with its library; for a list, with the classes in it."""
    if isinstance(data, list | tuple):
        return f"{type(data).__name__} of {' and '.join(dict.fromkeys(map(_kind, data)))}"
    library, name = type(data).__module__.split(".")[0], type(data).__qualname__
    return name if library == "builtins" else f"{library}.{name}"


def _table_name(data: Any) -> str:
    if isinstance(data, pa.Table):
        return "table"
    return "list of dicts" if isinstance(data, list | tuple) else type(data).__name__


def _dataset_name(data: Any) -> str:
    """Return the name under which `datasets` loaded the data, or the name of its class."""
    # Data of files and generators has the name of the reader.
    found = data.info.dataset_name
    return found if found and found != data.info.builder_name else type(data).__name__


def _pick(splits: Mapping[str, Any], split: str | None, given: str) -> tuple[str, Any]:
    """Return the named split of a DatasetDict, or its only split, with its name."""
    if split is None and len(splits) == 1:
        return next(iter(splits.items()))
    if not splits:
        raise SourceError(f"the {given} is empty: it has no splits")
    if split is None or split not in splits:
        raise SourceError(f"the {given} has the splits {', '.join(splits)}; name one with `split`, got {split!r}")
    return split, splits[split]


def _shown(dataset: Any) -> Any:
    """Return a Dataset with only the columns that its format shows.

    Raises:
        SourceError: the format is a function, or hides every column of text.
    """
    if dataset.format["type"] == "custom":
        raise SourceError(
            "the Dataset has a transform, which may give other rows each time; pass `ds.with_format(None)` to leave it "
            "out, or `ds.with_format(None).map(transform, batched=True)` to apply it once"
        )
    columns = dataset.column_names if dataset.format["output_all_columns"] else dataset.format["columns"]
    if set(columns) == set(dataset.column_names):  # shuffle leaves them in another order
        columns = dataset.column_names
    kinds = dict(zip(dataset.data.schema.names, dataset.data.schema.types, strict=True))
    texts = [column for column, kind in kinds.items() if is_text(kind)]
    if texts and not set(texts) & set(columns):
        raise SourceError(
            f"the Dataset's format hides {', '.join(texts)} and shows no text; pass `ds.with_format(None)`",
            quotes_data=True,
        )
    return dataset if columns == dataset.column_names else dataset.with_format(None).select_columns(columns)
