"""Decision: what one person decided of one row; what a person answered on a server; where the rows were logged to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scorer import RunError

KEPT, RELABELLED, DISCARDED = "kept", "relabelled", "discarded"
VERDICTS = (KEPT, RELABELLED, DISCARDED)
UNREVIEWED = "unreviewed"  # the status of a row without a decision
TOGETHER = "; "  # between the names of several who decided alike; a name may well be "Lee, Ann"
HERE = "review"  # the source of a decision that was made on the page of `lossrank review`


@dataclass(frozen=True)
class Decision:
    """What one person decided of one row: ``label`` is the class name of a relabelled one, None of the others.

    ``source`` is where: ``review`` or the review tool's name. ``decided_at`` is ISO 8601 in UTC with microseconds, so
    that decisions sort by it as text. ``number`` is its place in the journal, 0 before it has one.
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
    """What one person said of one row: a class name, or None where they discarded the row.

    ``answered_at`` is like ``Decision.decided_at``. ``several`` says that ``label`` names several classes at once,
    which decides nothing, whatever the model's classes are called.
    """

    row: int
    annotator: str
    label: str | None
    answered_at: str
    several: bool = False

    @property
    def choice(self) -> tuple[str | None, bool]:
        """What people agree on if it is the same."""
        return self.label, self.several


@dataclass(frozen=True)
class ServerDataset:
    """Where on a server rows of a run were logged to; never with a key or password."""

    tool: str
    url: str
    workspace: str | None
    name: str


class ConflictError(RunError):
    """A row has another decision than the one that was seen; ``current`` is it, None if it has none any more."""

    def __init__(self, message: str, current: Decision | None) -> None:
        super().__init__(message)
        self.current = current


def utc_text(moment: str | datetime) -> str:
    """Return a moment, as ISO 8601 or a datetime (UTC where it has no zone), as ``Decision.decided_at`` has it.

    Raises:
        ValueError: it is no moment.
    """
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    try:
        utc = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{moment} is before the year 1 or after 9999 in UTC") from error
    return utc.isoformat(timespec="microseconds")


def now_text() -> str:
    """Return the machine's time as ``Decision.decided_at`` has it."""
    return utc_text(datetime.now(UTC))


@dataclass(frozen=True)
class Reading:
    """What a file or a server holds: answers to rows of the run's data, and how many records are of ``foreign`` data.

    ``undecided`` are rows that are there without a decision, each with the person whose it would be, and when that
    was so: of a file, when it was last written.
    """

    answers: list[Answer]
    foreign: int
    undecided: Mapping[tuple[int, str], str]


def class_named(word: str, class_names: Collection[str]) -> str | None:
    """Return the class that a word is the name of, in small or capital letters; None if it is that of none, or several.

    A class of just this name goes before all.
    """
    if word in class_names:
        return word
    alike = [name for name in class_names if name.strip().casefold() == word.strip().casefold()]
    return alike[0] if len(alike) == 1 else None
