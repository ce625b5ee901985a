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
    """A finished run: the scores of a data set, and everything that can be done with them.

    ``score`` and ``open_run`` return it. Methods that need the texts read the data again, and refuse data that has
    changed since it was scored.

    Attributes:
        directory: the run directory as the scorer sees it, with its manifest and shards.

    Example:
        >>> run.rows, run.class_names
        (500, ('World', 'Sports', 'Business', 'Sci/Tech'))
        >>> run.columns.text, run.columns.label
        ('text', 'label')
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
        Columns that depend on a label are null where there is none.

        Raises:
            RunError: a shard can't be read.

        Example:
            >>> run.to_arrow().num_rows
            500
        """
        return pa.concat_tables([self.directory.read_shard(i) for i in range(self.directory.num_shards)])

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
        Class names and class numbers are those of the data. The scored data itself is never changed.

        Args:
            output: a .parquet file, or a folder to write in the hub's layout.
            format: without ``output``: ``dataset`` (a `datasets` Dataset whose labels are a ClassLabel, the default),
                ``arrow`` or ``pandas``. With a folder: ``parquet`` (the default) or ``save_to_disk``.
            diff: a .csv, .jsonl or .parquet file to write with only the changed rows.
            with_texts: add the rows' texts to ``diff``.
            drop_discarded: leave discarded rows out.
            reviewers: add the columns ``label_annotator``, ``label_source`` and ``label_decided_at``.
            allow_test_split: allow the data to be a test split. It is refused otherwise, because a correction changes
                what scores on it mean.
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
            >>> corrected.features["label"].names
            ['World', 'Sports', 'Business', 'Sci/Tech']
            >>> {name: corrected[348][name] for name in ("label", "original_label", "label_status")}
            {'label': 1, 'original_label': 0, 'label_status': 'relabelled'}
            >>> run.apply("corrected").output
            'corrected'
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
            >>> report = run.report("report.html")
            >>> report.output, report.count
            ('report.html', 100)
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
