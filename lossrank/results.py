"""Result: what a function returns to people; TableResult: a result that is a table of rows."""

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lossrank.notebook import table_html
from lossrank.tables.json_values import plain

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20  # rows that a notebook shows


def losses_in_words(mean_loss: float | None, accuracy: float | None) -> str | None:
    """Return a run's mean loss (nats) and accuracy (0..1) as a clause; None if the run has no losses."""
    if mean_loss is None or accuracy is None:
        return None
    return f"mean loss {mean_loss:.4f} nats, {accuracy:.2%} of the labels are the predicted ones"


class Result:
    """A frozen dataclass with the result of a function."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that JSON can hold, as the command prints them with ``--json``."""
        values: dict[str, Any] = plain(asdict(self))  # type: ignore[call-overload]  # every subclass is a dataclass
        return values


class TableResult(ABC):
    """A result with one row of a table for each of its rows."""

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""

    def to_pandas(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def _repr_html_(self) -> str:
        table = self.to_arrow()
        return table_html(table.slice(0, SHOWN), of=table.num_rows)
