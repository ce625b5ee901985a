"""Selection: which of the rows the page shows, and where among them it is, as its address says."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self
from urllib.parse import urlencode

from lossrank.page.rows import PageRow

OPEN, DECIDED = "open", "decided"
LIST = "list"
_DIGITS = 18  # of a row number, and far more than one has


@dataclass(frozen=True)
class Selection:
    """Filters, all of which a row must pass, and the row that is looked at.

    ``given`` and ``predicted`` are class indices as text (``none`` for a row without a class), ``pair`` two of them as
    ``2:0``; ``""`` lets everything through. ``at`` is a row number, None for the first row that is open.
    """

    given: str = ""
    predicted: str = ""
    pair: str = ""
    status: str = ""
    search: str = ""
    view: str = ""
    full: str = ""
    at: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read an address's query; what it doesn't know is left out."""
        texts = {name: query.get(name, "") for name in ("given", "predicted", "pair", "status", "view", "full")}
        at = query.get("at", "")
        number = int(at) if at.isascii() and at.isdigit() and len(at) <= _DIGITS else None
        return cls(**texts, search=query.get("search", "").strip(), at=number)

    def query(self, **changes: str | int | None) -> str:
        """Return the address's query for this selection with changes, without the question mark."""
        fields = {**asdict(self), **changes}
        return urlencode({name: value for name, value in fields.items() if value not in ("", None)})

    @property
    def filters(self) -> bool:
        """Whether it leaves out rows."""
        return bool(self.given or self.predicted or self.pair or self.status or self.search)

    def matching(self, rows: Sequence[PageRow]) -> list[PageRow]:
        """Return the rows that pass every filter but the status, in their order."""
        search = self.search.casefold()
        return [
            row
            for row in rows
            if self.given in ("", class_key(row.scores.label))
            and self.predicted in ("", class_key(row.scores.predicted))
            and self.pair in ("", pair_key(row))
            and (not search or any(search in text.casefold() for text in row.texts.values()))
        ]

    def with_status(self, rows: Sequence[PageRow], decided: Container[int]) -> list[PageRow]:
        """Return those of ``rows`` that have the wanted status; ``decided`` are row numbers."""
        if self.status not in (OPEN, DECIDED):
            return list(rows)
        return [row for row in rows if (row.row in decided) == (self.status == DECIDED)]

    def current(self, rows: Sequence[PageRow], decided: Container[int]) -> PageRow | None:
        """Return the row to show of all ``rows``: the one at ``at``, else the first open one; None if none is."""
        if self.at is not None:
            for row in rows:
                if row.row == self.at:
                    return row
        matching = self.matching(rows)
        if self.status == DECIDED:
            return next(iter(self.with_status(matching, decided)), None)
        return next((row for row in matching if row.row not in decided), None)

    def after(self, current: PageRow, rows: Sequence[PageRow], decided: Container[int]) -> "Selection":
        """Return where to go once ``current`` is decided: the next open row, round the end; the start if none is left.

        Among decided rows only, it is the next of them.
        """
        matching = [row for row in self.matching(rows) if row is not current]
        wanted = DECIDED if self.status == DECIDED else OPEN
        left = replace(self, status=wanted).with_status(matching, decided)
        later = [row for row in left if row.rank > current.rank]
        following = next(iter(later or left), None)
        return replace(self, full="", at=following.row if following else None)


def class_key(label: int | None) -> str:
    """Return a class index as a filter has it."""
    return "none" if label is None else str(label)


def pair_key(row: PageRow) -> str:
    """Return a row's given and predicted class as a filter has them."""
    return f"{class_key(row.scores.label)}:{class_key(row.scores.predicted)}"
