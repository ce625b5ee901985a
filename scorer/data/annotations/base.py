"""Shape: how the records of an annotation tool's export are read as rows; and what the tools' shapes have in common."""

import json
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias

import numpy as np

from scorer.errors import SourceError
from scorer.text import printable, short

Record: TypeAlias = dict[str, Any]

_FITTING = 0.9  # the share of the first records that must have a shape; the others are rows with a problem
_SEVERAL = 0.05  # the share of the labelled records with several labels above which the labels are multi-label


class NotARow(Exception):
    """A record does not fit the shape of its file; the message says why, and becomes the row's problem."""


class Tally:
    """What a pass over the records of one file has counted: records without a label by reason, and disagreements.

    It also remembers, in 16 bytes per labelled record, which tasks got which label, because some tools write each
    annotator's answer to a task as a record of its own.
    """

    def __init__(self) -> None:
        self.unlabelled: Counter[str] = Counter()
        self.disagreements = 0
        self._tasks = array("q")
        self._labels = array("q")

    def labelled(self, task: object, label: str) -> None:
        """Remember that a task, known by its id or text, got a label; a task that is None is not known again."""
        if task is not None:
            self._tasks.append(hash(task if isinstance(task, str | int) else repr(task)))
            self._labels.append(hash(label))

    @property
    def contradicted(self) -> int:
        """The number of tasks that got different labels in different records."""
        if not self._tasks:
            return 0
        tasks, labels = np.frombuffer(self._tasks, np.int64), np.frombuffer(self._labels, np.int64)
        order = np.lexsort((labels, tasks))
        tasks, labels = tasks[order], labels[order]
        differ = (tasks[1:] == tasks[:-1]) & (labels[1:] != labels[:-1])
        return len(np.unique(tasks[1:][differ]))


class Shape(ABC):
    """The records of one tool's export, and how each is read as a row.

    ``name`` is the tool's name.
    """

    name: ClassVar[str]

    @abstractmethod
    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        """Return a record as a plain row, whose label is text, or None if people gave none; ``tally`` counts these.

        The row no longer looks like the tool's record, so that it is read as it stands once it has been published.

        ``annotators`` is how one label is made of several people's: ``majority``, ``first``, or None for not given.

        Raises:
            NotARow: the record does not fit the shape.
            SourceError: people gave different labels, and ``annotators`` is None.
        """

    def note(self, tally: Tally) -> str:
        """Return a line for the user on how the file was read; ``tally`` has counted all of its records.

        Raises:
            SourceError: the same task got different labels in different records.
        """
        total = sum(tally.unlabelled.values())
        kinds = [f"{count:,} {reason}" for reason, count in tally.unlabelled.items()]
        parts = [f"{_listed(kinds)} record{'s have' if total > 1 else ' has'} no label"] if kinds else []
        if tally.disagreements:
            parts.append(
                f"annotators disagree on {tally.disagreements:,} record{'s' if tally.disagreements > 1 else ''}"
            )
        return f"read as {self.name}{': ' if parts else ''}{'; '.join(parts)}"


def single(value: Any) -> Any:
    """Return the only element of a list, None for an empty list, and any other value as it is.

    Raises:
        NotARow: the list has several elements, or its element is itself a list or an object.
    """
    if not isinstance(value, list | tuple):
        return value
    if len(value) > 1:
        raise NotARow(f"{len(value)} labels ({_listed([_shown(label) for label in value[:2]])}), not one")
    if value and isinstance(value[0], list | tuple | dict):
        raise NotARow(f"the label {_shown(value[0])} is not text or a number")
    return value[0] if value else None


def label_text(value: Any) -> str | None:
    """Return a label, or a list of one label, as text; None if there is none.

    Raises:
        NotARow: the value is several labels, or neither text nor a number.
    """
    label = single(value)
    if isinstance(label, dict):
        raise NotARow(f"the label {_shown(label)} is not text or a number")
    return label if label is None or isinstance(label, str) else json.dumps(label)


def agreed(
    labels: list[str], record: Record, annotators: str | None, tally: Tally | None, *, unlabelled: str = "unanswered"
) -> str | None:
    """Return the label of a record that several people labelled, in their order; None if there is none, or at a tie.

    Raises:
        SourceError: the labels differ, and ``annotators`` is None.
    """
    votes = Counter(labels)
    if len(votes) < 2:
        if not votes:
            count(tally, unlabelled)
        return labels[0] if labels else None
    if annotators is None:
        raise SourceError(
            f"people gave {where(record)} different labels ({_listed([_shown(label) for label in list(votes)[:2]])}); "
            "choose with `annotators='majority'` (a tie is no label) or `annotators='first'`",
            quotes_data=True,
        )
    if tally is not None:
        tally.disagreements += 1
    if annotators == "first":
        return labels[0]
    (label, most), (_, second) = votes.most_common(2)
    if most == second:
        count(tally, "tied")
        return None
    return label


def put(row: Record, column: str, value: str | None, origin: str) -> None:
    """Set a column of a row; a field with the column's name is kept as ``origin.column``."""
    if column in row:
        row[f"{origin}.{column}"] = row.pop(column)
    row[column] = value


def count(tally: Tally | None, reason: str) -> None:
    """Count a record without a label."""
    if tally is not None:
        tally.unlabelled[reason] += 1


def mostly(sample: list[Record], test: Callable[[Record], bool]) -> bool:
    """Return whether at least 9 of 10 of the first records pass a test; records that don't are rows with a problem."""
    return bool(sample) and sum(map(test, sample)) >= _FITTING * len(sample)


def are_multi_label(labels: Iterable[Any]) -> bool:
    """Return whether more than 5% of the labelled records have several labels; fewer are rows with a problem."""
    sizes = [len(value) if isinstance(value, list | tuple) else 1 for value in labels if value not in (None, [], ())]
    return sum(size > 1 for size in sizes) > _SEVERAL * len(sizes)


def refusal(name: str, what: str, instead: str) -> SourceError:
    """Return the error for an export that can't be read: what it holds, and how to convert it."""
    return SourceError(
        f"the records look like {name}'s and {what}, but lossrank reads one label per text: {instead}", quotes_data=True
    )


@contextmanager
def named(file: str) -> Iterator[None]:
    """Put a file's name in front of the messages of SourceErrors."""
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{short(file)}: {error}", quotes_data=error.quotes_data) from None


def where(record: Record) -> str:
    """Return words that name a record in a message: its id, or how its text starts."""
    for key in ("id", "doc_id", "external_id", "_input_hash"):
        if isinstance(record.get(key), str | int):
            return f"the record with {key} {short(printable(str(record[key])))}"
    text = record.get("text")
    return f"the record {short(printable(text))!r}" if isinstance(text, str) else "a record"


def texts(record: Record, names: Iterable[str]) -> bool:
    """Return whether all of the fields are texts."""
    return all(isinstance(record.get(name), str) for name in names)


def _shown(value: Any) -> str:
    return repr(short(printable(value if isinstance(value, str) else json.dumps(value, default=str))))


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
