"""Prepare rows, classes, filters and decisions for the page's templates."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lossrank.page.rows import PageRow
from lossrank.page.selection import class_key, pair_key
from lossrank.review.decision import DISCARDED, KEPT, Decision

KEYS = 9  # classes that have a key and a button
TEXT_LIMIT = 20_000  # characters of a text that are shown at first
_EXCERPT = 320  # characters of a text in the list
_BEFORE = 80  # characters of an excerpt before the match, if the match is far from the start

Parts = list[tuple[str, bool]]  # pieces of a text, and whether each matches the search


@dataclass(frozen=True)
class Choice:
    """A class that a person can choose for a row.

    ``key`` is the key that chooses the class, or "" if no key does. ``share`` is the class's probability in percent.
    """

    index: int
    name: str
    key: str
    share: float
    is_given: bool
    is_predicted: bool
    is_chosen: bool


@dataclass(frozen=True)
class Option:
    """One value of a filter, the name that is shown for the value, and the number of rows that have it."""

    value: str
    name: str
    count: int


def choices(row: PageRow, class_names: Sequence[str], decision: Decision | None) -> list[Choice]:
    """Return a choice for every class whose probability the run keeps, the classes with a key first.

    If the model has at most nine classes, they are in the model's order, so a key means the same class for every row.
    If it has more, the row's most probable classes come first, and the first nine have keys.
    """
    probs = row.scores.known_probs()
    order = list(probs)
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
    """Return the filter values of the labels that occur, in class order; "no class of the model" is last."""
    counts = Counter(class_key(label) for label in labels)
    keys = [*map(str, range(len(class_names))), "none"]
    names = [*class_names, "no class of the model"]
    return [Option(key, name, counts[key]) for key, name in zip(keys, names, strict=True) if counts[key]]


def pair_options(rows: Iterable[PageRow], class_names: Sequence[str]) -> list[Option]:
    """Return the filter values of pairs of a given and a different predicted class, the most frequent pair first."""
    confused = [row for row in rows if row.scores.label not in (None, row.scores.predicted)]
    names = {pair_key(row): f"{row.given} → {class_names[row.scores.predicted]}" for row in confused}
    return [Option(key, names[key], count) for key, count in Counter(map(pair_key, confused)).most_common()]


def verdict(decision: Decision) -> str:
    """Return a decision in the words of the page, such as "kept" or "relabelled to Sports"."""
    return f"relabelled to {decision.label}" if decision.label is not None else decision.verdict


def when(decision: Decision) -> str:
    """Return when a decision was made, in this machine's time zone, or the time as stored if it can't be converted."""
    try:
        return datetime.fromisoformat(decision.decided_at).astimezone().strftime("%Y-%m-%d %H:%M")
    except OverflowError:  # another tool's decision may be dated in the year 1 or 9999
        return decision.decided_at


def parts(text: str, search: str) -> Parts:
    """Split a text before and after each match of ``search``, ignoring case."""
    if not search:
        return [(text, False)]
    pieces = re.split(f"({re.escape(search)})", text, flags=re.IGNORECASE)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]


def excerpt(text: str, search: str) -> Parts:
    """Return the part of a text that the list shows: its start, or the text around a match of ``search`` further on."""
    found = re.search(re.escape(search), text, flags=re.IGNORECASE) if search else None
    start = found.start() - _BEFORE if found and found.start() > _EXCERPT // 2 else 0
    piece = " ".join(text[start : start + _EXCERPT].split())
    before, after = "… " if start else "", " …" if start + _EXCERPT < len(text) else ""
    return parts(f"{before}{piece}{after}", search)


def tally(decisions: Mapping[int, Decision]) -> str:
    """Return how many decisions there are, such as "3 decisions (1 kept, 1 relabelled, 1 discarded)"."""
    kinds = Counter(decision.verdict for decision in decisions.values())
    if not kinds:
        return "no decisions yet"
    total = sum(kinds.values())
    relabelled = total - kinds[KEPT] - kinds[DISCARDED]
    counts = f"{kinds[KEPT]:,} kept, {relabelled:,} relabelled, {kinds[DISCARDED]:,} discarded"
    return f"{total:,} decision{'s' if total > 1 else ''} ({counts})"


def per_hour(made: Sequence[datetime]) -> float:
    """Return the number of decisions per hour, from the times of the last hour's decisions in ascending order.

    A period under one minute counts as one minute, because two decisions in a second don't mean 3,600 an hour.
    """
    if len(made) < 2:
        return float(len(made))
    return 3600.0 * (len(made) - 1) / max((made[-1] - made[0]).total_seconds(), 60.0)
