"""Write tasks as JSON that Label Studio imports, and read its JSON exports."""

import json
from pathlib import Path
from typing import Any

from lossrank.review.decision import Answer, Reading
from lossrank.review.files.answers import FileError, written_at
from lossrank.review.flat_record import RECORD_ID
from lossrank.review.records import ReviewRecord, row_of
from lossrank.review.servers.label_studio.record import accept, answers, encode, label_config
from lossrank.review.servers.server import Form, ReviewError
from scorer import RunDirectory
from scorer.files import write_atomically

__all__ = ["accept", "advice", "read", "write"]


def write(path: Path, records: list[ReviewRecord]) -> None:
    """Write the records as one JSON list of tasks; the file is written whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written; an older file stays unchanged.
    """
    write_atomically(path, lambda stream: stream.write(b"[" + b",\n".join(map(encode, records)) + b"]\n"))


def advice(form: Form) -> str:
    """Return how to import the file into Label Studio."""
    return f"Import the file into a project with this labelling interface: {label_config(form)}"


def read(path: Path, run: RunDirectory, annotator: str) -> Reading:
    """Read the answers in a JSON export, which names the annotators; ``annotator`` is used for tasks without an answer.

    Raises:
        FileError: the file is not a JSON export of Label Studio; the message has the number of the bad task.
    """
    try:
        tasks: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # bytes that are not UTF-8 raise ValueError too
        raise FileError(f"{path} is not a JSON file ({error}); export the project from Label Studio as JSON") from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise FileError(f"{path} is not a list of tasks; export the project from Label Studio as JSON")
    found: list[Answer] = []
    undecided: set[tuple[int, str]] = set()
    foreign = 0
    for number, task in enumerate(tasks, 1):
        try:
            of_task = answers(task, run.data_fingerprint, {})
        except ReviewError as error:
            raise FileError(f"{path}, task {number}: {error}") from None
        row = row_of(task["data"].get(RECORD_ID), run.data_fingerprint)
        if row is None:
            foreign += 1
        elif of_task:
            found.extend(of_task)
        else:
            undecided.add((row, annotator))
    return Reading(found, foreign, dict.fromkeys(undecided, written_at(path)))
