"""Read CSV files.

They are read by the standard library, not pyarrow, for two reasons: pyarrow guesses types from the first block, and a
wrong guess would end a run a million rows later; and a text may be longer than any block.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from scorer.data.filesystem import DataFile
from scorer.data.formats.base import Batches, Format, Inspected, Wanted
from scorer.data.formats.chunks import batches_of
from scorer.data.formats.csv_dialect import recognise, unique_names
from scorer.data.formats.csv_quotes import QuoteEvidence
from scorer.data.formats.csv_rows import Dialect, Record, csv_rows
from scorer.data.formats.encodings import utf8_check
from scorer.data.formats.tally import LabelTally
from scorer.data.formats.text_files import UnclosedQuoteError, suffixes
from scorer.data.read_options import ReadOptions
from scorer.errors import SourceError
from scorer.text import is_utf8, listed

_TOO_LONG = 0.5  # the share of rows with more fields than the header, from which on the header must be wrong
_TOO_SHORT, _FEW = 0.05, 3  # the share and the number of rows that may have fewer fields than the header
_listed = partial(listed, room=400, most=5)  # names of columns in a message


@dataclass
class _Pass:
    """What a pass over a file has found: the names in its header, its lines and rows, and how its quotes are used.

    ``longer`` and ``shorter`` count the rows with more and fewer fields than the header; ``over_lines`` those that go
    over several lines. ``ends`` has the first line of each kind of line end, ``counts`` the
    values of likely label columns.
    """

    evidence: QuoteEvidence
    names: list[str]
    lines: int = 0
    rows: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    longer: int = 0
    shorter: int = 0
    over_lines: int = 0


def _inspect(file: DataFile, options: ReadOptions) -> Inspected:
    dialect, notes = recognise(file, options)
    if options.quoting is not None:
        dialect = dialect._replace(quotes=options.quoting == "minimal", most_lines=sys.maxsize)
        found = _pass(file, dialect)
    else:
        found, dialect = _judged(file, dialect)
    if not dialect.quotes and options.quoting is None:
        notes.append(f"{file.name}: quotes are part of the texts ({found.evidence.why_literal})")
    one = len(found.names) == 1
    if found.longer > _TOO_LONG * found.rows:
        raise SourceError(
            f"{file}: {found.longer:,} of {found.rows:,} rows have more fields than the header, which has "
            f"{len(found.names)} ({_listed(found.names)}); remove lines above the header, give every column a name, or "
            "name the columns with `columns`" + (", or give `delimiter='\\t'` if each line is one text" if one else ""),
            quotes_data=True,
        )
    if len(found.ends) > 1:
        raise SourceError(
            f"{file} line {max(found.ends.values())}: some rows end with a line feed and some with a carriage return "
            "alone, which may be part of a text; replace the carriage returns: "
            r"text.replace('\r\n', '\n').replace('\r', ' ')"
        )
    if found.shorter > max(_FEW, _TOO_SHORT * found.rows) and options.delimiter is None:
        raise SourceError(
            f"{file}: {found.shorter:,} of {found.rows:,} rows have fewer fields than the header, which has "
            f"{len(found.names)} ({_listed(found.names)}); lines may be broken within texts, or separated by something "
            f"else; give `delimiter={dialect.delimiter!r}` to read the missing fields as empty",
            quotes_data=True,
        )
    if found.over_lines:
        notes.append(f"{file.name}: {found.over_lines:,} of {found.rows:,} rows go over several lines")
    if found.shorter:
        notes.append(f"{file.name}: {found.shorter:,} rows have fewer fields than the header; the last are empty")
    names, repeated = unique_names(found.names)
    schema = pa.schema([(name, pa.string()) for name in names])
    counts = {name: count for name, count in found.counts.items() if name not in repeated}
    return Inspected(schema, found.rows, found.lines, tuple(notes), repeated, counts, how=dialect)


def _judged(file: DataFile, dialect: Dialect) -> tuple[_Pass, Dialect]:
    """Read a file once, or twice if its quotes turn out to be part of the texts.

    Raises:
        SourceError: both are possible, or a quote is never closed.
    """
    literal = dialect._replace(quotes=False)
    found = _Pass(QuoteEvidence(file, dialect.delimiter), [])
    try:
        _read(file, dialect, found)
    except UnclosedQuoteError:
        if found.evidence.enclosing or not found.evidence.literal_line:
            raise
        return _pass(file, literal), literal
    if found.evidence.quotes_enclose(found.rows, usual=".tsv" not in suffixes(file.name)):
        return found, dialect
    again = _pass(file, literal)
    again.evidence = found.evidence
    return again, literal


def _pass(file: DataFile, dialect: Dialect) -> _Pass:
    found = _Pass(QuoteEvidence(file, dialect.delimiter), [])
    _read(file, dialect, found)
    return found


def _read(file: DataFile, dialect: Dialect, found: _Pass) -> None:
    """Read every record into ``found``.

    Raises:
        SourceError: the header is not UTF-8, or the file is in another encoding than it is read in.
        UnclosedQuoteError: a quote is never closed.
    """
    check = utf8_check(dialect.encoding)
    evidence, width = found.evidence, 0
    tally = LabelTally[int]()
    if dialect.names is not None:
        found.names, width = list(dialect.names), len(dialect.names)
        evidence.width = width
        tally = LabelTally(enumerate(found.names))
    quotes, rows, last, ending = dialect.quotes, 0, 0, ""
    for fields, problem, first, last, raw in csv_rows(file, dialect, check):  # the loop is tight: it is half of opening
        if raw[-1:] != ending and raw[-1:] in ("\r", "\n"):
            ending = raw[-1:]
            found.ends.setdefault(ending, last)
        if not fields and problem is None:
            continue
        if not width:
            found.names, width = fields, len(fields)
            evidence.width = width
            evidence.header(Record(fields, problem, first, last, raw))
            tally = LabelTally(enumerate(fields))
            continue
        rows += 1
        if quotes and (problem is not None or last > first or '"' in raw):
            evidence.add(Record(fields, problem, first, last, raw))
            found.over_lines += last > first
        if len(fields) != width:
            if problem is not None:
                continue
            if len(fields) < width:
                found.shorter += 1
                fields = [*fields, *[""] * (width - len(fields))]
            elif any(fields[width:]):
                found.longer += 1
                continue
        for place, counts in tally.watched.items():
            if value := fields[place]:
                if value in counts:
                    counts[value] += 1
                else:
                    tally.add(place, value)
    found.rows, found.lines = rows, last
    found.counts = tally.counts()
    if check is not None:
        check.refuse_other_encoding(file, found.lines)
    if not all(map(is_utf8, found.names)):
        raise SourceError(
            f"{file} has column names that aren't UTF-8: {_listed(found.names)}; give its `encoding`, or save it as "
            "UTF-8",
            quotes_data=True,
        )


def _batches(file: DataFile, found: Inspected, columns: list[str], wanted: Wanted) -> Batches:
    dialect: Dialect = found.how
    names = found.schema.names

    def values(chunk: list[tuple[list[str], str | None, int]], name: str) -> list[str | None]:
        place = names.index(name)
        return [None if problem else row[place] or None for row, problem, _ in chunk]

    return batches_of(_rows(file, dialect, len(names)), columns, values, wanted)


def _rows(file: DataFile, dialect: Dialect, width: int) -> Iterator[tuple[list[str], str | None, int]]:
    """Yield ``(fields, problem or None, characters)`` for each row; fields that are missing at its end are empty."""
    records = csv_rows(file, dialect)
    if dialect.names is None:
        next(fields for fields, problem, *_ in records if fields or problem is not None)
    for fields, problem, first, last, raw in records:
        if not fields and problem is None:
            continue
        size = len(raw) if first == last else sum(map(len, fields))
        if len(fields) != width and problem is None:
            if len(fields) < width:
                fields = [*fields, *[""] * (width - len(fields))]
            elif any(fields[width:]):
                problem = f"{len(fields)} fields, not {width}"
        yield fields, None if problem is None else f"{file.name} line {last}: {problem}", size


CSV = Format("CSV", _inspect, _batches, is_text=True, options=("delimiter", "quoting", "encoding", "columns", "header"))
