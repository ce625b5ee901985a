"""FILES: the kinds of files that rows are written to and decisions are read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lossrank.review.decision import Reading
from lossrank.review.files import csv_file, doccano, jsonl
from lossrank.review.files import label_studio as label_studio_file
from lossrank.review.files.answers import FileError
from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.server import Form
from scorer import RunDirectory, RunError
from scorer.run.protect import refuse_existing


class FileFormat(Protocol):
    """The functions in the module of a file format; ``FileKind`` documents them."""

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]: ...

    def write(self, path: Path, records: list[ReviewRecord]) -> None: ...

    def advice(self, form: Form) -> str | None: ...

    def read(self, path: Path, run: RunDirectory, annotator: str) -> Reading: ...


@dataclass(frozen=True)
class FileKind:
    """A kind of file: the module of its format, its file name endings, and whether each decision in it has a date."""

    format: FileFormat
    endings: tuple[str, ...]
    dated: bool = False

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        """Return the records that the file can contain, and a Refusal for each other record."""
        return self.format.accept(records)

    def write(self, path: Path, records: list[ReviewRecord], *, force: bool = False) -> None:
        """Write the records in order; the file is written whole or not at all.

        Raises:
            RunError: the file exists and ``force`` is false.
            RunError: the disk is full or the folder can't be written.
        """
        refuse_existing(path, force)
        self.format.write(path, records)

    def advice(self, form: Form) -> str | None:
        """Return one line on how to use the written file, or None if it needs no advice.

        Raises:
            ReviewError: the tool can't show the name of a class.
        """
        return self.format.advice(form)

    def read(self, path: Path, run: RunDirectory, annotator: str) -> Reading:
        """Read people's answers to the run's rows; ``annotator`` names the person where the file doesn't.

        Raises:
            RunError: the file can't be read as this kind; the message says where.
        """
        if not path.is_file():
            raise FileError(f"the file {path} does not exist")
        return self.format.read(path, run, annotator)


FILES = {
    "csv": FileKind(csv_file, (".csv",)),
    "jsonl": FileKind(jsonl, (".jsonl",)),
    "label-studio": FileKind(label_studio_file, (".json",), dated=True),
    "doccano": FileKind(doccano, (".zip",)),
}


def read_files(paths: Sequence[Path], kind: str, run: RunDirectory) -> Reading:
    """Read several files of one kind together; where a file names no annotator, the file's name is used.

    Raises:
        RunError: two files have the same name.
        RunError: a file can't be read as this kind; the message says where.
    """
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise RunError(
                f"{names[path.stem]} and {path} have the same name, which is used as the annotator's name; "
                "rename one of them"
            )
        names[path.stem] = path
    readings = [FILES[kind].read(path, run, name) for name, path in names.items()]
    answers = [answer for reading in readings for answer in reading.answers]
    undecided: dict[tuple[int, str], str] = {}
    for reading in readings:
        for key, moment in reading.undecided.items():
            undecided[key] = max(moment, undecided.get(key, moment))
    return Reading(answers, sum(reading.foreign for reading in readings), undecided)
