"""Records as JSON lines, with a ``decision`` for a person or a script to fill in."""

from pathlib import Path

from cli.review.decided import FileError, Reading, Said, answered, written_at
from cli.review.flat import RECORD_ID, flat, screen, texts
from cli.review.lines import read_lines, write_lines
from cli.review.records import ReviewRecord, row_of
from cli.review.server import Form
from scorer import RunDirectory

__all__ = ["advice", "read", "screen", "write"]


def write(path: Path, records: list[ReviewRecord]) -> None:
    """Write one line per record, in order; the file is there whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file is left as it was.
    """
    empty = {"decision": None, "annotator": None}
    write_lines(path, ({**flat(record), **empty, **texts(record)} for record in records))


def advice(form: Form) -> None:
    """Say nothing: a script knows."""


def read(path: Path, run: RunDirectory, annotator: str) -> Reading:
    """Read the lines that have a decision.

    Raises:
        FileError: a line can't be read or has a decision that is none; the message has its number.
    """
    said, undecided, foreign = [], set(), 0
    with path.open("rb") as stream:
        for number, line in read_lines(str(path), stream):
            if "decision" not in line:
                hint = "; is it doccano's? then give --from doccano" if "label" in line else ""
                raise FileError(f"{path}, line {number}: it has no key 'decision'{hint}")
            row = row_of(line.get(RECORD_ID), run.data_fingerprint)
            word, who = ("" if line.get(key) is None else line[key] for key in ("decision", "annotator"))
            if not isinstance(word, str) or not isinstance(who, str):
                raise FileError(f"{path}, line {number}: decision and annotator must be text, in quotes")
            if row is None:
                foreign += 1
            elif word.strip():
                given = line.get("given")
                shown = given if isinstance(given, str) else None
                said.append(Said(row, word.strip(), who.strip() or annotator, f"line {number}", shown))
            else:
                undecided.add((row, who.strip() or annotator))
    return Reading(answered(path, said, run), foreign, dict.fromkeys(undecided, written_at(path)))
