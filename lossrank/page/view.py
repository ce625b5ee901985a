"""What the templates show: the rows, their classes and the filters in the words of the page."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lossrank.page.rows import PageRow
from lossrank.page.selection import class_key, pair_key
from lossrank.review.decision import DISCARDED, KEPT, Decision

KEYS = 9  # classes with a key, and the most that are shown as buttons
MOST = 20_000  # characters of a text that are shown at once
_EXCERPT = 320  # characters of a text in a list
_BEFORE = 80  # of them before what was searched for, if that is far from the start

Parts = list[tuple[str, bool]]  # pieces of a text, and whether each is what was searched for


@dataclass(frozen=True)
class Choice:
    """A class that a row can be given: ``key`` is the key to press, "" without one; ``share`` is in percent."""

    index: int
    name: str
    key: str
    share: float
    is_given: bool
    is_predicted: bool
    is_chosen: bool


@dataclass(frozen=True)
class Option:
    """One line of a filter."""

    value: str
    name: str
    count: int


def choices(row: PageRow, class_names: Sequence[str], decision: Decision | None) -> list[Choice]:
    """Return every class, those with a key first.

    Up to nine classes keep the model's order, so that a key is always the same class. Of more of them the most probable
    have the keys.
    """
    probs = row.scores.probs
    order = list(range(len(class_names)))
    if len(order) > KEYS:
        order.sort(key=lambda index: -probs[index])
    return [
        Choice(
            index,
            class_names[index],
            str(place) if place <= KEYS else "",
            100.0 * probs[index],
            index == row.scores.label,
            index == row.scores.predicted,
            decision is not None and decision.label == class_names[index],
        )
        for place, index in enumerate(order, start=1)
    ]


def class_options(labels: Iterable[int | None], class_names: Sequence[str]) -> list[Option]:
    """Return a filter's classes and how many rows have each, in the model's order; rows without one come last."""
    counts = Counter(class_key(label) for label in labels)
    keys = [*map(str, range(len(class_names))), "none"]
    names = [*class_names, "no class of the model"]
    return [Option(key, name, counts[key]) for key, name in zip(keys, names, strict=True) if counts[key]]


def pair_options(rows: Iterable[PageRow], class_names: Sequence[str]) -> list[Option]:
    """Return the pairs of given and predicted class that differ, the most frequent first."""
    confused = [row for row in rows if row.scores.label not in (None, row.scores.predicted)]
    names = {pair_key(row): f"{row.given} → {class_names[row.scores.predicted]}" for row in confused}
    return [Option(key, names[key], count) for key, count in Counter(map(pair_key, confused)).most_common()]


def verdict(decision: Decision) -> str:
    """Return what was decided, in the words of the page."""
    return f"relabelled to {decision.label}" if decision.label is not None else decision.verdict


def when(decision: Decision) -> str:
    """Return when it was decided, in this machine's time zone if that has such a year."""
    try:
        return datetime.fromisoformat(decision.decided_at).astimezone().strftime("%Y-%m-%d %H:%M")
    except OverflowError:  # what comes from elsewhere may be dated in the year 1 or 9999
        return decision.decided_at


def parts(text: str, search: str) -> Parts:
    """Cut a text at each place of what was searched for, case ignored."""
    if not search:
        return [(text, False)]
    pieces = re.split(f"({re.escape(search)})", text, flags=re.IGNORECASE)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]


def excerpt(text: str, search: str) -> Parts:
    """Return the start of a text for a list, or its piece around what was searched for."""
    found = re.search(re.escape(search), text, flags=re.IGNORECASE) if search else None
    start = found.start() - _BEFORE if found and found.start() > _EXCERPT // 2 else 0
    piece = " ".join(text[start : start + _EXCERPT].split())
    before, after = "… " if start else "", " …" if start + _EXCERPT < len(text) else ""
    return parts(f"{before}{piece}{after}", search)


def tally(decisions: Mapping[int, Decision]) -> str:
    """Say how many decisions there are, and of which kind."""
    kinds = Counter(decision.verdict for decision in decisions.values())
    if not kinds:
        return "no decisions yet"
    total = sum(kinds.values())
    relabelled = total - kinds[KEPT] - kinds[DISCARDED]
    counts = f"{kinds[KEPT]:,} kept, {relabelled:,} relabelled, {kinds[DISCARDED]:,} discarded"
    return f"{total:,} decision{'s' if total > 1 else ''} ({counts})"


def per_hour(made: Sequence[datetime]) -> float:
    """Return how many decisions an hour were made, by when they were made within one hour, ascending.

    Less than a minute counts as one: two keys in one second are not 3,600 decisions an hour.
    """
    if len(made) < 2:
        return float(len(made))
    return 3600.0 * (len(made) - 1) / max((made[-1] - made[0]).total_seconds(), 60.0)
