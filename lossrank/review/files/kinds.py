"""The files that rows go out in and decisions come back in, by kind."""

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
    """What the module of a kind of file has; FileKind says what each function does."""

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]: ...

    def write(self, path: Path, records: list[ReviewRecord]) -> None: ...

    def advice(self, form: Form) -> str | None: ...

    def read(self, path: Path, run: RunDirectory, annotator: str) -> Reading: ...


@dataclass(frozen=True)
class FileKind:
    """A kind of file, the endings that its files have, and whether it says when each decision was made."""

    format: FileFormat
    endings: tuple[str, ...]
    dated: bool = False

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        """Part the records that the file can hold from those that it can't, with the reason."""
        return self.format.accept(records)

    def write(self, path: Path, records: list[ReviewRecord], *, force: bool = False) -> None:
        """Write the records in order; the file is there whole or not at all.

        Raises:
            RunError: the file exists (without ``force``), the disk is full or the folder can't be written.
        """
        refuse_existing(path, force)
        self.format.write(path, records)

    def advice(self, form: Form) -> str | None:
        """Return in one line what to do with a file that was written, None if it goes without saying.

        Raises:
            ReviewError: the tool can't show a class's name.
        """
        return self.format.advice(form)

    def read(self, path: Path, run: RunDirectory, annotator: str) -> Reading:
        """Read what people decided of the run's rows; ``annotator`` did where the file names nobody.

        Raises:
            RunError: the file can't be read as this kind; the message has the place in it.
        """
        if not path.is_file():
            raise FileError(f"there is no file {path}")
        return self.format.read(path, run, annotator)


FILES = {
    "csv": FileKind(csv_file, (".csv",)),
    "jsonl": FileKind(jsonl, (".jsonl",)),
    "label-studio": FileKind(label_studio_file, (".json",), dated=True),
    "doccano": FileKind(doccano, (".zip",)),
}


def read_files(paths: Sequence[Path], kind: str, run: RunDirectory) -> Reading:
    """Read files of one kind as one.

    Where a file names no annotator, its own name without the ending does.

    Raises:
        RunError: two files have one name, or one can't be read as this kind; the message has the place in it.
    """
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise RunError(
                f"{names[path.stem]} and {path} have one name, which says whose decisions they are where the file "
                "doesn't; rename one of them"
            )
        names[path.stem] = path
    readings = [FILES[kind].read(path, run, name) for name, path in names.items()]
    answers = [answer for each in readings for answer in each.answers]
    undecided: dict[tuple[int, str], str] = {}
    for each in readings:
        for key, moment in each.undecided.items():
            undecided[key] = max(moment, undecided.get(key, moment))
    return Reading(answers, sum(each.foreign for each in readings), undecided)
