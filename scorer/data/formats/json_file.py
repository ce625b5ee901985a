"""Read JSON lines files."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from scorer.data.annotations.base import NotARow, Shape, Tally, named
from scorer.data.annotations.recognise import light, shape_of
from scorer.data.annotations.spacy import from_pair
from scorer.data.arrow import text_array
from scorer.data.filesystem import DataFile
from scorer.data.formats.base import NO_END, Batches, Format, Inspected, Wanted
from scorer.data.formats.chunks import chunk_of, with_problems
from scorer.data.formats.text_files import lines
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError
from scorer.text import is_utf8

_SAMPLE = 1000


def _shaped(
    file: DataFile, shape: Shape | None, annotators: str | None, tally: Tally | None = None
) -> Iterator[tuple[dict[str, Any], str | None, int]]:
    """Yield what ``_rows`` yields, with the records of an annotation tool as plain rows."""
    for number, (record, problem, size) in enumerate(_rows(file), start=1):
        if shape is None or problem is not None:
            yield record, problem, size
            continue
        try:
            with named(file.name):
                row = shape.row(record, annotators, tally)
            yield row, None, size
        except NotARow as error:
            yield {}, f"{file.name} record {number}: {error}", size


def _rows(file: DataFile) -> Iterator[tuple[dict[str, Any], str | None, int]]:
    """Yield ``(record, problem or None, characters in the line)`` for every line that is not blank."""
    for number, line in enumerate(lines(file), start=1):
        if line.isspace():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield {}, f"{file.name} line {number}: not JSON ({error})", len(line)
            continue
        record = from_pair(record) or record
        if isinstance(record, dict):
            yield record, None, len(line)
        elif number == 1:
            raise SourceError(
                f"{file} is not JSON lines: line 1 is a {type(record).__name__}, not an object; write one object a "
                "line (pandas: to_json(orient='records', lines=True))"
            )
        else:
            yield {}, f"{file.name} line {number}: a {type(record).__name__}, not an object", len(line)


def _inspect(file: DataFile, options: ReadOptions) -> Inspected:
    with named(file.name):
        shape = shape_of([light(record) for record, _, _ in islice(_rows(file), _SAMPLE)])
    tally = Tally()
    rows = _shaped(file, shape, options.annotators, tally)
    # Texts are replaced by empty ones: types don't depend on them, and a thousand texts may be larger than memory.
    sample = [
        {name: "" if isinstance(value, str) else value for name, value in record.items()}
        for record, _, _ in islice(rows, _SAMPLE)
    ]
    found = dict.fromkeys(name for record in sample for name in record)
    count = len(sample)
    for record, _, _ in rows:  # a name may occur late; types are guessed from the sample only
        found.update(dict.fromkeys(record))
        count += 1
    names = [name for name in found if is_utf8(name)]
    if sample and not names:
        raise SourceError(
            f"{file} is not JSON lines: none of its first {len(sample)} lines is an object with a key; write "
            "one object a line (pandas: to_json(orient='records', lines=True))"
        )
    schema = pa.schema([(name, _infer([record.get(name) for record in sample])) for name in names])
    with named(file.name):
        notes = () if shape is None else (f"{file.name}: {shape.note(tally)}",)
    return Inspected(schema, count, notes=notes, how=(shape, options.annotators))


def _infer(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pa.string()  # surrogates of invalid UTF-8 would make pyarrow raise
    try:
        return pa.infer_type(values)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return pa.string()


def _batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    """Yield every column as text, and values that aren't text as JSON, so that a mix of types can't fail."""
    rows = _shaped(file, *found.how)
    start = 0
    while wanted(start, NO_END) and (chunk := chunk_of(rows)):
        if wanted(start, start + len(chunk)):
            arrays = [text_array([_as_text(record.get(name)) for record, _, _ in chunk]) for name in columns]
            yield start, with_problems(arrays, columns, [problem for _, problem, _ in chunk])
        start += len(chunk)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


JSON = Format("JSON lines", _inspect, _batches, is_text=True)
