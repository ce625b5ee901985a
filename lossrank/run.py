"""Run: a scored data set, and everything that a person does with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossrank.reviewed_run import ReviewedRun

# A method imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    from lossrank.report.report import Report


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
        Class names and class numbers are those of the data; a Dataset of data without class names has the model's, and
        in it a label that is no class of the model is null (``original_label`` has it). The scored data itself is never
        changed.

        Args:
            output: a .parquet file, or a folder to write in the hub's layout, with a data set card;
                ``datasets.load_dataset`` and ``score`` read it.
            format: without ``output``: ``dataset`` (a `datasets` Dataset whose labels are a ClassLabel, the default),
                ``arrow`` or ``pandas``. With a folder: ``parquet`` (the default) or ``save_to_disk``.
            diff: a .csv, .jsonl or .parquet file to write with only the changed rows.
            with_texts: add the rows' texts to ``diff``.
            drop_discarded: leave discarded rows out.
            reviewers: add the columns ``label_annotator``, ``label_source`` and ``label_decided_at``.
            allow_test_split: allow the data to be a test split. It is refused otherwise, because a correction changes
                what scores on it mean.
            push_to_hub: the data set on the hub to push the folder to, as ``OWNER/NAME``; the token is in the variable
                ``HF_TOKEN``.
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
