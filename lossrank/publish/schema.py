"""Make the schema of a corrected data set: the data's columns with their metadata, and the new columns."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lossrank.publish.spelling import Spelling
from scorer import RunDirectory, Source

_HUGGINGFACE = b"huggingface"
_REVIEWERS = {
    "label_annotator": pa.string(),
    "label_source": pa.string(),
    "label_decided_at": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class NewColumns:
    """The names of the new and the corrected columns.

    ``label`` is the corrected column. ``original`` holds the given labels; it is None if the data has no labels.
    ``reviewers`` are the columns with annotator, source and time; it is empty if they were not requested.
    """

    label: str
    original: str | None
    status: str
    reviewers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def new_columns(run: RunDirectory, source: Source, *, reviewers: bool) -> NewColumns:
    """Return names for the new columns; if the data has a column with one of the names, all get a number at the end."""
    label = run.columns.label
    wanted = ["original_label" if label else "label", "label_status", *(_REVIEWERS if reviewers else ())]
    taken = [name for name in wanted if name in source.schema.names]
    names, number = wanted, 1
    while any(name in source.schema.names for name in names):
        number += 1
        names = [f"{name}_{number}" for name in wanted]
    notes = (
        (f"the data already has columns {', '.join(taken)}, so the new ones are {', '.join(names)}",) if taken else ()
    )
    return NewColumns(label or names[0], names[0] if label else None, names[1], tuple(names[2:]), notes)


def corrected_schema(
    schema: pa.Schema, types: dict[str, pa.DataType], spelling: Spelling, columns: NewColumns, *, features: bool
) -> pa.Schema:
    """Return the schema of the corrected data set; if ``features`` is true, the metadata of ``schema`` is kept.

    In the metadata of `datasets`, the label column's class names stay, and added classes follow them.
    """
    fields = [field.with_type(types[field.name]) for field in schema]
    at = next((i for i, field in enumerate(fields) if field.name == columns.label), None)
    old = spelling.type if at is None else fields[at].type
    if at is None:
        fields.append(pa.field(columns.label, spelling.type))
    else:
        fields[at] = fields[at].with_type(spelling.type)
    added = {columns.original: old} if columns.original else {}
    added |= {columns.status: pa.string()}
    added |= dict(zip(columns.reviewers, _REVIEWERS.values(), strict=False))
    fields += [pa.field(name, kind) for name, kind in added.items()]
    metadata = dict(schema.metadata or {}) if features else {}
    if _HUGGINGFACE in metadata:
        metadata[_HUGGINGFACE] = _with_features(metadata[_HUGGINGFACE], spelling, columns, added)
    return pa.schema(fields, metadata=metadata or None)


def _with_features(text: bytes, spelling: Spelling, columns: NewColumns, added: dict[str, pa.DataType]) -> bytes:
    """Return the metadata of `datasets` with the new columns added; metadata in an unknown form is unchanged."""
    try:
        found = json.loads(text)
        features: dict[str, Any] = found["info"]["features"]
        before = features.get(columns.label)
        for name, kind in added.items():
            features[name] = {"dtype": dtype_of(kind), "_type": "Value"}
        if columns.original and before is not None:
            features[columns.original] = before
        if spelling.class_labels is not None and before is not None:
            features[columns.label] = {**before, "names": list(spelling.class_labels)}
            if "num_classes" in before:
                features[columns.label]["num_classes"] = len(spelling.class_labels)
        elif before is None or before.get("dtype") == "null":
            features[columns.label] = {"dtype": dtype_of(spelling.type), "_type": "Value"}
    except (AttributeError, KeyError, TypeError, ValueError):
        return text
    return json.dumps(found).encode()


def dtype_of(kind: pa.DataType) -> str:
    """Return the dtype name that `datasets` uses for a plain Arrow type."""
    named = {pa.float64(): "float64", pa.float32(): "float32", pa.float16(): "float16", pa.bool_(): "bool"}
    return named.get(kind) or str(kind).replace("date32[day]", "date32").replace("date64[ms]", "date64")
