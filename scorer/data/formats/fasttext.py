"""Read fastText's training files: one row a line, ``__label__World a text``.

As fastText does, every word that begins with ``__label__`` is taken for a label, wherever it stands in the line.
"""

import codecs
from collections.abc import Iterator

import pyarrow as pa

from scorer.data.filesystem import DataFile
from scorer.data.formats.base import Batches, Format, Inspected, Wanted
from scorer.data.formats.chunks import batches_of
from scorer.data.formats.encodings import UTF8, Utf8Check, encoding_notes, encoding_of, utf8_check
from scorer.data.formats.text_files import lines
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError
from scorer.text import short

PREFIX = "__label__"
COLUMNS = ("text", "label")
_BLANK = " \t\v\f\r\n\0"  # the characters that separate fastText's words
_MOST_WITHOUT = 0.05  # share of lines without a label, above which the file is taken for something else


def starts_with_label(file: DataFile) -> bool:
    """Return whether a file's first line begins with ``__label__``; only the beginning of the file is read.

    Raises:
        OSError: the file can't be read.
    """
    with file.stream() as stream:
        start: bytes = stream.read(64)
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else UTF8
    return start.decode(encoding, errors="replace").lstrip(_BLANK).startswith(PREFIX)


def _rows(file: DataFile, encoding: str, check: Utf8Check | None = None) -> Iterator[tuple[str, str | None, int]]:
    """Yield ``(text, label or None, number of the line)`` for every line that is not blank.

    Raises:
        SourceError: a line has several labels, or the first line has none.
    """
    first, ends = True, set[str]()
    for number, line in enumerate(lines(file, encoding, check), start=1):
        ends.add("\r" if line.endswith("\r") else "\n")
        if len(ends) > 1:
            raise SourceError(
                f"{file} line {number}: some lines end with a line feed, some with a carriage return alone, which may "
                r"be part of a text; replace the carriage returns: text.replace('\r\n', '\n').replace('\r', ' ')"
            )
        line = line.strip(_BLANK)
        if not line:
            continue
        label = None
        if line.startswith(PREFIX):
            word = _first_word(line)
            line, label = line[len(word) :].lstrip(_BLANK), word[len(PREFIX) :]
        elif first:
            raise SourceError(
                f"{file} line {number} does not begin with {PREFIX}: a .txt file is only read if it is fastText's, "
                f"with lines such as '{PREFIX}World a text'; save other data as CSV, JSON lines or Parquet"
            )
        first = False
        if PREFIX in line and (others := [word for word in line.split() if word.startswith(PREFIX)]):
            named = " and ".join(short(word) for word in ([PREFIX + label] if label else []) + others[:1])
            raise SourceError(
                f"{file} line {number} has several labels, or one after its text ({named}); a row has one label, at "
                "the start of its line: keep one, or leave the line out",
                quotes_data=True,
            )
        yield line, label, number


def _first_word(line: str) -> str:
    end = next((i for i, character in enumerate(line) if character in _BLANK), len(line))
    return line[:end]


def _inspect(file: DataFile, options: ReadOptions) -> Inspected:
    count = without = at = last = 0
    encoding = encoding_of(file, options)
    check = utf8_check(encoding)
    for _, label, number in _rows(file, encoding, check):
        count, last = count + 1, number
        if not label:
            without, at = without + 1, at or number
    if not count:
        raise SourceError(f"{file} is empty: it has no line that is not blank")
    if check is not None:
        check.refuse_other_encoding(file, last)
    if without > _MOST_WITHOUT * count:
        raise SourceError(
            f"{file}: {without:,} of {count:,} lines have no label, the first is line {at}; in fastText's format each "
            f"row is one line that begins with {PREFIX}, so replace the line breaks in texts by blanks"
        )
    notes = encoding_notes(file, encoding)
    notes += [f"{without:,} of {count:,} lines of {file.name} have no label (first: line {at})"] if without else []
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    return Inspected(schema, count, lines=last, notes=tuple(notes), how=encoding)


def _batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    rows = (((text, label), None, len(text)) for text, label, _ in _rows(file, found.how))

    def values(chunk: list[tuple[tuple[str, str | None], str | None, int]], name: str) -> list[str | None]:
        place = COLUMNS.index(name)
        return [record[place] or None for record, _, _ in chunk]

    return batches_of(rows, columns, values, wanted)


FASTTEXT = Format("fastText", _inspect, _batches, is_text=True, options=("encoding",))
