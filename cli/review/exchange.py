"""The files that rows go out in and decisions come back in, by kind.

Each kind's module has ``write(path, records, form)`` and ``read(path, fingerprint)``.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.ranking import refuse_existing
from cli.review.decision import Answer
from cli.review.records import Refusal, ReviewRecord
from cli.review.server import Form


@dataclass(frozen=True)
class FileKind:
    """A kind of file, and the ending that its files have."""

    module: str
    ending: str

    def screen(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        """Part the records that the file can hold from those that it can't, with the reason."""
        parted: tuple[list[ReviewRecord], list[Refusal]] = importlib.import_module(self.module).screen(records)
        return parted

    def write(self, path: Path, records: list[ReviewRecord], form: Form, *, force: bool = False) -> None:
        """Write the records in order; the file is there whole or not at all.

        Raises:
            RunError: the file exists (without ``force``), the disk is full or the folder can't be written.
        """
        refuse_existing(path, force)
        importlib.import_module(self.module).write(path, records, form)

    def read(self, path: Path, fingerprint: str) -> Iterator[Answer]:
        """Yield what people said of the rows of the data with this fingerprint; other records are passed over.

        Raises:
            RunError: the file can't be read as this kind; the message has the line.
        """
        answers: Iterator[Answer] = importlib.import_module(self.module).read(path, fingerprint)
        return answers


FILES = {
    "jsonl": FileKind("cli.review.jsonl", ".jsonl"),
}
