"""Read a label column, whatever its type, as texts: the different labels, and which one each row has."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer.data.arrow import is_list, is_text, valid_text
from scorer.errors import LabelError
from scorer.text import listed


def single_labels(column: pa.Array, kind: pa.DataType, name: str, first_row: int = 0) -> pa.Array:
    """Return labels [n] with the element of each list in place of the list; null for an empty list.

    ``kind`` is the type of the label column ``name`` in the data; in text formats ``column`` has lists as JSON.
    ``first_row`` is the number in the data of the column's first row.

    Raises:
        LabelError: a list has several elements; the message names the row.
    """
    if not is_list(kind):
        return column
    if is_text(column.type):
        texts, position = encoded(column)
        lists = [json_elements(text) for text in texts]
        lengths = np.array([len(values) for values in lists], dtype=np.int64)[position]
        _refuse_several(lengths, lambda row: lists[position[row]], name, first_row)
        elements = [values[0] if values else None for values in lists]
        return pa.array([elements[i] for i in position], pa.string())
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    _refuse_several(lengths, lambda row: column[row].as_py(), name, first_row)
    place = np.cumsum(lengths) - 1
    return column.flatten().take(pa.array(np.maximum(place, 0), mask=lengths == 0))


def encoded(labels: pa.Array) -> tuple[list[str | None], NDArray[np.int64]]:
    """Return the different labels as texts, the last one None, and the position [n] of each row's label in them.

    A decimal that is a whole number becomes that number; bytes that aren't UTF-8 become U+FFFD.
    """
    array = labels if pa.types.is_dictionary(labels.type) else labels.dictionary_encode()
    texts = [_text(value) for value in valid_text(array.dictionary).to_pylist()]
    position = array.indices.cast(pa.int64()).fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return [*texts, None], position


def count_texts(labels: pa.Array) -> Counter[str]:
    """Return how often each label occurs, by its text; nulls are left out."""
    texts, position = encoded(labels)
    counts = np.bincount(position, minlength=len(texts))
    found = Counter[str]()
    for text, count in zip(texts, counts.tolist(), strict=True):
        if text is not None and count:
            found[text] += count
    return found


def json_elements(text: str | None) -> list[str | None]:
    """Return the elements of a list written as JSON; a text that is no list is its own element."""
    if text is None or not text.startswith("["):
        return [] if text is None else [text]
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    words = (value if value is None or isinstance(value, str) else json.dumps(value) for value in values)
    return list(words)


def _text(value: Any) -> str | None:
    if value is None or value != value:  # NaN is equal to nothing
        return None
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    return str(value)


def _refuse_several(lengths: NDArray[np.int64], values: Any, name: str, first_row: int) -> None:
    several = np.flatnonzero(lengths > 1)
    if len(several):
        row = int(several[0])
        raise LabelError(
            f"row {first_row + row}, counted from 0, has {lengths[row]} labels in column {listed([name], 40)} "
            f"({listed(values(row), 50)}); lossrank takes one label a row: leave one in each list, name another "
            "column with `label_column`, or score without labels with `no_label=True`"
        )
