"""decide(): store decisions that a program or a notebook makes, as the review page stores a person's."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, class_named
from lossrank.review.store import DecisionStore
from scorer.audit.given import given_labels
from scorer.errors import RunError
from scorer.run.directory import RunDirectory
from scorer.text import nearest, some


class Verdict(Enum):
    """What ``Run.decide`` does with a row that gets no other class.

    ``KEEP``: the given label is right. ``DISCARD``: the row is an example of none of the classes.
    """

    KEEP = KEPT
    DISCARD = DISCARDED


KEEP, DISCARD = Verdict.KEEP, Verdict.DISCARD


def decide(run: RunDirectory, decisions: Mapping[int, str | Verdict], annotator: str) -> None:
    """Store decisions on rows, all or none.

    Args:
        run: a finished run.
        decisions: for each row number the name of its right class, ``KEEP`` or ``DISCARD``.
        annotator: the name to record with the decisions.

    Raises:
        RunError: a row or class does not exist, a row without a label is kept, or ``annotator`` is not printable.
        RunError: the store can't be written.
        TypeError: ``decisions`` is neither a dictionary nor a Series.
    """
    if not isinstance(annotator, str) or not annotator.strip() or not annotator.isprintable():
        raise RunError(f"`annotator` is {annotator!r}; it must be a printable name")
    pairs = [(_row(row, run), choice) for row, choice in _items(decisions)]
    chosen = dict(pairs)
    if len(chosen) < len(pairs):
        raise RunError(f"`decisions` has {len(pairs)} decisions on {len(chosen)} rows; give one decision on each row")
    given = given_labels(run, sorted(chosen))
    made = [(row, *_verdict(row, choice, given[row], run)) for row, choice in chosen.items()]
    with DecisionStore(run) as store:
        store.decide_all(made, annotator=annotator.strip())


def _items(decisions: Any) -> Iterable[tuple[int, str | Verdict]]:
    """Return the pairs of a dictionary, or of a pandas Series whose index has the row numbers."""
    if not hasattr(decisions, "items"):
        raise TypeError(
            f"`decisions` is of type {type(decisions).__name__}; it must be a dictionary from row numbers to classes, "
            "or a pandas Series with the row numbers as its index"
        )
    pairs: Iterable[tuple[int, str | Verdict]] = decisions.items()
    return pairs


def _row(row: int, run: RunDirectory) -> int:
    if isinstance(row, bool) or not hasattr(row, "__index__"):  # numpy's and pandas' integers have it too
        raise RunError(f"{row!r} is no row number; a row number is a whole number")
    number = row.__index__()
    if not 0 <= number < run.num_rows:
        raise RunError(f"there is no row {number}; the data has rows 0 to {run.num_rows - 1}")
    return number


def _verdict(row: int, choice: str | Verdict, given: str | None, run: RunDirectory) -> tuple[str, str | None]:
    """Return the verdict and the new class, None unless the row is relabelled."""
    if choice is KEEP and given is None:
        raise RunError(f"row {row} has no label of the model to keep; give its class, or `lossrank.DISCARD`")
    if isinstance(choice, Verdict):
        return choice.value, None
    name = class_named(choice, run.class_names) if isinstance(choice, str) else None
    if name is None:
        close = nearest(choice, list(run.class_names)) if isinstance(choice, str) else ""
        raise RunError(
            f"row {row} can't get class {choice!r}{close}; give one of {some(run.class_names)}, or "
            "`lossrank.KEEP` or `lossrank.DISCARD`"
        )
    return (KEPT, None) if name == given else (RELABELLED, name)
