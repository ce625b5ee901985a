"""Write records as a CSV table with a column ``decision`` to fill in with a spreadsheet, and read the decisions.

A spreadsheet runs a cell that begins with = + - @ as a formula. ``write`` puts an apostrophe before such a cell, and
before a cell that has apostrophes before such a character, so that ``read`` can remove exactly one.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from lossrank.review.decision import Reading
from lossrank.review.files.answers import FileAnswer, FileError, to_answers, words, written_at
from lossrank.review.flat_record import PAIR, RECORD_ID, TEXT, accept, flat, texts
from lossrank.review.records import ReviewRecord, row_of
from lossrank.review.servers.server import Form
from scorer import RunDirectory
from scorer.data.formats.csv_dialect import DELIMITERS, separator_line
from scorer.files import write_atomically
from scorer.text import some

__all__ = ["accept", "advice", "read", "write"]

_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # noqa: RUF001  # full-width characters too
_LONGEST = 32_000  # characters: Excel splits a cell of more than 32,767
_FILL_IN = ("decision", "annotator")


def write(path: Path, records: list[ReviewRecord]) -> None:
    """Write one row per record, in order, as UTF-8 with a byte-order mark, which Excel needs.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file stays unchanged.
    """
    known = [flat(record) for record in records]
    columns = [*dict.fromkeys(key for values in known for key in values), *_FILL_IN, TEXT]
    if any(len(record.inputs) > 1 for record in records):
        columns.append(PAIR)
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="")
    table.writeheader()
    for values, record in zip(known, records, strict=True):
        cells = {**values, **{name: _cut(value) for name, value in texts(record).items()}}
        table.writerow({name: _guarded(value) if isinstance(value, str) else value for name, value in cells.items()})
    write_atomically(path, lambda stream: stream.write(text.getvalue().encode("utf-8-sig")))


def advice(form: Form) -> str:
    """Return one line on how to fill in the file."""
    return f"Fill in the column decision with one of {some(form.class_names, 1000)}, keep or discard; then pull it"


def read(path: Path, run: RunDirectory, annotator: str) -> Reading:
    """Read the decisions in the rows that have one.

    Cells are separated by commas, semicolons, tabs or vertical bars, or by the character that a first line such as
    ``sep=;`` names. A byte-order mark is optional.

    Raises:
        FileError: the file is not a table that ``write`` can have made; the message has the line.
        FileError: a decision is not allowed, or one person decided a row in two ways; the message has the line.
    """
    written, undecided, foreign = [], set(), 0
    for number, cells in _rows(path, run):
        row = row_of(cells[RECORD_ID].strip(), run.data_fingerprint)
        word = _plain(cells["decision"].strip())
        who = _plain(cells.get("annotator", "").strip()) or annotator
        if row is None:
            foreign += 1
        elif word:
            written.append(FileAnswer(row, word, who, f"line {number}", _plain(cells.get("given", "").strip())))
        else:
            undecided.add((row, who))
    return Reading(to_answers(path, written, run), foreign, dict.fromkeys(undecided, written_at(path)))


def _rows(path: Path, run: RunDirectory) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number (from 1) and the cells by column of each row; empty rows are skipped."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8; save it from the spreadsheet as CSV UTF-8") from None
    named, start = separator_line(text)
    above = 1 if start else 0  # lines before the header
    table = text[start:]
    delimiter = named or _delimiter(table.partition("\n")[0])
    csv.field_size_limit(2**31 - 1)  # the default limit of 131,072 characters is too small
    rows = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
    line = above + 1
    try:
        header = [name.strip() for name in next(rows, [])]
        missing = [name for name in (RECORD_ID, "decision") if name not in header]
        if missing:
            raise FileError(
                f"{path}, line {line}: the column {missing[0]!r} is missing; keep the columns that `lossrank log` "
                f"wrote, and fill in the column decision with one of: {words(run)}"
            )
        for name in (RECORD_ID, *_FILL_IN):
            if header.count(name) > 1:
                raise FileError(
                    f"{path}, line {line}: there are {header.count(name)} columns {name!r}; keep one of them"
                )
        line = above + rows.line_num + 1
        for cells in rows:
            if len(cells) > len(header):
                raise FileError(
                    f"{path}, line {line}: there are {len(cells)} cells for {len(header)} columns; put a text that has "
                    "separators in double quotes"
                )
            if any(cells):
                yield line, dict(zip(header, [*cells, *[""] * (len(header) - len(cells))], strict=True))
            line = above + rows.line_num + 1
    except csv.Error as error:
        raise FileError(f"{path}, line {line}: this is not CSV ({error}); correct or remove the line") from None


def _delimiter(header: str) -> str:
    """Return the delimiter with which the header has the columns that are needed, or the most frequent one."""
    for delimiter in DELIMITERS:
        if {RECORD_ID, "decision"} <= {name.strip().strip('"') for name in header.split(delimiter)}:
            return delimiter
    return max(DELIMITERS, key=header.count)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} [...]"


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _plain(cell: str) -> str:
    """Return a cell without the apostrophe that ``write`` put before a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
