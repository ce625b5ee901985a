"""Ranking: the worst rows of a run, with the data's columns beside the scores."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from lossrank.notebook import table_html
from lossrank.results import SHOWN, TableResult
from lossrank.tables.json_values import plain
from lossrank.tables.ranking import precision_note, ranking_records, ranking_table
from lossrank.tables.write import check_output, write_table
from scorer.audit.rank import MEASURES, RankedRow, join_source
from scorer.data.source import Data
from scorer.errors import SourceError
from scorer.run.directory import RunDirectory
from scorer.run.protect import refuse_own_data


class Ranking(TableResult, Sequence[RankedRow]):
    """The worst rows of a run, worst first. ``Run.worst`` returns it.

    It is a sequence of ``RankedRow``: ``worst[0]`` is the worst row, ``worst[:10]`` a Ranking of ten. A notebook shows
    it as a table. The columns of the data are read when they are first needed, for a table or for ``to_dict``; for that
    the data must still be there, unchanged.

    Attributes:
        by: the measure: ``loss`` or ``entropy`` (high is bad), ``margin`` or ``self-confidence`` (low is bad).
        note: how many of the rows have int8 numbers, which are not exact; None if there are none.

    Example:
        >>> worst = run.worst(3)
        >>> [(row.given_name, row.predicted_name) for row in worst]
        [('Sports', 'Sci/Tech'), ('World', 'Business'), ('Business', 'World')]
        >>> worst.texts()["text"][1].as_py()[:34]
        'Google Lowers Its IPO Price Range '
        >>> worst.write("worst.csv")
    """

    def __init__(self, run: RunDirectory, rows: Sequence[RankedRow], by: str, data: Data | None) -> None:
        self.by = by
        self.note = precision_note(run, rows)
        self._run = run
        self._rows = tuple(rows)
        self._data = data

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> RankedRow: ...

    @overload
    def __getitem__(self, index: slice) -> "Ranking": ...

    def __getitem__(self, index: int | slice) -> "RankedRow | Ranking":
        if isinstance(index, slice):
            part = Ranking(self._run, self._rows[index], self.by, self._data)
            if "source" in self.__dict__:  # read before
                part.__dict__["source"] = self.source.take(pa.array(range(len(self))[index], pa.int64()))
            return part
        return self._rows[index]

    def __iter__(self) -> Iterator[RankedRow]:
        return iter(self._rows)

    def __repr__(self) -> str:
        worst = f", the worst is row {self._rows[0].row}" if self._rows else ""
        return f"<Ranking: {len(self):,} rows of {self._run.path} by {self.by}{worst}>"

    @cached_property
    def source(self) -> pa.Table:
        """The rows' columns in the data as an Arrow table, in the order of the ranking.

        Raises:
            SourceError: the data is gone or has changed, or it was in memory and ``open_run`` was not given it.
        """
        return join_source(self._run, list(self._rows), self._data)

    def texts(self) -> pa.Table:
        """Return the rows' texts, in the order of the ranking: the text column and, for pairs, the second one.

        Raises:
            SourceError: as for ``source``.
        """
        names = [name for name in (self._run.columns.text, self._run.columns.text_pair) if name]
        read = self.__dict__.get("source")  # all columns, if they were read before
        return (
            join_source(self._run, list(self._rows), self._data, scored_only=True) if read is None else read
        ).select(names)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table: the scores, then all columns of the data.

        The scores are ``rank`` (1 is the worst), ``row``, ``loss`` (nats, high is bad), ``given`` and ``predicted``
        (class names), ``label_prob`` and ``top_prob`` (the probabilities of these two, 0..1), ``margin`` (-1..1, low is
        bad), ``entropy`` (nats, high is bad), ``n_tokens``, ``truncated`` and ``precision``. A column of the data that
        has the name of a score gets the prefix ``source_``.

        Raises:
            SourceError: as for ``source``.
        """
        return ranking_table(self._rows, self.source)

    def to_dict(self) -> dict[str, Any]:
        """Return the ranking as values that JSON can hold, as `lossrank rank --json` prints it.

        Raises:
            SourceError: as for ``source``.
            RunError: a column of the data has a type that JSON can't hold.
        """
        values: dict[str, Any] = plain({**self.summary(), "rows": ranking_records(self._rows, self.source)})
        return values

    def _repr_html_(self) -> str:
        """Return the first rows as HTML, without the scores that a person who reads texts doesn't need."""
        first = self[:SHOWN]
        try:
            table = first.to_arrow()
        except SourceError as error:
            table = ranking_table(first, pa.table({})).drop_columns(["n_tokens", "truncated", "precision"])
            return f"{table_html(table, of=len(self))}<p>{escape(str(error))}</p>"
        scores = table.column_names[: -first.source.num_columns]
        read = {"rank", "row", "loss", MEASURES[self.by].column, "given", "predicted"}
        return table_html(table.drop_columns([name for name in scores if name not in read]), of=len(self))

    def summary(self) -> dict[str, Any]:
        """Return the run, the measure and the number of rows."""
        return {"run": str(self._run.path), "by": self.by, "count": len(self)}

    def write(self, output: str | Path, *, force: bool = False) -> None:
        """Write the table of ``to_arrow`` to a .parquet, .csv or .jsonl file; ``force`` replaces an existing file.

        Raises:
            RunError: the file exists, is part of the data or a run, can't be written, or can't hold a column.
            SourceError: as for ``source``.
        """
        output = Path(output)
        check_output(output, force)
        refuse_own_data(output, self._run, self._data)
        write_table(self.to_arrow(), output)
