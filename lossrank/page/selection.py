"""Selection: the filters and the current row of the page, which are the query of its address."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self
from urllib.parse import urlencode

from lossrank.page.rows import PageRow

OPEN, DECIDED = "open", "decided"
LIST = "list"
_DIGITS = 18  # at most in a row number, so that it fits in 64 bits


@dataclass(frozen=True)
class Selection:
    """Filters, all of which a row must pass, and the current row.

    ``given`` and ``predicted`` are class indices as text (``none`` for rows without a class), and ``pair`` is two of
    them, such as ``2:0``; ``""`` is no filter. ``at`` is the current row's number, None for the first open row.
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
        """Return the selection of a query, ignoring unknown fields and values."""
        texts = {name: query.get(name, "") for name in ("given", "predicted", "pair", "status", "view", "full")}
        at = query.get("at", "")
        number = int(at) if at.isascii() and at.isdigit() and len(at) <= _DIGITS else None
        return cls(**texts, search=query.get("search", "").strip(), at=number)

    def query(self, **changes: str | int | None) -> str:
        """Return the query of this selection with some fields changed, without the question mark."""
        fields = {**asdict(self), **changes}
        return urlencode({name: value for name, value in fields.items() if value not in ("", None)})

    @property
    def filters(self) -> bool:
        """Whether any filter is set."""
        return bool(self.given or self.predicted or self.pair or self.status or self.search)

    def matching(self, rows: Sequence[PageRow]) -> list[PageRow]:
        """Return the rows that pass every filter except the status, in the same order."""
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
        """Return the rows that pass the status filter; ``decided`` has the numbers of decided rows."""
        if self.status not in (OPEN, DECIDED):
            return list(rows)
        return [row for row in rows if (row.row in decided) == (self.status == DECIDED)]

    def current(self, rows: Sequence[PageRow], decided: Container[int]) -> PageRow | None:
        """Return row ``at``, else the first row that passes the filters and is open (or decided), else None."""
        if self.at is not None:
            for row in rows:
                if row.row == self.at:
                    return row
        matching = self.matching(rows)
        if self.status == DECIDED:
            return next(iter(self.with_status(matching, decided)), None)
        return next((row for row in matching if row.row not in decided), None)

    def after(self, current: PageRow, rows: Sequence[PageRow], decided: Container[int]) -> "Selection":
        """Return the selection once ``current`` is decided: at the next open row, wrapping around, if one is left.

        With the filter for decided rows, it is at the next decided row.
        """
        matching = [row for row in self.matching(rows) if row is not current]
        wanted = DECIDED if self.status == DECIDED else OPEN
        left = replace(self, status=wanted).with_status(matching, decided)
        later = [row for row in left if row.rank > current.rank]
        following = next(iter(later or left), None)
        return replace(self, full="", at=following.row if following else None)


def class_key(label: int | None) -> str:
    """Return the value of a class index in a filter."""
    return "none" if label is None else str(label)


def pair_key(row: PageRow) -> str:
    """Return the value of a row's given and predicted class in the pair filter."""
    return f"{class_key(row.scores.label)}:{class_key(row.scores.predicted)}"
