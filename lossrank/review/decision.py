"""Decision, Answer and ServerDataset: what people decided and answered, and where rows were sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scorer import RunError

KEPT, RELABELLED, DISCARDED = "kept", "relabelled", "discarded"
VERDICTS = (KEPT, RELABELLED, DISCARDED)
UNREVIEWED = "unreviewed"  # the status of a row without a decision
TOGETHER = "; "  # joins the names of people who decided alike; a comma can be part of a name ("Lee, Ann")
HERE = "review"  # the source of decisions made on the page of `lossrank review`


@dataclass(frozen=True)
class Decision:
    """A decision on one row: ``verdict`` is ``kept``, ``relabelled`` or ``discarded``.

    ``label`` is the new class name if the row is relabelled, otherwise None. ``annotator`` is the person's name, or the
    names of all people who agreed, joined by semicolons. ``source`` is ``review`` (the review page, or ``Run.decide``)
    or the name of the review tool, kind of file or ``run`` from which the decision was pulled. ``decided_at`` is ISO
    8601 in UTC with microseconds, so sorting these texts sorts them by time. ``number`` is the decision's number in the
    store, 0 before it is stored.
    """

    row: int
    verdict: str
    label: str | None
    annotator: str
    source: str
    decided_at: str
    number: int = 0


@dataclass(frozen=True)
class Answer:
    """One person's answer to one row: a class name, or None if they discarded the row.

    ``answered_at`` has the format of ``Decision.decided_at``. If ``several`` is true, ``label`` lists more than one
    class, and the answer decides nothing.
    """

    row: int
    annotator: str
    label: str | None
    answered_at: str
    several: bool = False

    @property
    def choice(self) -> tuple[str | None, bool]:
        """Return (label, several); two answers agree if their choices are equal."""
        return self.label, self.several


@dataclass(frozen=True)
class ServerDataset:
    """A data set on a review server that rows of a run were sent to; no field contains a key or password."""

    tool: str
    url: str
    workspace: str | None
    name: str


@dataclass(frozen=True)
class Added:
    """Counts of the decisions that ``DecisionStore.add`` stored and undid.

    ``new`` counts the decisions that were not stored before. ``older`` of them are not in force, because their row has
    a later decision, and ``ahead`` of them were dated in the future. ``taken_back`` counts the rows whose earlier
    decision was undone without a new one.
    """

    new: int
    older: int
    ahead: int
    taken_back: int


class ConflictError(RunError):
    """Raised if a decision has changed since the person saw it; ``current`` is the decision now, or None."""

    def __init__(self, message: str, current: Decision | None) -> None:
        super().__init__(message)
        self.current = current


def utc_text(moment: str | datetime) -> str:
    """Convert an ISO 8601 text or a datetime to the format of ``Decision.decided_at``; a time without a zone is UTC.

    Raises:
        ValueError: the text is not ISO 8601, or the moment is before year 1 or after 9999 in UTC.
    """
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    try:
        utc = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{moment} is before the year 1 or after 9999 in UTC") from error
    return utc.isoformat(timespec="microseconds")


def now_text() -> str:
    """Return the current time in the format of ``Decision.decided_at``."""
    return utc_text(datetime.now(UTC))


@dataclass(frozen=True)
class Reading:
    """The answers in a file or on a server, and ``foreign``, the number of records that belong to other data.

    ``undecided`` maps the (row, annotator) of each record without an answer to the time up to which the answer is known
    to be missing: for a file the time of its last save, for a server the time of reading.
    """

    answers: list[Answer]
    foreign: int
    undecided: Mapping[tuple[int, str], str]


def class_named(word: str, class_names: Collection[str]) -> str | None:
    """Return the class with this name, ignoring case and blanks at the ends; None if no class or several classes match.

    An exact match wins over other matches.
    """
    if word in class_names:
        return word
    alike = [name for name in class_names if name.strip().casefold() == word.strip().casefold()]
    return alike[0] if len(alike) == 1 else None
