"""Read the data once to learn how labels are spelled, and which types the columns of a CSV or JSON-lines file have."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from scorer import RunDirectory, Source
from scorer.data.arrow import Pieces, valid_text
from scorer.data.formats.known import is_text_format
from scorer.data.labels.values import single_labels
from scorer.data.parts import FilePart

_Form: TypeAlias = tuple[pa.DataType, str]

# A column gets a type if every value matches its pattern. A value such as 007 matches none, so its column stays text.
_WHOLE, _FRACTION, _SMALL = r"-?(0|[1-9][0-9]{0,15})", r"\.[0-9]*[1-9]", r"-?[1-9](\.[0-9]*[1-9])?e-[0-9]{1,3}"
_LARGE = _SMALL.replace("e-", r"e\+")
_FORMS: tuple[_Form, ...] = (
    (pa.int64(), r"^(0|-?[1-9][0-9]{0,18})$"),
    (pa.bool_(), r"^(?i:true|false)$"),
)
# In a column of floats, whole numbers are all written 1 or all 1.0. A column with 1.10 stays text: as a version number
# it differs from 1.1.
_CSV_FORMS: tuple[_Form, ...] = (
    *_FORMS,
    (pa.float64(), f"^({_WHOLE}({_FRACTION})?|{_SMALL}|nan|NaN)$"),
    (pa.float64(), f"^({_WHOLE}({_FRACTION}|\\.0)|{_SMALL}|nan|NaN)$"),
)
# JSON values that are not strings are read as Python writes them.
_JSON_FORMS: tuple[_Form, ...] = (
    *_FORMS,
    (pa.float64(), f"^({_WHOLE}({_FRACTION}|\\.0)?|{_SMALL}|{_LARGE}|NaN|-?Infinity)$"),
)
_ROUNDED = "e|.{16}"  # only these can lose digits as a double: a number of at most 15 digits keeps them all


@dataclass(frozen=True)
class Survey:
    """The result of `survey`.

    ``types`` are the columns' types in the order of the data. ``spellings`` maps each class index to the label column's
    values for that class, with their counts. ``dictionary`` has the values of a dictionary-encoded label column, None
    for any other column: the values of the first part in their order, then the values that later parts add. ``notes``
    report the types found for the columns of a text format.
    """

    types: dict[str, pa.DataType]
    spellings: dict[int, Counter[object]]
    dictionary: pa.Array | None
    notes: tuple[str, ...]


def survey(run: RunDirectory, source: Source) -> Survey:
    """Read the label column, or all columns of a text format, and return their types and the classes' spellings.

    Raises:
        SourceError: the data can't be read.
        RunError: a shard can't be read.
    """
    label = run.columns.label
    forms = _CSV_FORMS if _is_csv(source) else _JSON_FORMS
    open_columns = _open_columns(source)
    names = source.schema.names if open_columns else [label] if label else []
    guesses = {name: list(forms) for name in open_columns}
    has_value = dict.fromkeys(open_columns, False)
    spellings: dict[int, Counter[object]] = {}
    types = {field.name: field.type for field in source.schema}
    dictionary = _no_values(types[label]) if label else None
    given = Pieces(run.batches(["label"]))
    for batch in source.read(names) if names else ():
        classes = given.take(len(batch))
        if label:
            kind = source.schema.field(label).type
            _count(spellings, single_labels(batch.column(label), kind, label), classes.column("label"))
            if dictionary is not None:
                dictionary = joined_values(dictionary, valid_text(batch.column(label).dictionary))
        for name, left in guesses.items():
            values = batch.column(name).drop_null()
            has_value[name] |= len(values) > 0
            left[:] = [form for form in left if _all_are(values, form)]
    if is_text_source(source):
        found = {name: left[0][0] for name, left in guesses.items() if left and has_value[name]}
        types = {name: found.get(name, pa.string()) for name in types}
    if label and dictionary is not None:
        types[label] = dictionary_type(types[label], dictionary)
    return Survey(types, spellings, dictionary, _notes(source, types))


def joined_values(known: pa.Array, found: pa.Array) -> pa.Array:
    """Return the values of the dictionary ``known``, followed by the values that only ``found`` has."""
    return known if known.equals(found) else pa.concat_arrays([known, found]).unique().drop_null()


def dictionary_type(kind: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return a dictionary type for these values: ``kind``, or wider indices if those of ``kind`` are too narrow."""
    try:
        pa.scalar(max(len(values) - 1, 0), kind.index_type)
    except (pa.ArrowInvalid, OverflowError):
        return pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
    return kind


def is_text_source(source: Source) -> bool:
    """Return whether the data is in a text format, whose columns are read as text."""
    return any(isinstance(part, FilePart) and is_text_format(part.file.name) for part in source.parts)


def _is_csv(source: Source) -> bool:
    return any(isinstance(part, FilePart) and part.format.name == "CSV" for part in source.parts)


def _no_values(kind: pa.DataType) -> pa.Array | None:
    """Return an empty array of a dictionary type's values, None for any other type."""
    return pa.array([], kind.value_type) if pa.types.is_dictionary(kind) else None


def _open_columns(source: Source) -> list[str]:
    """Return the columns whose types must be inferred from their values.

    A CSV file has no types, so all its columns are inferred. In a JSON-lines file a column of strings is text, even if
    they look like numbers, and a nested column stays JSON text.
    """
    if not is_text_source(source):
        return []
    if not _is_csv(source):
        return [field.name for field in source.schema if not (pa.types.is_string(field.type) or _is_nested(field.type))]
    return list(source.schema.names)


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind))


def _all_are(values: pa.Array, form: _Form) -> bool:
    kind, pattern = form
    if not pc.all(pc.match_substring_regex(values, pattern), min_count=0).as_py():
        return False
    try:
        values.cast(kind)
    except pa.ArrowInvalid:  # a whole number of 19 digits may be too large
        return False
    if kind != pa.float64():
        return True
    return all(map(_is_exact, values.filter(pc.match_substring_regex(values, _ROUNDED)).to_pylist()))


def _is_exact(number: str) -> bool:
    """Return whether a number keeps its value if it is read as a double and written again, so that no digit is lost."""
    shown = repr(float(number))
    return shown == number or Decimal(shown) == Decimal(number)


def _count(spellings: dict[int, Counter[object]], values: pa.Array, classes: pa.ChunkedArray) -> None:
    """Add to ``spellings`` the label values of the rows that have a class."""
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    words = valid_text(encoded.dictionary).to_pylist()
    pairs = pa.table({"word": encoded.indices, "class": classes}).drop_null()
    for found in pairs.group_by(["word", "class"]).aggregate([([], "count_all")]).to_pylist():
        spellings.setdefault(int(found["class"]), Counter())[words[found["word"]]] += int(found["count_all"])


def _notes(source: Source, types: dict[str, pa.DataType]) -> tuple[str, ...]:
    if not is_text_source(source):
        return ()
    typed = ", ".join(f"{name} {kind}" for name, kind in types.items() if not pa.types.is_string(kind))
    nested = ", ".join(field.name for field in source.schema if _is_nested(field.type))
    texts = ", ".join(
        name
        for name, kind in types.items()
        if pa.types.is_string(kind) and not _is_nested(source.schema.field(name).type)
    )
    notes = [f"column types, by all values: {typed or 'no numbers'}; text: {texts or 'none'}"]
    if nested:
        notes.append(f"nested columns stay JSON text: {nested}")
    return tuple(notes)
