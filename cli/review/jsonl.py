"""Review records as a file: JSON lines, each the body that Rubrix would get."""

from collections.abc import Iterable
from pathlib import Path

from cli.review.records import ReviewRecord
from cli.review.rubrix_record import encode, screen
from cli.review.server import Form
from scorer.files import write_atomically

__all__ = ["screen", "write"]


def write(path: Path, records: Iterable[ReviewRecord], form: Form) -> None:
    """Write one line per record, in order; the file is there whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file is left as it was.
    """
    write_atomically(path, lambda stream: stream.writelines(encode(record) + b"\n" for record in records))
