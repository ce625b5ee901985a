"""Selection: the page's filters and current row, which the query of the page's address contains."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self
from urllib.parse import urlencode

from lossrank.page.rows import PageRow

OPEN, DECIDED = "open", "decided"
LIST = "list"
_DIGITS = 18  # most digits of a row number, so that the number fits in 64 bits


@dataclass(frozen=True)
class Selection:
    """The page's filters and its current row; a row must pass every filter to be shown.

    ``given`` and ``predicted`` are a class index as text, or ``none`` for rows without a class. ``pair`` is a given and
    a predicted class index, such as ``2:0``. Every row passes a filter that is ``""``. ``at`` is the number of the
    current row; None means the first open row.
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
        """Return the selection that a query contains; unknown fields and an invalid row number are ignored."""
        texts = {name: query.get(name, "") for name in ("given", "predicted", "pair", "status", "view", "full")}
        at = query.get("at", "")
        number = int(at) if at.isascii() and at.isdigit() and len(at) <= _DIGITS else None
        return cls(**texts, search=query.get("search", "").strip(), at=number)

    def query(self, **changes: str | int | None) -> str:
        """Return the query that contains this selection with ``changes`` applied; it has no leading question mark."""
        fields = {**asdict(self), **changes}
        return urlencode({name: value for name, value in fields.items() if value not in ("", None)})

    @property
    def filters(self) -> bool:
        """Whether any filter is set."""
        return bool(self.given or self.predicted or self.pair or self.status or self.search)

    def matching(self, rows: Sequence[PageRow]) -> list[PageRow]:
        """Return the rows that pass every filter except the status filter; their order is kept."""
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
        """Return the rows that pass the status filter; ``decided`` has the numbers of the decided rows."""
        if self.status not in (OPEN, DECIDED):
            return list(rows)
        return [row for row in rows if (row.row in decided) == (self.status == DECIDED)]

    def current(self, rows: Sequence[PageRow], decided: Container[int]) -> PageRow | None:
        """Return row ``at``; if there is no such row, the first open row that passes the filters, or None.

        If the status filter is ``decided``, the first decided row is returned instead of the first open row.
        """
        if self.at is not None:
            for row in rows:
                if row.row == self.at:
                    return row
        matching = self.matching(rows)
        if self.status == DECIDED:
            return next(iter(self.with_status(matching, decided)), None)
        return next((row for row in matching if row.row not in decided), None)

    def after(self, current: PageRow, rows: Sequence[PageRow], decided: Container[int]) -> "Selection":
        """Return the selection to show after ``current`` is decided, with the next open row as its current row.

        After the last row, the search continues at the first row. If no open row is left, ``at`` is None. If the status
        filter is ``decided``, the next decided row is used instead of the next open row.
        """
        matching = [row for row in self.matching(rows) if row is not current]
        wanted = DECIDED if self.status == DECIDED else OPEN
        left = replace(self, status=wanted).with_status(matching, decided)
        later = [row for row in left if row.rank > current.rank]
        following = next(iter(later or left), None)
        return replace(self, full="", at=following.row if following else None)


def class_key(label: int | None) -> str:
    """Return the filter value of a class: its index as text, or ``none`` if there is no class."""
    return "none" if label is None else str(label)


def pair_key(row: PageRow) -> str:
    """Return the filter value of a row's given and predicted class, such as ``2:0``."""
    return f"{class_key(row.scores.label)}:{class_key(row.scores.predicted)}"
