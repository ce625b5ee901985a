"""Review records as a file: JSON lines, each the body that Rubrix would get."""

from collections.abc import Iterable
from pathlib import Path

from cli.ranking import refuse_existing
from cli.review.records import ReviewRecord
from cli.review.rubrix_record import encode
from scorer.files import write_atomically


def write_jsonl(path: Path, records: Iterable[ReviewRecord], *, force: bool = False) -> None:
    """Write one line per record, in order; the file is there whole or not at all.

    Raises:
        RunError: the file exists (without ``force``), the disk is full or the folder can't be written; an older file
            is left as it was.
    """
    refuse_existing(path, force)
    write_atomically(path, lambda stream: stream.writelines(encode(record) + b"\n" for record in records))
