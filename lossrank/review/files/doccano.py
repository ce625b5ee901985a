"""Write examples as JSON lines that doccano imports for text classification, and read its exports, zipped or not."""

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
from scorer.text import some

_EVERYBODY = "all"  # the name of the only file if the project's members share their labels


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records that doccano accepts, and a Refusal for each other record."""
    encodable, refused = flat.accept(records)
    accepted, empty = parted(encodable, lambda record: None if _text(record) else "the text is empty")
    return accepted, [*refused, *empty]


def write(path: Path, records: list[ReviewRecord]) -> None:
    """Write one example per line; the file is written whole or not at all.

    The examples have no labels, because doccano would export a given label as a person's answer.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file stays unchanged.
    """
    write_lines(path, map(_example, records))


def advice(form: Form) -> str:
    """Return how to import the file into doccano."""
    labels = f"{some(form.class_names, 1000)}, {DISCARD}"
    return f"Import the file as JSONL into a text classification project, single label, with the labels {labels}"


def read(path: Path, run: RunDirectory, annotator: str) -> Reading:
    """Read the decisions in a JSONL export, or in a zip file with a JSONL file per project member.

    A file in a zip file is named after the member; ``annotator`` is used for other files. An example with several
    labels decides nothing.

    Raises:
        FileError: the zip file or a line can't be read; the message has the line's number.
    """
    written: list[FileAnswer] = []
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
                        f"{path}, {where}line {number}: the list 'label' is missing; export from doccano as JSONL"
                    )
                if row is None:
                    foreign += 1
                elif labels:
                    line_at = f"{where}line {number}"
                    written.append(FileAnswer(row, ", ".join(labels), who, line_at, several=len(labels) > 1))
                else:
                    undecided.add((row, who))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise FileError(f"{path} is not a zip file of doccano ({error}); export it again") from None
    return Reading(to_answers(path, written, run, strict=False), foreign, dict.fromkeys(undecided, written_at(path)))


def _files(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, stream) of each file in a zipped export, or of the export itself with an empty name."""
    if path.suffix.lower() != ".zip":
        with path.open("rb") as stream:
            yield "", stream
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")]
        if not names:
            raise FileError(f"{path} contains no .jsonl file; export from doccano as JSONL")
        for name in names:
            with archive.open(name) as stream:
                yield name, stream


def _example(record: ReviewRecord) -> dict[str, Any]:
    # doccano reads files with pandas, which turns null into NaN, and its database refuses NaN
    known = {key: "" if value is None else value for key, value in flat.flat(record).items()}
    return {"text": _text(record), "label": [], **known}


def _text(record: ReviewRecord) -> str:
    """Return a record's texts as the single text that doccano shows."""
    if len(record.inputs) == 1:
        return next(iter(record.inputs.values()))
    return "\n\n".join(f"{field}: {text}" for field, text in record.inputs.items())
