"""The columns of a corrected data set: those of the data with their metadata, and the new ones."""

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
    """Names in the corrected data set.

    ``label`` is the corrected column; ``original`` has it as it was, None where the data have no labels. ``reviewers``
    are who, where and when, or nothing.
    """

    label: str
    original: str | None
    status: str
    reviewers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def new_columns(run: RunDirectory, source: Source, *, reviewers: bool) -> NewColumns:
    """Name the new columns so that none of the data's is hidden: with a number where one of the names is taken."""
    label = run.columns.label
    wanted = ["original_label" if label else "label", "label_status", *(_REVIEWERS if reviewers else ())]
    taken = [name for name in wanted if name in source.schema.names]
    names, number = wanted, 1
    while any(name in source.schema.names for name in names):
        number += 1
        names = [f"{name}_{number}" for name in wanted]
    notes = (f"the data have {', '.join(taken)} already: what is new is in {', '.join(names)}",) if taken else ()
    return NewColumns(label or names[0], names[0] if label else None, names[1], tuple(names[2:]), notes)


def corrected_schema(
    schema: pa.Schema, types: dict[str, pa.DataType], spelling: Spelling, columns: NewColumns, *, features: bool
) -> pa.Schema:
    """Return the schema of the corrected data set; ``features`` says that the data's own metadata are kept.

    The class names that `datasets` keeps in the metadata stay what they are; the label column's get the added ones.
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
    """Return the metadata of `datasets` with the new columns; metadata of another form as they are."""
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
    """Return the name that `datasets` has for a plain type."""
    named = {pa.float64(): "float64", pa.float32(): "float32", pa.float16(): "float16", pa.bool_(): "bool"}
    return named.get(kind) or str(kind).replace("date32[day]", "date32").replace("date64[ms]", "date64")
