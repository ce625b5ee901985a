"""lines() and csv_rows(): read text files by line or CSV record, each limited to a size that fits in memory."""

import csv
import io
import secrets
from collections.abc import Iterator
from itertools import chain
from pathlib import PurePosixPath

from scorer.data.filesystem import DataFile
from scorer.errors import SourceError
from scorer.text import is_utf8

MOST_BYTES = 1 << 28  # in one line or CSV record, for which the csv module needs four times as much memory
MOST_LINES = 10_000  # in one CSV record
BLOCK = 1 << 16  # bytes read at a time
# Added after a CSV file's last line: after an open quote it is part of the last record, which shows that the quote is
# never closed. It is random, so that no file contains it.
_END = f"\0 end of file {secrets.token_hex(16)}"


def suffixes(name: str) -> list[str]:
    """Return the endings of a file's name, in lower case."""
    return [suffix.lower() for suffix in PurePosixPath(name).suffixes]


class RecordBytes(io.BufferedIOBase):
    """The bytes of a file, with a size limit for each record, checked before the whole record is in memory.

    A block is read when all earlier blocks are used up. So all bytes read since a record began belong to that record,
    except that the latest block may also contain the next records.

    ``line``, counted from 1, is the line at which the current record begins; the caller sets it.
    """

    def __init__(self, file: DataFile) -> None:
        self.line = 1
        self.name = str(file)
        self._file = file
        self._stream = file.stream()
        self._counted = self._bytes = self._newlines = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int | None = -1, /) -> bytes:
        """Read a block, whatever size is requested.

        Raises:
            SourceError: the record has too many bytes or lines.
        """
        if self._counted != self.line:
            self._counted = self.line
            self._bytes = self._newlines = 0
        if self._newlines > MOST_LINES:
            raise unclosed(self._file, self.line, f"is not closed for {MOST_LINES:,} lines")
        if self._bytes > MOST_BYTES:
            raise SourceError(
                f"{self._file} line {self.line}: the row that begins here has more than {MOST_BYTES:,} bytes; "
                "check that its quotes are closed and that each row has its own line, or save the file as Parquet"
            )
        block: bytes = self._stream.read(BLOCK)
        self._bytes += len(block)
        self._newlines += block.count(b"\n")
        return block

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_text(raw: RecordBytes) -> io.TextIOWrapper:
    """Return a stream of a file's text, with line ends unchanged."""
    # surrogateescape carries bytes that aren't UTF-8 through to the row they belong to.
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")


def lines(file: DataFile) -> Iterator[str]:
    """Yield a file's lines.

    Raises:
        SourceError: a line has more than ``MOST_BYTES``.
    """
    raw = RecordBytes(file)
    with open_text(raw) as stream:
        for number, line in enumerate(stream, start=1):
            raw.line = number + 1
            yield line


def csv_rows(file: DataFile) -> Iterator[tuple[list[str], str | None]]:
    """Yield the header, then every record as ``(fields, problem or None)``.

    Raises:
        SourceError: a column name in the header is not UTF-8, or a record has too many bytes.
        SourceError: a quote is never closed, so that all lines after it would become one text. Rows are
            counted before a run starts, so this error is raised before the run.
    """
    # The csv module has one limit for the whole process. It is never lowered, because a lower one would break a record
    # that another thread is reading. It is larger than MOST_BYTES, so RecordBytes refuses a long record first.
    if csv.field_size_limit() < MOST_BYTES + BLOCK:
        csv.field_size_limit(MOST_BYTES + BLOCK)
    raw = RecordBytes(file)
    with open_text(raw) as stream:
        reader = csv.reader(chain(stream, [_END]), delimiter="\t" if ".tsv" in suffixes(file.name) else ",")
        header: list[str] | None = None
        end = [_END]
        last = 0
        while True:
            problem = None
            try:
                record = next(reader, end)
            except csv.Error as error:
                record, problem = [], str(error)
            begins, last = last + 1, reader.line_num
            raw.line = last + 1
            if record == end:
                return
            if record and _END in record[-1]:
                raise unclosed(file, begins, "is never closed")
            if last - begins > MOST_LINES:
                raise unclosed(file, begins, f"is not closed for {MOST_LINES:,} lines")
            if not record and problem is None:
                continue
            if header is None:
                header = record
                if not all(is_utf8(name) for name in header):
                    raise SourceError(
                        f"{file} has column names that aren't UTF-8: {header}; save the file as UTF-8", quotes_data=True
                    )
            elif problem is None and len(record) != len(header):
                problem = f"{len(record)} field{'s' * (len(record) != 1)}, not {len(header)}"
            yield record, None if problem is None else f"{file.name} line {last}: {problem}"


def unclosed(file: DataFile, line: int, how: str) -> SourceError:
    """Return the error for a CSV record whose quote stays open; ``how`` completes the sentence "the quote ..."."""
    return SourceError(
        f"{file} line {line}: a quote that opens in this record {how}; close it, or double it "
        '("") where it is part of the text'
    )
