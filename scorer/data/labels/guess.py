"""class_columns(): find the columns that hold the model's classes, though no column is named like a label."""

from collections.abc import Iterable

import pyarrow as pa

from scorer.data.columns import is_label
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN, LabelMap
from scorer.data.labels.values import count_texts, single_labels
from scorer.data.source import Source
from scorer.errors import LabelError
from scorer.text import fold, listed

_ROWS = 1000


def class_columns(source: Source, used: Iterable[str], class_names: tuple[str, ...]) -> list[str]:
    """Return the columns, except the ``used`` ones, in which each label of the first rows is the name of a class.

    Raises:
        SourceError: the data can't be read.
    """
    by_name = {fold(name): i for i, name in enumerate(class_names)}
    label_map = LabelMap(class_names, by_name, by_number=False, how="by name", check_order=False)
    others = {*used, *source.unusable, *(source.joined.parts if source.joined is not None else ())}
    free = [field for field in source.schema if field.name not in others and is_label(field.type)]
    found = {field.name: set[int]() for field in free}
    for field in free:
        if names := source.label_names.get(field.name):
            found[field.name] = {by_name.get(fold(name), -1) for name in names}
    open_columns = [field for field in free if field.name not in source.label_names]
    for batch in source.read([field.name for field in open_columns], 0, _ROWS) if open_columns else ():
        for field in open_columns:
            found[field.name] |= _meanings(batch.column(field.name), field, label_map)
    return [name for name, indices in found.items() if indices and min(indices) >= 0]


def _meanings(column: pa.Array, field: pa.Field, label_map: LabelMap) -> set[int]:
    """Return the class indices of a column's values, and UNKNOWN if a value is no class."""
    try:
        texts = count_texts(single_labels(column, field.type, field.name))
    except LabelError:  # several labels a row
        return {UNKNOWN}
    return {label_map.index_of(text) for text in texts} - {NO_LABEL}


def refuse_unnamed_label(source: Source, used: Iterable[str], class_names: tuple[str, ...]) -> None:
    """Raise LabelError if columns hold the model's classes, though none is named like a label.

    Raises:
        LabelError: there are such columns.
    """
    if columns := class_columns(source, used, class_names):
        what = "the values of column" if len(columns) == 1 else "no column is named like a label, but the values of"
        raise LabelError(
            f"{what} {listed(columns, 120)} are the model's classes; name the column of the labels with "
            "`label_column`, or score without labels with `no_label=True`"
        )
