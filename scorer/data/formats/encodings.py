"""encoding_of() and Utf8Check: find out how the text of a file is encoded, or that UTF-8 is not how."""

import codecs
import contextlib
import re

from scorer.data.filesystem import DataFile
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError

UTF8 = "utf-8-sig"  # a byte-order mark is left out
GIVEN_UTF8 = "utf_8_sig"  # the same, if the user said so: other bytes are single bad rows then
INVALID = "lossrank-invalid"  # the error handler for bytes that the given encoding does not have
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_HEAD = 4096
_BINARY = {b"PK\x03\x04": "a zip archive or an Excel file", b"\x1f\x8b": "gzip", b"PAR1": "Parquet"}
_FEW = 0.01  # the share of lines up to which bytes that aren't UTF-8 are taken for single bad rows
_SURROGATE = re.compile("[\udc80-\udcff]")
_BAD_LINE = re.compile("^.*[\udc80-\udcff].*$", re.MULTILINE)


def _as_invalid(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that the encoding does not have by a surrogate, which is invalid UTF-8 whatever is beside it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff" * (error.end - error.start), error.end


codecs.register_error(INVALID, _as_invalid)


def encoding_of(file: DataFile, options: ReadOptions) -> str:
    """Return the encoding of a text file: the given one, or what its byte-order mark says, or UTF-8.

    Raises:
        SourceError: the file has zero bytes as UTF-16 has, but no byte-order mark.
    """
    if options.encoding is not None:
        return GIVEN_UTF8 if codecs.lookup(options.encoding).name == "utf-8" else options.encoding
    with file.stream() as stream:
        head: bytes = stream.read(_HEAD)
    for magic, kind in _BINARY.items():
        if head.startswith(magic):
            raise SourceError(f"{file} is {kind}, not text; give the file its own ending, or save it as CSV")
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    zeros = head[0::2].count(0), head[1::2].count(0)
    if min(zeros) <= len(head) // 40 and max(zeros) > len(head) // 5:
        name = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        raise SourceError(f"{file} is not UTF-8; it looks like {name}: give `encoding='{name}'`, or save it as UTF-8")
    return UTF8


def is_utf8_codec(encoding: str) -> bool:
    """Return whether an encoding that ``encoding_of`` returned is UTF-8."""
    return encoding in (UTF8, GIVEN_UTF8)


def encoding_notes(file: DataFile, encoding: str) -> list[str]:
    """Return a note for the user if the text of a file is not UTF-8."""
    return [] if is_utf8_codec(encoding) else [f"{file.name}: the text is {encoding}"]


def utf8_check(encoding: str) -> "Utf8Check | None":
    """Return the check for a file that is read as UTF-8 although nobody said that it is; None for other files."""
    return Utf8Check() if encoding == UTF8 else None


class Utf8Check:
    """Counts, block by block, the lines of a file with bytes that are not UTF-8, and the characters that are."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._bad_lines = self._bad = self._good = 0
        self._sample = b""

    def add(self, block: bytes) -> None:
        text = self._decoder.decode(block)
        if text.isascii():
            return
        try:
            self._good += len(text.encode()) - len(text)
        except UnicodeEncodeError:
            bad = len(_SURROGATE.findall(text))
            self._bad += bad
            self._good += sum(1 for character in text if character > "\x7f") - bad
            self._bad_lines += len(_BAD_LINE.findall(text))
            self._sample += block if len(self._sample) < 1 << 20 else b""

    def refuse_other_encoding(self, file: DataFile, lines: int) -> None:
        """Raise SourceError if the file of so many lines is in another encoding, rather than UTF-8 with a few bad rows.

        Raises:
            SourceError: more than one line and more than 1% of the lines have such bytes, and they outnumber the
                characters beyond ASCII that are UTF-8; the message names the encoding that the file looks like.
        """
        if self._bad_lines < 2 or self._bad <= self._good or self._bad_lines <= _FEW * lines:
            return
        import charset_normalizer

        best = charset_normalizer.from_bytes(self._sample).best()
        likely = [] if best is None or best.encoding in ("utf_8", "ascii") else [best.encoding]
        readings: dict[str, str] = {}
        for name in dict.fromkeys(["cp1252", *likely]):  # a short text may be text in several code pages
            with contextlib.suppress(UnicodeError):
                if (reading := _excerpt(self._sample.decode(name))) not in readings.values():
                    readings[name] = reading
        choices = " or ".join(f"`encoding='{name}'` ({reading!r})" for name, reading in readings.items())
        looks = f"it looks like {' or '.join(readings)}: give {choices}" if readings else "give its `encoding`"
        raise SourceError(
            f"{file} is not UTF-8: {self._bad_lines:,} of its {lines:,} lines have other bytes; {looks}, or "
            "`encoding='utf-8'` to count these rows as invalid_text",
            quotes_data=True,
        )


def _excerpt(text: str) -> str:
    """Return the first words of a text that have characters beyond ASCII."""
    words = [word for word in text.split() if not word.isascii()]
    return " ".join(words)[:30]
