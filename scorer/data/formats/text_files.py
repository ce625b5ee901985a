"""RecordBytes and lines(): read text files by line or CSV record, each limited to a size that fits in memory."""

import io
from collections.abc import Iterator
from pathlib import PurePosixPath

from scorer.data.filesystem import DataFile
from scorer.data.formats.encodings import INVALID, UTF8, Utf8Check, is_utf8_codec
from scorer.errors import SourceError

MOST_BYTES = 1 << 28  # in one line or CSV record, for which the csv module needs four times as much memory
MOST_LINES = 10_000  # in one CSV record
BLOCK = 1 << 16  # bytes read at a time


def suffixes(name: str) -> list[str]:
    """Return the endings of a file's name, in lower case."""
    return [suffix.lower() for suffix in PurePosixPath(name).suffixes]


class RecordBytes(io.BufferedIOBase):
    """The bytes of a file, with a size limit for each record, checked before the whole record is in memory.

    A block is read when all earlier blocks are used up. So all bytes read since a record began belong to that record,
    except that the latest block may also contain the next records.

    ``line``, counted from 1, is the line at which the current record begins; the caller sets it. ``check`` is given
    every block. If it is not ``limited``, the caller limits its
    records; ``most_lines`` is the most lines of one.
    """

    def __init__(
        self, file: DataFile, check: Utf8Check | None = None, *, limited: bool = True, most_lines: int | None = None
    ) -> None:
        self.line = 1
        self.name = str(file)
        self._file = file
        self._check = check
        self._limited = limited
        self._most_lines = MOST_LINES if most_lines is None else most_lines
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
        if self._limited and self._newlines > self._most_lines:
            raise UnclosedQuoteError(self._file, self.line, f"is not closed for {MOST_LINES:,} lines")
        if self._limited and self._bytes > MOST_BYTES:
            raise SourceError(
                f"{self._file} line {self.line}: the row that begins here has more than {MOST_BYTES:,} bytes; "
                "check that its quotes are closed and that each row has its own line, or save the file as Parquet"
            )
        block: bytes = self._stream.read(BLOCK)
        self._bytes += len(block)
        self._newlines += block.count(b"\n")
        if self._check is not None:
            self._check.add(block)
        return block

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_text(raw: RecordBytes, encoding: str) -> io.TextIOWrapper:
    """Return a stream of a file's text, with line ends unchanged.

    Bytes that the encoding does not have become surrogates, which ``text_array`` makes invalid UTF-8 again: so they
    are carried through to the row that they belong to.
    """
    errors = "surrogateescape" if is_utf8_codec(encoding) else INVALID
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")


def lines(file: DataFile, encoding: str = UTF8, check: Utf8Check | None = None) -> Iterator[str]:
    """Yield a file's lines.

    Raises:
        SourceError: a line has more than ``MOST_BYTES``, or its encoding breaks off.
    """
    raw = RecordBytes(file, check)
    with open_text(raw, encoding) as stream:
        for number, line in enumerate(stream, start=1):
            raw.line = number + 1
            yield line


class UnclosedQuoteError(SourceError):
    """A quote of a CSV file stays open; ``line`` is that of the record in which it opens."""

    def __init__(self, file: DataFile, line: int, how: str) -> None:
        super().__init__(
            f"{file} line {line}: a quote that opens in this record {how}; close it, or double it "
            "(\"\") where it is part of the text, or give `quoting='none'` if all quotes are part of the texts, "
            "`quoting='minimal'` if a text is so long"
        )
        self.line = line
