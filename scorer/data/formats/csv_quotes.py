"""QuoteEvidence: find out from a CSV file whether its quotes enclose fields, or are part of the texts.

A program that encloses fields doubles each quote within one, and encloses every field that holds a quote, a delimiter
or a line break. A file made without such rules (GLUE's, those made by hand) has texts that begin with a quote, and
every such text would swallow the lines up to the next quote. Each record is judged as it is read with quotes:

- *enclosing*: a quoted field has a doubled quote or a delimiter, or all fields of a row or the header are quoted;
- *literal*: text follows a closing quote, or a field that is not quoted has a quote within;
- *swallowed*: several lines of one record are whole rows by themselves.
"""

import re
from dataclasses import dataclass

from scorer.data.filesystem import DataFile
from scorer.data.formats.csv_rows import Record
from scorer.errors import SourceError

_FEW = 100  # enclosing records for each broken one, from which on the broken ones are single bad rows


@dataclass
class QuoteEvidence:
    """The first line of each kind of evidence, 0 if there is none, and how many records show it."""

    file: DataFile
    delimiter: str
    width: int = 0
    enclosing: int = 0
    enclosing_line: int = 0
    broken: int = 0
    broken_line: int = 0
    inner_line: int = 0
    swallowed_line: int = 0
    over_lines: int = 0  # the first record of several lines
    needless: int = 0
    quoted: int = 0  # rows with a field in quotes
    needless_line: int = 0
    backslash_line: int = 0
    blank_line: int = 0

    def add(self, record: Record) -> None:
        """Judge a record whose last line has a quote, or that has several lines or a problem."""
        if record.problem is not None:
            self.broken += 1
            self.broken_line = self.broken_line or record.first_line
            if '\\"' in record.raw:
                self.backslash_line = self.backslash_line or record.last_line
            elif re.search(f'"[ \\t]+({re.escape(self.delimiter)}|\\s*$)', record.raw):
                self.blank_line = self.blank_line or record.last_line
            if record.last_line > record.first_line:
                self.swallowed_line = self.swallowed_line or record.first_line
        elif record.last_line > record.first_line:
            self._several_lines(record)
        else:
            self._one_line(record)

    def header(self, record: Record) -> None:
        """Judge the header: a program that puts the names of columns in quotes encloses texts too."""
        if record.raw[:1] == '"' and record.fields and record.fields[0][:1] != '"':
            self._encloses(record)

    @property
    def literal_line(self) -> int:
        """The first line that shows that quotes are part of the texts; 0 if there is none."""
        return self.broken_line or self.inner_line

    def _several_lines(self, record: Record) -> None:
        self.over_lines = self.over_lines or record.first_line
        lines = self.delimiter.join(record.fields).splitlines()
        if self.width > 1 and sum(line.count(self.delimiter) == self.width - 1 for line in lines) > 1:
            self.swallowed_line = self.swallowed_line or record.first_line

    def _one_line(self, record: Record) -> None:
        pieces = record.raw.rstrip("\r\n").split(self.delimiter)
        if len(pieces) != len(record.fields):
            self._encloses(record)
            return
        if self.width > 1 and all(len(piece) > 1 and piece[0] == piece[-1] == '"' for piece in pieces):
            self._encloses(record)
            return
        self.quoted += any(piece[:1] == '"' for piece in pieces)
        for piece in pieces:
            if piece[:1] == '"':
                if '""' in piece[1:-1]:
                    self._encloses(record)
                elif len(piece) > 2:
                    self.needless += 1
                    self.needless_line = self.needless_line or record.first_line
            elif '"' in piece:
                self.inner_line = self.inner_line or record.first_line

    def _encloses(self, record: Record) -> None:
        self.enclosing += 1
        self.enclosing_line = self.enclosing_line or record.first_line

    def quotes_enclose(self, rows: int, *, usual: bool) -> bool:
        """Return whether quotes enclose fields; ``usual`` says whether they do in this kind of file.

        Raises:
            SourceError: both readings are possible, or neither is; the message names both and the option.
        """
        if self.backslash_line and self.enclosing < _FEW * self.broken:
            raise SourceError(
                f"{self.file} line {self.backslash_line}: quotes within texts have a backslash before them; lossrank "
                "reads doubled quotes: convert the file with pandas.read_csv(FILE, escapechar='\\\\', dtype=str, "
                "keep_default_na=False).to_csv(NEW, index=False), or give `quoting='none'` to keep every character"
            )
        if self.blank_line and not self.inner_line:
            raise self._unclear(self.blank_line, "a blank follows a closing quote (remove it), or quotes are no quotes")
        literal = self.literal_line
        if self.swallowed_line:
            if self.enclosing and not literal:
                return True
            if literal and not self.enclosing:
                return False
            raise self._unclear(self.swallowed_line, "the lines from here are one text, or each is a row")
        if self.over_lines and literal and not self.enclosing:
            raise self._unclear(self.over_lines, "the lines from here are one text, or each is a row")
        if self.broken:
            if not self.enclosing:
                return False
            if self.enclosing < _FEW * self.broken:
                raise self._unclear(self.broken_line, "a quoted field goes on after its closing quote")
            return True
        if self.enclosing or not self.needless or (usual and not self.inner_line):
            return True
        if usual:
            raise self._unclear(self.needless_line, f"a text is in quotes, but not the one in line {self.inner_line}")
        return self.quoted >= rows  # a column that is quoted in every row

    def _unclear(self, line: int, what: str) -> SourceError:
        also = f", and line {self.enclosing_line} has quotes that do enclose a text" if self.enclosing else ""
        return SourceError(
            f"{self.file} line {line}: {what}{also}; correct that line, or give `quoting='none'` if quotes are part of "
            "the texts, `quoting='minimal'` if they enclose them"
        )

    @property
    def why_literal(self) -> str:
        """Why quotes were taken for part of the texts, as a clause for the plan."""
        if self.broken_line:
            return f"the text goes on after a closing quote in line {self.broken_line}"
        if self.inner_line:
            return f"line {self.inner_line} has a quote within a text that is not quoted"
        return "no text needs its quotes"
