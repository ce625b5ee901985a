"""The column types that the files of a data set have in common, and the class names in their metadata."""

import contextlib
import json
from collections import Counter
from typing import Any

import pyarrow as pa

from scorer.data.arrow import _without_runs, decoded, is_text
from scorer.data.filesystem import DataFile
from scorer.data.formats.base import PROBLEM
from scorer.data.formats.known import is_text_format
from scorer.errors import SourceError
from scorer.text import short


def usable(schema: pa.Schema, name: str) -> tuple[pa.Schema, dict[str, str]]:
    """Return a schema without columns that share their name, and why each such name can't be used, as a clause.

    Raises:
        SourceError: a column has the reserved name of the column for unreadable lines, or no column has its own name.
    """
    if PROBLEM in schema.names:
        raise SourceError(f"{name} has a column named {PROBLEM}, a name that lossrank reserves; rename the column")
    counts = Counter(schema.names)
    if len(counts) == len(schema.names):
        return schema, {}
    kept = [field for field in schema if counts[field.name] == 1]
    if not kept:
        raise SourceError(f"{short(schema.names[0])!r} can't be told apart: {several(name)}", quotes_data=True)
    return pa.schema(kept, schema.metadata), {twin: several(name) for twin, count in counts.items() if count > 1}


def several(name: str) -> str:
    """Return why a column can't be used whose name several columns of ``name`` have."""
    return f"several columns of {name} have this name; rename one of them"


def joined(schema: pa.Schema, found: pa.Schema, file: DataFile, first: DataFile) -> pa.Schema:
    """Return a schema for two files of one data set, in which each column has a type that fits both files' values.

    It has the columns of both files; a column that only one file has keeps its type.

    Raises:
        SourceError: a column has no such type, or the files have different class names.
    """
    here, there = label_names(found), label_names(schema)
    fields = []
    for field in schema:
        name = field.name
        if name not in found.names:
            fields.append(field)
            continue
        kind = found.field(name).type
        if here.get(name) and there.get(name) and here[name] != there[name]:
            raise SourceError(
                f"{file} has the classes {', '.join(here[name])} in {name!r}; {first.name} has "
                f"{', '.join(there[name])}; give all files the same classes",
                quotes_data=True,
            )
        both = _common(name, field.type, kind)
        if both is None and not is_text_format(file.name):
            raise SourceError(
                f"{name!r} has type {kind} in {file}, but {field.type} in {first.name}; give the column one type",
                quotes_data=True,
            )
        fields.append(both or pa.field(name, pa.string()))
    fields += [field for field in found if field.name not in schema.names]
    return pa.schema(fields, metadata=schema.metadata)


def _common(name: str, first: pa.DataType, second: pa.DataType) -> pa.Field | None:
    """Return a column whose type fits values of both types, decoded if necessary; None if no type does."""
    both = [pa.schema([(name, first)]), pa.schema([(name, second)])]
    for schemas in (both, list(map(decoded, both))):
        with contextlib.suppress(pa.ArrowException):
            return pa.unify_schemas(schemas, promote_options="permissive").field(0)
    return None


def conform(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    """Cast a batch to the types of the whole data set; batches of text formats stay text.

    Raises:
        SourceError: a value does not fit the type that its column has in the other files.
    """
    if PROBLEM in batch.schema.names:
        return batch
    wanted = pa.schema([schema.field(column) for column in batch.schema.names])
    if batch.schema.equals(wanted):
        return batch
    try:
        plain = [
            _without_runs(column) if pa.types.is_run_end_encoded(column.type) else column for column in batch.columns
        ]
        return pa.RecordBatch.from_arrays(plain, names=batch.schema.names).cast(wanted)
    except pa.ArrowException as error:
        raise SourceError(
            f"{name} has a column with types that don't fit together ({error}); give the column one type in all data",
            quotes_data=True,
        ) from error


def label_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the class names of every ClassLabel column, from the metadata that `datasets` leaves in Parquet and Arrow.

    A list of ClassLabels has the names of its elements. A column that pandas or pyarrow has dropped may still be in the
    metadata; it is left out.
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        single = {column: _element(feature) for column, feature in features.items() if column in schema.names}
        return {
            column: tuple(feature["names"])
            for column, feature in single.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _element(feature: Any) -> Any:
    """Return the feature of a list's elements; any other feature is returned as it is."""
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "LargeList", "List"):
        return feature.get("feature")
    return feature[0] if isinstance(feature, list) and len(feature) == 1 else feature


def restore_types(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Parse the JSON of columns whose type in ``schema`` isn't text; a column that can't be parsed stays text."""
    for i, name in enumerate(table.column_names):
        wanted = schema.field(name).type
        if not is_text(wanted):
            with contextlib.suppress(ValueError, OverflowError, pa.ArrowException):
                values = [None if text is None else json.loads(text) for text in table.column(i).to_pylist()]
                table = table.set_column(i, name, pa.array(values))
                # Gives the same type whichever rows are taken; a cast of nested values could drop some of them.
                if not pa.types.is_nested(wanted) or values.count(None) == len(values):
                    table = table.set_column(i, name, table.column(i).cast(wanted))
    return table
