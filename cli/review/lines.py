"""JSON lines: written one object a line, read with the line's number."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from cli.review.decided import FileError
from scorer.files import write_atomically


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
