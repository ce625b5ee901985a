"""doccano's JSON lines for text classification: the examples that it imports, and its export, zipped or not."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lossrank.review import flat_record as flat
from lossrank.review.decision import Reading
from lossrank.review.files.answers import DISCARD, FileAnswer, FileError, to_answers, written_at
from lossrank.review.files.jsonl import read_lines, write_lines
from lossrank.review.records import Refusal, ReviewRecord, parted, row_of
from lossrank.review.servers.server import Form
from scorer import RunDirectory

_EVERYBODY = "all"  # the name of the only file of a project whose members share their labels


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Part the records that doccano can take from those it would refuse, with the reason."""
    fit, refused = flat.accept(records)
    taken, empty = parted(fit, lambda record: None if _text(record) else "the text is empty")
    return taken, [*refused, *empty]


def write(path: Path, records: list[ReviewRecord]) -> None:
    """Write one example per line; the file is there whole or not at all.

    Labels are left to people: a label that doccano had been given would come back as somebody's.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file is left as it was.
    """
    write_lines(path, map(_example, records))


def advice(form: Form) -> str:
    """Say what doccano needs beside the file."""
    labels = ", ".join([*form.class_names, DISCARD])
    return f"Import it as JSONL into a text classification project, single label, with the labels {labels}"


def read(path: Path, run: RunDirectory, annotator: str) -> Reading:
    """Read an export as JSONL; of a zip file, every member's file, which has their name.

    Several labels of one example decide nothing: whose they are is not in the file.

    Raises:
        FileError: a line can't be read; the message has its number.
    """
    said: list[FileAnswer] = []
    undecided: set[tuple[int, str]] = set()
    foreign = 0
    try:
        for name, stream in _files(path):
            where = f"{name}, " if name else ""
            member = PurePosixPath(name).stem
            who = annotator if member in ("", _EVERYBODY) else member
            for number, line in read_lines(f"{path}{f', {name}' if name else ''}", stream):
                row = row_of(line.get(flat.RECORD_ID), run.data_fingerprint)
                labels = line.get("label")
                if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
                    raise FileError(
                        f"{path}, {where}line {number}: it has no list 'label'; export from doccano as JSONL"
                    )
                if row is None:
                    foreign += 1
                elif labels:
                    said.append(
                        FileAnswer(row, ", ".join(labels), who, f"{where}line {number}", several=len(labels) > 1)
                    )
                else:
                    undecided.add((row, who))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:  # so does zipfile
        raise FileError(f"{path} is no zip file as doccano writes it ({error}); export it again") from None
    return Reading(to_answers(path, said, run, strict=False), foreign, dict.fromkeys(undecided, written_at(path)))


def _files(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield an export's files, with their names where they are in a zip file."""
    if path.suffix.lower() != ".zip":
        with path.open("rb") as stream:
            yield "", stream
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")]
        if not names:
            raise FileError(f"{path} holds no .jsonl file; export from doccano as JSONL")
        for name in names:
            with archive.open(name) as stream:
                yield name, stream


def _example(record: ReviewRecord) -> dict[str, Any]:
    # doccano reads a file through pandas, where a missing number is a NaN that its database refuses
    known = {key: "" if value is None else value for key, value in flat.flat(record).items()}
    return {"text": _text(record), "label": [], **known}


def _text(record: ReviewRecord) -> str:
    """Return a record's texts as the one that doccano shows."""
    if len(record.inputs) == 1:
        return next(iter(record.inputs.values()))
    return "\n\n".join(f"{field}: {text}" for field, text in record.inputs.items())
