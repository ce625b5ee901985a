"""Turn the words that people wrote in a file (a class name, ``keep`` or ``discard``) into answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lossrank.review.decision import Answer, class_named, utc_text
from scorer import RunDirectory, RunError
from scorer.audit.given import given_labels
from scorer.text import some

KEEP, DISCARD = "keep", "discard"
_LONGEST = 60  # characters of a wrong word in an error message


class FileError(RunError):
    """Raised if a file of decisions can't be read; the message may quote the file's text."""

    quotes_data = True


@dataclass(frozen=True)
class FileAnswer:
    """The word that one person wrote for one row; ``where`` is its position in the file, such as ``line 7``.

    ``given`` is the row's given label in the file, None if the file has none; ``several`` is as in ``Answer``.
    """

    row: int
    word: str
    annotator: str
    where: str
    given: str | None = None
    several: bool = False


def written_at(path: Path) -> str:
    """Return when a file was last written, in the format of ``Answer.answered_at``."""
    return utc_text(datetime.fromtimestamp(path.stat().st_mtime, UTC))


def words(run: RunDirectory) -> str:
    """Return the words that a decision may be, listed for a message."""
    return f"{some(run.class_names)}, {KEEP} or {DISCARD}"


def to_answers(path: Path, written: Iterable[FileAnswer], run: RunDirectory, *, strict: bool = True) -> list[Answer]:
    """Return the answers for the words in a file, dated by the file's last save; the case of words is ignored.

    Without ``strict``, a word that is not allowed becomes the answer's label.

    Raises:
        FileError: (if ``strict``) a word is not allowed.
        FileError: (if ``strict``) a word is ``keep``, but the row has no label, or another label than in the file.
        FileError: (if ``strict``) one person wrote two different answers for a row.
        RunError: a row does not exist.
    """
    moment = written_at(path)
    entries = list(written)
    given = given_labels(run, sorted({entry.row for entry in entries}))
    answers = []
    first: dict[tuple[int, str], tuple[str, str | None]] = {}  # where a person first answered a row, and the label
    for entry in entries:
        try:
            label = entry.word if entry.several else _label(path, entry, run, given[entry.row])
        except FileError:
            if strict:
                raise
            label = entry.word
        where, before = first.setdefault((entry.row, entry.annotator), (entry.where, label))
        if strict and before != label:
            both = " and ".join(DISCARD if answer is None else repr(answer) for answer in (before, label))
            what = f"{entry.annotator} decides row {entry.row} twice, as {both}"
            raise FileError(f"{path}, {where} and {entry.where}: {what}; keep one of them")
        answers.append(Answer(entry.row, entry.annotator, label, moment, entry.several))
    return answers


def _label(path: Path, entry: FileAnswer, run: RunDirectory, given: str | None) -> str | None:
    if (name := class_named(entry.word, run.class_names)) is not None:
        return name
    if entry.word.casefold() == DISCARD:
        return None
    if entry.word.casefold() != KEEP:
        word = entry.word if len(entry.word) <= _LONGEST else f"{entry.word[:_LONGEST]}..."
        raise FileError(f"{path}, {entry.where}: the decision is {word!r}; it must be one of: {words(run)}")
    if given is None:
        what = f"row {entry.row} has no label to keep that is a class of the model"
        raise FileError(f"{path}, {entry.where}: {what}; write its class, or {DISCARD}")
    shown = class_named(entry.given or "", run.class_names)
    if shown not in (None, given):
        what = f"the decision keeps {shown!r}, but the label of row {entry.row} in {run.path} is {given!r}"
        raise FileError(f"{path}, {entry.where}: {what}; write the right class")
    return given
