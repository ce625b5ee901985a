"""Run: a scored data set, and everything that a person does with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lossrank.ranking import Ranking
from lossrank.reviewed_run import ReviewedRun
from lossrank.tables.json_values import plain
from scorer.audit.rank import rank
from scorer.run.manifest import RunColumns, RunStats

# A method imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    import pandas as pd

    from lossrank.health import Health
    from lossrank.report.report import Report
    from scorer.audit.verify import Verification
    from scorer.run.status import RunStatus


class Run(ReviewedRun):
    """A finished run. ``score`` and ``open_run`` return it.

    Attributes:
        directory: the run directory as the scorer sees it, with its manifest and shards.

    Example:
        >>> run.rows, run.class_names
        (500, ('World', 'Sports', 'Business', 'Sci/Tech'))
    """

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
    def stats(self) -> RunStats:
        """The counts of the run and the work of the process that finished it."""
        stats = self.directory.manifest.summary
        assert stats is not None  # noqa: S101  # a finished run has its summary
        return stats

    def __repr__(self) -> str:
        health = self.stats
        losses = "no losses"
        if health.mean_loss is not None and health.accuracy is not None:
            losses = (
                f"mean loss {health.mean_loss:.4f} nats, {health.accuracy:.2%} of the labels are the predicted ones"
            )
        return f"<Run {self.path}: {self.rows:,} rows of {self.directory.data_name}, {losses}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the run's counts as values that JSON can hold, as `lossrank score --json` prints them."""
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
            >>> run.worst(2, pair=("World", "Sports")).to_pandas()[["row", "loss", "given", "predicted"]]
               row      loss  given predicted
            0  226  6.353516  World    Sports
            1  119  5.301758  World    Sports
        """
        rows = rank(self.directory, top, by=by, per_class=per_class, pair=pair)
        return Ranking(self.directory, rows, by, self._data)

    def health(self) -> "Health":
        """Return the run's rows by status, class and confusion, and its losses; charts in a notebook.

        Raises:
            RunError: a shard can't be read.
        """
        from lossrank.health import Health

        return Health(self.directory)

    def to_arrow(self) -> pa.Table:
        """Return the scores of every row [n] as an Arrow table, in row order; losses are in nats.

        Raises:
            RunError: a shard can't be read.
        """
        return pa.concat_tables([self.directory.read_shard(i) for i in range(self.directory.num_shards)])

    def to_pandas(self) -> "pd.DataFrame":
        """Return the scores of every row [n] as a pandas DataFrame, in row order; losses are in nats.

        Raises:
            RunError: a shard can't be read.
        """
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def apply(
        self,
        output: str | Path | None = None,
        *,
        format: str | None = None,
        diff: str | Path | None = None,
        with_texts: bool = False,
        drop_discarded: bool = False,
        reviewers: bool = False,
        allow_test_split: bool = False,
        push_to_hub: str | None = None,
        private: bool = False,
        force: bool = False,
    ) -> Any:
        """Return the whole data set with the labels that people decided on, or write it to ``output``.

        Every row is there, in its order and with all its columns. The label column is corrected in place;
        ``original_label`` has the label before, and ``label_status`` is kept, relabelled, discarded or unreviewed.

        Args:
            output: a .parquet file, or a folder to write in the hub's layout.
            format: without ``output``: ``dataset`` (a `datasets` Dataset whose labels are a ClassLabel, the default),
                ``arrow`` or ``pandas``. With a folder: ``parquet`` (the default) or ``save_to_disk``.
            diff: a .csv, .jsonl or .parquet file to write with only the changed rows.
            with_texts: add the rows' texts to ``diff``.
            drop_discarded: leave discarded rows out.
            reviewers: add columns with each decision's annotator, source and time.
            allow_test_split: allow the data to be a test split.
            push_to_hub: the data set on the hub to push the folder to, as ``OWNER/NAME``.
            private: make the pushed data set private.
            force: replace ``output``, ``diff`` and the split on the hub if they exist.

        Returns:
            The corrected data set in the given format; an ``Applied`` with counts if ``output`` or ``diff`` is given.

        Raises:
            ArgumentError: the arguments can't be combined.
            RunError: no row has a decision, the data is a test split, or an output can't be written.
            SourceError: the data is gone or has changed.

        Example:
            >>> corrected = run.apply()
            >>> corrected.features["label"].names, corrected[226]["label_status"]
            (['World', 'Sports', 'Business', 'Sci/Tech'], 'relabelled')
        """
        from lossrank.errors import ArgumentError
        from lossrank.publish.apply import apply
        from lossrank.publish.in_memory import DATASET, corrected_data
        from lossrank.publish.write import PARQUET

        if output is not None or diff is not None:
            return apply(
                self.directory,
                output,
                format=format or PARQUET,
                diff=diff,
                with_texts=with_texts,
                drop_discarded=drop_discarded,
                reviewers=reviewers,
                allow_test_split=allow_test_split,
                push_to_hub=push_to_hub,
                private=private,
                data=self._data,
                force=force,
            )
        for name, given in (("push_to_hub", push_to_hub), ("with_texts", with_texts), ("private", private)):
            if given:
                raise ArgumentError(f"`{name}` needs `output`; give the folder to write")
        return corrected_data(
            self.directory,
            format or DATASET,
            drop_discarded=drop_discarded,
            reviewers=reviewers,
            allow_test_split=allow_test_split,
            data=self._data,
        )

    def report(
        self,
        output: str | Path | None = None,
        *,
        format: str | None = None,
        top: int | None = None,
        by: str | None = None,
        per_class: int | None = None,
        pair: tuple[str, str] | str | None = None,
        no_texts: bool = False,
        force: bool = False,
    ) -> "Report":
        """Return the findings of the run as HTML, Markdown or JSON, and write them to ``output`` if it is given.

        Args:
            output: the file to write.
            format: ``html``, ``md`` or ``json``; by default by the extension of ``output``.
            top, by, per_class, pair: which rows are listed, as in ``worst``; by default the worst 100.
            no_texts: leave out all content of the data except row numbers and ids.
            force: replace ``output`` if it exists.

        Raises:
            ArgumentError: ``format`` is unknown or missing.
            RunError: ``output`` can't be written, or no row fits.
            SourceError: the data is gone or has changed.

        Example:
            >>> run.report("report.html").count
            100
        """
        from lossrank.report.report import report

        return report(
            self.directory,
            output,
            format=format,
            top=top,
            by=by,
            per_class=per_class,
            pair=pair,
            data=self._data,
            no_texts=no_texts,
            force=force,
        )

    def verify(self, *, bundle: str | Path | None = None) -> "Verification":
        """Compare the run with its manifest, its bundle and its data; nothing is written.

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
        """
        from scorer.run.status import run_status

        return run_status(self.path)
