"""Records as JSON lines, with a ``decision`` for a person or a script to fill in."""

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
                said.append(FileAnswer(row, word.strip(), who.strip() or annotator, f"line {number}", shown))
            else:
                undecided.add((row, who.strip() or annotator))
    return Reading(to_answers(path, said, run), foreign, dict.fromkeys(undecided, written_at(path)))


def write_lines(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Write one line per object, in order; the file is there whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file is left as it was.
        ValueError: a number is not finite; an older file is left as it was.
    """

    def write(stream: IO[bytes]) -> None:
        for each in objects:
            stream.write(json.dumps(each, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    write_atomically(path, write)


def read_lines(name: str, stream: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's number, from 1, and its object; blank lines are passed over.

    Raises:
        FileError: a line is no JSON object; the message has ``name`` and the line.
    """
    for number, line in enumerate(stream, 1):
        if not (text := line.removeprefix(b"\xef\xbb\xbf").strip()):
            continue
        try:
            each = json.loads(text)
        except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8"
            raise FileError(f"{name}, line {number}: no JSON ({reason}); mend or remove the line") from None
        if not isinstance(each, dict):
            raise FileError(f"{name}, line {number}: no JSON object; mend or remove the line")
        yield number, each
