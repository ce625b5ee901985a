"""What people wrote in a file to decide of rows: a class's name, ``keep`` or ``discard``."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lossrank.review.decision import Answer, class_named, utc_text
from scorer import RunDirectory, RunError
from scorer.run.directory import given_labels

KEEP, DISCARD = "keep", "discard"
_LONGEST = 60  # characters of a wrong word that an error shows


class FileError(RunError):
    """A file of decisions can't be read; the message may have a word of it."""

    quotes_data = True


@dataclass(frozen=True)
class FileAnswer:
    """One person's word on one row, and where in the file it is, such as ``line 7``.

    ``given`` is the label that the file shows for the row, as far as it does; ``several`` is as of ``Answer``.
    """

    row: int
    word: str
    annotator: str
    where: str
    given: str | None = None
    several: bool = False


def written_at(path: Path) -> str:
    """Return when a file was last written, as ``Answer.answered_at`` has it."""
    return utc_text(datetime.fromtimestamp(path.stat().st_mtime, UTC))


def words(run: RunDirectory) -> str:
    """Return what may be written, as a message lists it."""
    return f"{', '.join(run.class_names)}, {KEEP} or {DISCARD}"


def to_answers(path: Path, said: Iterable[FileAnswer], run: RunDirectory, *, strict: bool = True) -> list[Answer]:
    """Return people's words as answers, given when the file was last written; upper and lower case are one.

    Without ``strict`` a word that means nothing, or several things, stays the answer's label.

    Raises:
        FileError: a word is none of those that may be written, it keeps a row that has no label, or another one than
            the file shows, or one person has two words on a row that differ, and ``strict``; the message has their
            places.
        RunError: there is no such row.
    """
    moment = written_at(path)
    all_said = list(said)
    given = given_labels(run, sorted({one.row for one in all_said}))
    answers = []
    first: dict[tuple[int, str], tuple[str, str | None]] = {}  # where, and what, somebody said of a row
    for one in all_said:
        try:
            label = one.word if one.several else _label(path, one, run, given[one.row])
        except FileError:
            if strict:
                raise
            label = one.word
        where, before = first.setdefault((one.row, one.annotator), (one.where, label))
        if strict and before != label:
            both = " and ".join(DISCARD if each is None else repr(each) for each in (before, label))
            what = f"{one.annotator} decides row {one.row} twice, {both}"
            raise FileError(f"{path}, {where} and {one.where}: {what}; keep one of them")
        answers.append(Answer(one.row, one.annotator, label, moment, one.several))
    return answers


def _label(path: Path, said: FileAnswer, run: RunDirectory, given: str | None) -> str | None:
    if (name := class_named(said.word, run.class_names)) is not None:
        return name
    if said.word.casefold() == DISCARD:
        return None
    if said.word.casefold() != KEEP:
        word = said.word if len(said.word) <= _LONGEST else f"{said.word[:_LONGEST]}..."
        raise FileError(f"{path}, {said.where}: the decision {word!r} is none; write one of: {words(run)}")
    if given is None:
        what = f"row {said.row} has no label of the model's classes to keep"
        raise FileError(f"{path}, {said.where}: {what}; write its class, or {DISCARD}")
    shown = class_named(said.given or "", run.class_names)
    if shown not in (None, given):
        what = f"it keeps {shown!r}, and the label of row {said.row} in {run.path} is {given!r}"
        raise FileError(f"{path}, {said.where}: {what}; write the class that is right")
    return given
