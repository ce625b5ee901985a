"""Read JSON files: one object a line, an array of objects, or objects over several lines."""

import math
from collections.abc import Iterator
from itertools import islice
from json import dumps
from typing import Any, NamedTuple

import pyarrow as pa

from scorer.data.annotations.base import NotARow, Shape, Tally, named
from scorer.data.annotations.recognise import light, shape_of
from scorer.data.annotations.spacy import from_pair
from scorer.data.filesystem import DataFile
from scorer.data.formats.base import Batches, Format, Inspected, Wanted
from scorer.data.formats.chunks import batches_of
from scorer.data.formats.encodings import Utf8Check, encoding_notes, encoding_of, utf8_check
from scorer.data.formats.json_shapes import refuse_table
from scorer.data.formats.json_values import ARRAY, LINES, json_values, layout_of
from scorer.data.formats.tally import LabelTally
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError
from scorer.text import is_utf8

_SAMPLE = 1000
_ONE_A_LINE = "write one object a line (pandas: to_json(orient='records', lines=True))"


class _How(NamedTuple):
    """How a file is read."""

    layout: str
    encoding: str
    shape: Shape | None = None
    annotators: str | None = None


def _shaped(
    file: DataFile, how: _How, check: Utf8Check | None = None, tally: Tally | None = None
) -> Iterator[tuple[dict[str, Any], str | None, int]]:
    """Yield what ``_rows`` yields, with the records of an annotation tool as plain rows."""
    shape = how.shape
    for number, (record, problem, size) in enumerate(_rows(file, how, check), start=1):
        if shape is None or problem is not None:
            yield record, problem, size
            continue
        try:
            with named(file.name):
                row = shape.row(record, how.annotators, tally)
            yield row, None, size
        except NotARow as error:
            yield {}, f"{file.name} record {number}: {error}", size


def _rows(
    file: DataFile, how: _How, check: Utf8Check | None = None
) -> Iterator[tuple[dict[str, Any], str | None, int]]:
    """Yield ``(record, problem or None, characters)`` for every value.

    Raises:
        SourceError: the first value is no object, or the rest of an array can't be read.
    """
    for number, found in enumerate(json_values(file, how.layout, how.encoding, check)):
        value, problem, size, line = found
        value = from_pair(value) or value
        if isinstance(value, dict):
            yield value, None, size
            continue
        if problem is None:
            problem = f"a {type(value).__name__}, not an object"
            if number == 0:
                raise SourceError(f"{file}: its first value is {problem}; {_ONE_A_LINE}")
        place = f"line {line}" if how.layout == LINES else f"value {number + 1}, line {line}"
        yield {}, f"{file.name} {place}: {problem}", size


def _inspect(file: DataFile, options: ReadOptions) -> Inspected:
    encoding = encoding_of(file, options)
    how = _How(layout_of(file, encoding), encoding)
    first = [light(record) for record, _, _ in islice(_rows(file, how), _SAMPLE)]
    with named(file.name):
        shape = shape_of(first)
    how = how._replace(shape=shape, annotators=options.annotators)
    check, tally = utf8_check(encoding), Tally()
    rows = _shaped(file, how, check, tally)
    # Texts are replaced by empty ones: types don't depend on them, and a thousand texts may be larger than memory.
    sample: list[dict[str, Any]] = []
    found: dict[str, None] = {}
    labels = LabelTally[str]()
    count = 0
    for record, _, _ in rows:
        if count < _SAMPLE:
            sample.append({name: "" if isinstance(value, str) else value for name, value in record.items()})
        count += 1
        if not found.keys() >= record.keys():  # a name may occur late; types are guessed from the sample only
            found.update(dict.fromkeys(record))
            for name in record:
                labels.watch(name, name)
        for name in labels.watched:
            value = record.get(name)
            if isinstance(value, list):
                labels.drop(name)
            elif text := _as_text(value):
                labels.add(name, text)
    if count == 1 and how.layout != ARRAY and shape is None:
        refuse_table(file, next(_rows(file, how))[0])
    if check is not None:
        check.refuse_other_encoding(file, count)
    names = [name for name in found if is_utf8(name)]
    if sample and not names:
        raise SourceError(f"{file}: none of its first {len(sample)} values is an object with a key; {_ONE_A_LINE}")
    notes = encoding_notes(file, encoding)
    if how.layout == ARRAY:
        notes.append(f"{file.name}: one JSON array")
    if shape is not None:
        with named(file.name):
            notes.append(f"{file.name}: {shape.note(tally)}")
    schema = pa.schema([(name, _infer([record.get(name) for record in sample])) for name in names])
    return Inspected(schema, count, notes=tuple(notes), counts=labels.counts(), how=how)


def _infer(values: list[Any]) -> pa.DataType:
    plain = [None if _is_missing(value) else value for value in values]
    if any(isinstance(value, str) for value in plain):
        return pa.string()  # a number among texts is a text too
    try:
        return pa.infer_type(plain)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return pa.string()


def _batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    """Return batches of columns as text; values that aren't text are JSON, so that a mix of types can't fail."""

    def values(chunk: list[tuple[dict[str, Any], str | None, int]], name: str) -> list[str | None]:
        return [_as_text(record.get(name)) for record, _, _ in chunk]

    return batches_of(_shaped(file, found.how), columns, values, wanted)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else dumps(value, ensure_ascii=False)


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


JSON = Format("JSON", _inspect, _batches, is_text=True, options=("encoding", "annotators"))
