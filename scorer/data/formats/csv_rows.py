"""csv_rows(): read the records of a CSV file in a known dialect."""

import csv
import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Literal, NamedTuple, TypeAlias

from scorer.data.filesystem import DataFile
from scorer.data.formats.encodings import UTF8, Utf8Check
from scorer.data.formats.text_files import BLOCK, MOST_BYTES, MOST_LINES, RecordBytes, UnclosedQuoteError, open_text

# Added after a CSV file's last line: after an open quote it is part of the last record, which shows that the quote is
# never closed. It is random, so that no file contains it, and has no character that may be a delimiter.
_END = "".join(chr(0xE000 + byte) for byte in secrets.token_bytes(32))


class Dialect(NamedTuple):
    """How a CSV file is written: ``quotes`` says whether quotes enclose fields, ``skipped`` how many lines come first.

    ``names`` has the names of the columns of a file without a header; None if the first record has them. ``most_lines``
    is the most lines of one record.
    """

    delimiter: str = ","
    quotes: bool = True
    encoding: str = UTF8
    skipped: int = 0
    names: tuple[str, ...] | None = None
    most_lines: int = MOST_LINES


Fields: TypeAlias = tuple[list[str], str | None, int, int, str]  # of a Record, which takes long to make


class Record(NamedTuple):
    """A record: its fields, why it can't be read (None if it can), and the numbers of its first and last line.

    A blank line is a record without fields and without a problem.
    """

    fields: list[str]
    problem: str | None
    first_line: int
    last_line: int
    raw: str  # the last line


def csv_rows(file: DataFile, dialect: Dialect, check: Utf8Check | None = None) -> Iterator[Fields]:
    """Yield the fields of a ``Record`` for every record, the header and blank lines included.

    Raises:
        SourceError: a record has too many bytes.
        UnclosedQuoteError: a quote is never closed, so that all lines after it would become one text. Rows are
            counted before a run starts, so this error is raised before the run.
    """
    # The csv module has one limit for the whole process. It is never lowered, because a lower one would break a record
    # that another thread is reading. It is larger than MOST_BYTES, so RecordBytes refuses a long record first.
    if csv.field_size_limit() < MOST_BYTES + BLOCK:
        csv.field_size_limit(MOST_BYTES + BLOCK)
    raw = RecordBytes(file, check, most_lines=dialect.most_lines)
    with open_text(raw, dialect.encoding) as stream:
        for _ in range(dialect.skipped):
            stream.readline()
        latest = ""

        def feed() -> Iterator[str]:
            nonlocal latest
            for latest in chain(stream, [_END]):  # noqa: UP028  # keeps the latest line
                yield latest

        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quotes else csv.QUOTE_NONE
        reader = csv.reader(feed(), delimiter=dialect.delimiter, quoting=quoting, strict=True)
        last = skipped = dialect.skipped
        most_lines = dialect.most_lines
        while True:
            problem = None
            try:
                fields = next(reader)
            except csv.Error as error:
                fields, problem = [], str(error)
            first, last = last + 1, reader.line_num + skipped
            raw.line = last + 1
            if latest is _END:
                if fields == [_END]:
                    return
                raise UnclosedQuoteError(file, first, "is never closed")
            if last - first > most_lines:
                raise UnclosedQuoteError(file, first, f"is not closed for {MOST_LINES:,} lines")
            yield fields, problem, first, last, latest
