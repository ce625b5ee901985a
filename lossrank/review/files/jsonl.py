"""Write records as JSON lines with a ``decision`` for a person or a script to fill in, and read the decisions."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from lossrank.review.decision import Reading
from lossrank.review.files.answers import FileAnswer, FileError, to_answers, written_at
from lossrank.review.flat_record import RECORD_ID, accept, flat, texts
from lossrank.review.records import ReviewRecord, row_of
from lossrank.review.servers.server import Form
from scorer import RunDirectory
from scorer.files import write_atomically

__all__ = ["accept", "advice", "read", "write"]


def write(path: Path, records: list[ReviewRecord]) -> None:
    """Write one line per record, in order; the file is written whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file stays unchanged.
    """
    empty = {"decision": None, "annotator": None}
    write_lines(path, ({**flat(record), **empty, **texts(record)} for record in records))


def advice(form: Form) -> None:
    """Return None: the file is meant for a script, so nobody needs advice."""


def read(path: Path, run: RunDirectory, annotator: str) -> Reading:
    """Read the decisions in the lines that have one.

    Raises:
        FileError: a line can't be read or its decision is not allowed; the message has the line's number.
    """
    written, undecided, foreign = [], set(), 0
    with path.open("rb") as stream:
        for number, line in read_lines(str(path), stream):
            if "decision" not in line:
                hint = "; if the file is from doccano, pull it with `source='doccano'`" if "label" in line else ""
                raise FileError(f"{path}, line {number}: the key 'decision' is missing{hint}")
            row = row_of(line.get(RECORD_ID), run.data_fingerprint)
            word, who = ("" if line.get(key) is None else line[key] for key in ("decision", "annotator"))
            if not isinstance(word, str) or not isinstance(who, str):
                raise FileError(f"{path}, line {number}: 'decision' and 'annotator' must be text, in quotes")
            if row is None:
                foreign += 1
            elif word.strip():
                given = line.get("given")
                shown = given if isinstance(given, str) else None
                written.append(FileAnswer(row, word.strip(), who.strip() or annotator, f"line {number}", shown))
            else:
                undecided.add((row, who.strip() or annotator))
    return Reading(to_answers(path, written, run), foreign, dict.fromkeys(undecided, written_at(path)))


def write_lines(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Write one line per object, in order; the file is written whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file stays unchanged.
        ValueError: a number is not finite; an older file stays unchanged.
    """

    def write(stream: IO[bytes]) -> None:
        for line in objects:
            stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    write_atomically(path, write)


def read_lines(name: str, stream: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number (from 1) and the object of each line; blank lines are skipped.

    Raises:
        FileError: a line is not a JSON object; the message has ``name`` and the line's number.
    """
    for number, line in enumerate(stream, 1):
        if not (text := line.removeprefix(b"\xef\xbb\xbf").strip()):
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:  # bytes that are not UTF-8 raise ValueError too
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8"
            raise FileError(f"{name}, line {number}: this is not JSON ({reason}); correct or remove the line") from None
        if not isinstance(value, dict):
            raise FileError(f"{name}, line {number}: this is not a JSON object; correct or remove the line")
        yield number, value
