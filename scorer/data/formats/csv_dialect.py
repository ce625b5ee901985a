"""recognise(): find out the delimiter, the encoding and the header of a CSV file from its first lines."""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence

from scorer.data.columns import is_known
from scorer.data.filesystem import DataFile
from scorer.data.formats.csv_rows import Dialect
from scorer.data.formats.encodings import encoding_notes, encoding_of
from scorer.data.formats.text_files import suffixes
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError
from scorer.text import short

DELIMITERS = ",;\t|"
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SEPARATOR = re.compile(r'\ufeff?"?sep=([^"\r\n])"?[,;\t|]*(?:\r\n|\n|\r|\Z)', re.IGNORECASE)  # Excel's first line
_SAMPLE = 1 << 17  # bytes of the file's start that are looked at
_ROWS = 200
_ALIKE = 0.9  # the share of rows that must have as many fields as the header
_LONG = 80  # characters: a longer cell of the first row is no column's name
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_REPEATED = 2  # rows in which a known name in the first row must occur again to be a value


def separator_line(text: str) -> tuple[str | None, int]:
    """Return the delimiter that a first line such as ``sep=;`` names, None if there is none, and the line's length."""
    found = _SEPARATOR.match(text)
    return (found[1], found.end()) if found else (None, 0)


def recognise(file: DataFile, options: ReadOptions) -> tuple[Dialect, list[str]]:
    """Return how a file is written, quotes apart, and notes for the user; what ``options`` tell is not looked for.

    Raises:
        SourceError: the file is empty, or its delimiter or header is not clear; the message names the option.
    """
    encoding = encoding_of(file, options)
    text, is_whole = _beginning(file, encoding)
    if text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<?xml")):
        raise SourceError(f"{file} is a web page or XML, not a table; it may be a login page: download the data again")
    named, start = separator_line(text)
    skipped = 1 if start else 0
    text = text[start:]
    usual = "\t" if ".tsv" in suffixes(file.name) else ","
    delimiter = options.delimiter or named or _delimiter(file, text, usual, is_whole)
    notes = [] if delimiter == usual else [f"{file.name}: fields are separated by {_NAMES.get(delimiter, delimiter)}"]
    notes += encoding_notes(file, encoding)
    rows = _records(text, delimiter, csv.QUOTE_MINIMAL, is_whole)
    if not rows:
        raise SourceError(f"{file} is empty: a CSV file must begin with a line of column names")
    names = options.columns
    if names is not None and len(names) != len(rows[0]):
        raise SourceError(
            f"`columns` names {len(names)} columns, but the first row of {file} has {len(rows[0])} fields; name each"
        )
    if names is not None and [name.casefold() for name in names] == [cell.strip().casefold() for cell in rows[0]]:
        raise SourceError(f"the first row of {file} is its header, with the names in `columns`; leave `columns` out")
    if names is None and options.header is False:
        names = tuple(f"column_{i}" for i in range(1, len(rows[0]) + 1))
    if names is None and options.header is None and (cell := _data_cell(rows)) is not None:
        raise SourceError(
            f"{file} seems to have no header: its first row holds {short(cell)!r}; name the "
            f"{len(rows[0])} columns with `columns`, or give `header=True` if it is one",
            quotes_data=True,
        )
    return Dialect(delimiter, True, encoding, skipped, names), notes


def _beginning(file: DataFile, encoding: str) -> tuple[str, bool]:
    """Return the text at the start of a file, and whether that is all of it."""
    with file.stream() as stream:
        sample: bytes = stream.read(_SAMPLE)
        is_whole = not stream.read(1)
    return codecs.getincrementaldecoder(encoding)("replace").decode(sample, final=is_whole), is_whole


def _records(text: str, delimiter: str, quoting: int, is_whole: bool) -> list[list[str]]:
    """Return the first records of a text that are not blank; the last is left out if the text may end within it."""
    found: list[list[str]] = []
    lines: Iterable[str] = io.StringIO(text, newline="")
    try:
        for record in csv.reader(lines, delimiter=delimiter, quoting=quoting):  # type: ignore[arg-type]
            if record:
                found.append(record)
            if len(found) > _ROWS:
                return found
    except csv.Error:
        return found
    return found if is_whole or len(found) == 1 else found[:-1]


def _delimiter(file: DataFile, text: str, usual: str, is_whole: bool) -> str:
    """Return the delimiter of a file without quotes or with them, by which the rows have as many fields as the header.

    Raises:
        SourceError: there are several such delimiters, or the header has an unusual one that the rows don't fit.
    """
    fitting = [delimiter for delimiter in DELIMITERS if _fits(text, delimiter, is_whole)]
    if len(fitting) > 1:
        known = [delimiter for delimiter in fitting if any(map(is_known, _header(text, delimiter, is_whole)))]
        fitting = known or fitting
    if len(fitting) == 1:
        return fitting[0]
    first = text.lstrip("\r\n").partition("\n")[0]
    held = [delimiter for delimiter in DELIMITERS if delimiter in first]
    if not fitting and (usual in held or not held):
        return usual
    names = " or ".join(_NAMES[delimiter] for delimiter in fitting or held)
    what = "could each separate the fields" if fitting else "are in the first line, but the other lines don't fit it"
    raise SourceError(f"{file}: {names} {what}; give the `delimiter`, such as `delimiter={(fitting or held)[0]!r}`")


def _fits(text: str, delimiter: str, is_whole: bool) -> bool:
    """Return whether the rows have as many fields as the header, at least two."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        rows = _records(text, delimiter, quoting, is_whole)
        if rows and len(rows[0]) > 1:
            alike = sum(len(row) == len(rows[0]) for row in rows[1:])
            if alike >= _ALIKE * (len(rows) - 1):
                return True
    return False


def _header(text: str, delimiter: str, is_whole: bool) -> list[str]:
    return next(iter(_records(text, delimiter, csv.QUOTE_MINIMAL, is_whole)), [])


def _data_cell(rows: list[list[str]]) -> str | None:
    """Return a cell of the first row that is a value, not a column's name; None if the row may be a header."""
    first = [cell.strip() for cell in rows[0]]
    numbered = [cell for cell in first if cell]
    for place, cell in enumerate(first):
        again = sum(len(row) > place and row[place].strip() == cell for row in rows[1:])
        if cell and again >= (_REPEATED if is_known(cell) else 1):
            return cell
    if any(map(is_known, first)) or numbered == [str(i) for i in range(len(numbered))]:  # as pandas numbers columns
        return None
    return next((cell for cell in first if _NUMBER.fullmatch(cell) or len(cell) > _LONG), None)


def unique_names(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return a file's column names, each one only once, and the names that occurred several times.

    A blank name becomes ``Unnamed: 2`` with the column's number from 0. Of several columns of one name, the first keeps
    it, and the others become ``name.1``, ``name.2``, ...
    """
    given = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]
    taken = set(given)
    unique: list[str] = []
    repeated: dict[str, int] = {}
    seen: set[str] = set()
    for name in given:
        if name not in seen:
            seen.add(name)
            unique.append(name)
            continue
        number = repeated.get(name, 0) + 1
        while f"{name}.{number}" in taken:
            number += 1
        repeated[name] = number
        taken.add(f"{name}.{number}")
        unique.append(f"{name}.{number}")
    return unique, tuple(repeated)
