"""json_values(): the values of a JSON file, one at a time: lines, an array, or objects over several lines.

The standard library reads each value; a file is only held in memory as far as its current value.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from scorer.data.filesystem import DataFile
from scorer.data.formats.encodings import UTF8, Utf8Check
from scorer.data.formats.text_files import MOST_BYTES, RecordBytes, lines, open_text
from scorer.errors import SourceError
from scorer.text import short

_BLOCK = 1 << 16  # characters read at a time
_BLANK = " \t\r\n"
_OF_NUMBERS = "0123456789.eE+-"
LINES, ARRAY, SEQUENCE = "lines", "array", "sequence"


class Value(NamedTuple):
    """A value of a JSON file: why it can't be read (None if it can), the characters it takes, and its place."""

    value: Any
    problem: str | None
    size: int
    line: int


def layout_of(file: DataFile, encoding: str) -> str:
    """Return how the values of a file lie: in LINES, in one ARRAY, or as a SEQUENCE of values over several lines."""
    # An array may be one line, larger than memory.
    with open_text(RecordBytes(file, limited=False), encoding) as stream:
        while character := stream.read(1):
            if character not in _BLANK:
                break
        if character == "[" and not _is_line_of_many(character + stream.readline(_BLOCK), stream):
            return ARRAY
    first = next((line for line in lines(file, encoding) if not line.isspace()), "")
    try:
        json.loads(first)
    except RecursionError:
        return LINES
    except ValueError:
        return SEQUENCE if first.startswith("{") and _goes_on(file, encoding) else LINES
    return LINES


def json_values(file: DataFile, layout: str, encoding: str = UTF8, check: Utf8Check | None = None) -> Iterator[Value]:
    """Yield the values of a file, in order.

    A line that is not JSON is yielded with its problem.

    Raises:
        SourceError: an array or a sequence has something that is not JSON, so that the rest can't be read.
        SourceError: a value takes more than ``MOST_BYTES``.
    """
    if layout == LINES:
        for number, line in enumerate(lines(file, encoding, check), start=1):
            if line.isspace():
                continue
            try:
                yield Value(json.loads(line), None, len(line), number)
            except (ValueError, RecursionError) as error:
                yield Value(None, f"not JSON ({error})", len(line), number)
        return
    yield from _Values(file, encoding, check).read(is_array=layout == ARRAY)


def _is_line_of_many(line: str, stream: TextIO) -> bool:
    """Return whether a file's first line is a list of its own, as in spaCy's training pairs, not the whole array."""
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return bool(first) and not isinstance(first[0], dict) and any(not more.isspace() for more in stream)


def _goes_on(file: DataFile, encoding: str) -> bool:
    """Return whether the first value of a file goes over several lines."""
    try:
        return next(_Values(file, encoding, None).read(is_array=False), None) is not None
    except SourceError:
        return False


class _Values:
    """Reads values that may go over several lines from a buffer, which holds the file as far as the current value."""

    def __init__(self, file: DataFile, encoding: str, check: Utf8Check | None) -> None:
        self._file = file
        self._raw = RecordBytes(file, check, limited=False)
        self._encoding = encoding
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._decoder = json.JSONDecoder()

    def read(self, *, is_array: bool) -> Iterator[Value]:
        with open_text(self._raw, self._encoding) as self._stream:
            if is_array:
                self._skip("[")
            first = True
            while True:
                character = self._next()
                if is_array and not first and character not in ("", "]"):
                    if character != ",":
                        near = short(self._buffer[self._at : self._at + 20])
                        raise self._not_json(f"there is no comma before {near!r}")
                    self._skip(",")
                    character = self._next()
                if not character:
                    if is_array:
                        raise self._not_json("the file ends within the array; it may be cut off")
                    return
                if character == "]" and is_array:
                    self._skip("]")
                    if self._next():
                        raise self._not_json("something follows the end of the array")
                    return
                first = False
                line, begin = self._line, self._at
                try:
                    value = self._value()
                except RecursionError:
                    raise self._not_json("a value is nested too deep") from None
                yield Value(value, None, self._at - begin, line)

    def _value(self) -> Any:
        """Return the value at the current place, and go behind it."""
        size = _BLOCK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(self._buffer) - len("-Infinity") or error.msg.startswith(
                    "Unterminated string"
                )
                if self._ended or not is_cut:
                    place = self._line + self._buffer.count("\n", self._at, error.pos)
                    raise self._not_json(error.msg, place) from None
            else:
                # A number that the buffer cuts looks whole.
                if self._ended or (end < len(self._buffer) and self._buffer[end] not in _OF_NUMBERS):
                    self._line += self._buffer.count("\n", self._at, end)
                    self._at = end
                    return value
            self._fill(size)
            size *= 2  # so that a long value is not begun anew with each block

    def _next(self) -> str:
        """Return the next character that is not blank, without going behind it; empty at the end of the file."""
        while True:
            while self._at < len(self._buffer):
                character = self._buffer[self._at]
                if character not in _BLANK:
                    return character
                self._line += character == "\n"
                self._at += 1
            if self._ended:
                return ""
            self._fill(_BLOCK)

    def _skip(self, character: str) -> None:
        self._next()
        self._at += len(character)

    def _fill(self, size: int) -> None:
        if len(self._buffer) - self._at > MOST_BYTES:
            raise SourceError(
                f"{self._file} line {self._line}: the value that begins here has more than {MOST_BYTES:,} characters; "
                "write one object a line (pandas: to_json(orient='records', lines=True))"
            )
        block = self._stream.read(size)
        self._ended = not block
        self._buffer = self._buffer[self._at :] + block
        self._at = 0

    def _not_json(self, what: str, line: int | None = None) -> SourceError:
        return SourceError(
            f"{self._file} line {line or self._line}: not JSON ({what}), so the rows from here can't be read; correct "
            "it, or write one object a line (pandas: to_json(orient='records', lines=True))",
            quotes_data=True,
        )
