"""ScoredRun: the part of a run that the scores alone give: worst, health, verify, status and the table of all rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lossrank.ranking import Ranking
from lossrank.results import losses_in_words
from lossrank.tables.json_values import plain
from scorer.audit.rank import rank
from scorer.data.source import Data
from scorer.run.directory import RunDirectory
from scorer.run.manifest import RunColumns, RunStats

# A method imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    import pandas as pd

    from lossrank.health import Health
    from scorer.audit.verify import Verification
    from scorer.run.status import RunStatus


class ScoredRun:
    """A finished run and its scores; ``Run`` has all that is here."""

    def __init__(self, directory: RunDirectory, data: Data | None = None, stats: RunStats | None = None) -> None:
        self.directory = directory
        self._data = data
        self._stats = stats

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @property
    def rows(self) -> int:
        """The number of rows of the data."""
        return self.directory.num_rows

    @property
    def class_names(self) -> tuple[str, ...]:
        """The model's classes [C], in index order."""
        return self.directory.class_names

    @property
    def columns(self) -> RunColumns:
        """The names of the columns that were read."""
        return self.directory.columns

    @property
    def fingerprint(self) -> str | None:
        """A hash of the rows' texts, labels and ids, the same for every kind of data; None in runs of older versions.

        Two runs with one fingerprint scored the same rows in the same order.
        """
        return self.directory.content_fingerprint

    @property
    def stats(self) -> RunStats:
        """The counts of the run, and the work of the process that finished it or, after ``score``, of that call."""
        stats = self._stats or self.directory.manifest.summary
        assert stats is not None  # noqa: S101  # a finished run has its summary
        return stats

    def __repr__(self) -> str:
        losses = losses_in_words(self.stats.mean_loss, self.stats.accuracy) or "no losses"
        return f"<Run {self.path}: {self.rows:,} rows of {self.directory.data_name}, {losses}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the run's counts as values that JSON can hold, as `lossrank score --json` prints them.

        They are the fields of ``RunStats``, with ``run`` and ``rows_per_second``.

        Example:
            >>> run.to_dict()["by_status"]
            {'ok': 500}
        """
        values: dict[str, Any] = plain(
            {"run": str(self.path), **self.stats.to_dict(), "rows_per_second": self.stats.rows_per_second}
        )
        return values

    def worst(
        self,
        top: int | None = None,
        *,
        by: str = "loss",
        per_class: int | None = None,
        pair: tuple[str, str] | str | None = None,
    ) -> Ranking:
        """Return the worst rows, worst first; ties are in row order.

        Args:
            top: how many rows, 500 by default; fewer if fewer have the measure.
            by: ``loss`` or ``entropy`` (high is bad), ``margin`` or ``self-confidence`` (low is bad). Only ``entropy``
                ranks rows without a label.
            per_class: how many rows of each given class, instead of ``top``.
            pair: only rows with this given and this predicted class, such as ``("World", "Sports")``.

        Raises:
            RunError: an argument is not valid, or no row has the measure.

        Example:
            >>> worst = run.worst(5)
            >>> worst.to_pandas()[["row", "loss", "given", "predicted"]].round(2)
               row  loss     given predicted
            0  344  6.23    Sports  Sci/Tech
            1  154  5.76     World  Business
            2  408  5.06  Business     World
            3  348  4.83     World    Sports
            4  264  4.66  Sci/Tech     World
            >>> [row.row for row in run.worst(2, pair=("World", "Sports"))]
            [348, 79]
        """
        rows = rank(self.directory, top, by=by, per_class=per_class, pair=pair)
        return Ranking(self.directory, rows, by, self._data)

    def health(self) -> "Health":
        """Return the run's rows by status, class and confusion, and its losses; charts in a notebook.

        Raises:
            RunError: a shard can't be read.

        Example:
            >>> health = run.health()
            >>> health.to_pandas()[["name", "given", "predicted"]]
                   name  given  predicted
            0     World    122        121
            1    Sports    145        146
            2  Business    106        104
            3  Sci/Tech    127        129
        """
        from lossrank.health import Health

        return Health(self.directory)

    def to_arrow(self) -> pa.Table:
        """Return the scores of every row [n] as an Arrow table, in row order.

        Its columns are ``row``, ``id`` (null without an id column), ``label`` and ``predicted`` (class indices),
        ``loss`` (nats, high is bad), ``label_prob`` and ``top_prob`` (the probabilities of the given and of the
        predicted class, 0..1), ``margin`` (the given label's probability less the largest of the others, -1..1, low is
        bad), ``entropy`` (nats, high is bad), ``n_tokens``, ``truncated``, ``status`` (see ``RunStats``),
        ``precision``, ``int8_loss`` (null unless a screen ran) and ``probs`` (the probability of each class [C]).
        With more than 256 classes ``probs`` has the 20 highest probabilities, highest first, then the label's if it is
        none of these, and ``probs_class`` the indices of their classes, unless the run has ``all_probs``.
        ``given_name`` and ``predicted_name`` are the names of both classes. Columns that depend on a label are null
        where there is none.

        Raises:
            RunError: a shard can't be read.

        Example:
            >>> run.to_arrow().num_rows
            500
        """
        import pyarrow.compute as pc

        columns = [name for name in self.directory.schema.names if name != "text_hash"]
        scores = pa.concat_tables([self.directory.read_shard(i, columns) for i in range(self.directory.num_shards)])
        names = pa.array(self.class_names, pa.string())
        for column, index in (("given_name", "label"), ("predicted_name", "predicted")):
            scores = scores.append_column(column, pc.take(names, scores[index]))
        return scores

    def to_pandas(self) -> "pd.DataFrame":
        """Return the scores of every row [n] as a pandas DataFrame, in row order, with the columns of ``to_arrow``.

        Raises:
            RunError: a shard can't be read.

        Example:
            >>> scores = run.to_pandas()
            >>> int((scores.loss > 2).sum())
            34
        """
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def verify(self, *, bundle: str | Path | None = None) -> "Verification":
        """Check that the run has every row once, and that it, its bundle and its data have not changed since scoring.

        Nothing is written.

        Args:
            bundle: where the bundle is now, if it has moved.

        Raises:
            RunError: the manifest is damaged, or a process is writing the run.

        Example:
            >>> run.verify().complete
            True
        """
        from scorer.audit.verify import verify

        return verify(self.directory, bundle=bundle, data=self._data)

    def status(self) -> "RunStatus":
        """Return the run's progress and speed, and which process works on it.

        Raises:
            RunError: the manifest is damaged.

        Example:
            >>> run.status().done
            500
        """
        from scorer.run.status import run_status

        return run_status(self.path)
