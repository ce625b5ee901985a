"""Review records as a file: JSON lines, each the body that Rubrix would get."""

from collections.abc import Iterable
from pathlib import Path

from cli.review.records import ReviewError, ReviewRecord
from cli.review.rubrix_record import encode
from scorer.files import write_atomically


def refuse_existing(path: Path, *, force: bool) -> None:
    """Pass a file that may be written.

    Raises:
        ReviewError: it exists, and ``force`` is not set; or it is a folder.
    """
    if path.is_dir():
        raise ReviewError(f"{path} is a folder; give -o a file in it")
    if path.exists() and not force:
        raise ReviewError(f"{path} exists; choose another file with -o, or replace it with --force")


def write_jsonl(path: Path, records: Iterable[ReviewRecord], *, force: bool = False) -> None:
    """Write one line per record, in order; the file is there whole or not at all.

    Raises:
        ReviewError: the file exists, and ``force`` is not set.
        RunError: the disk is full or the folder can't be written; an older file is left as it was.
    """
    refuse_existing(path, force=force)
    write_atomically(path, lambda stream: stream.writelines(encode(record) + b"\n" for record in records))
