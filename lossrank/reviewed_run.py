"""ReviewedRun: the part of a run in which people review its rows: log, review, decide, decisions and pull."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lossrank.progress import OnStep, watched
from lossrank.scored_run import ScoredRun
from scorer.layout import is_run

# A method imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    from lossrank.decisions import Decisions
    from lossrank.page.review import Review
    from lossrank.review.decide import Verdict
    from lossrank.review.log import Logged
    from lossrank.review.pull import Pulled


class ReviewedRun(ScoredRun):
    """A finished run whose rows people review; ``Run`` has all that is here."""

    def log(
        self,
        *,
        to: str = "rubrix",
        name: str | None = None,
        output: str | Path | None = None,
        top: int | None = None,
        by: str = "loss",
        per_class: int | None = None,
        pair: tuple[str, str] | str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        workspace: str | None = None,
        chunk_size: int = 500,
        force: bool = False,
        progress: bool | OnStep = True,
    ) -> "Logged":
        """Send the worst rows to a review tool, or write them to a file for one.

        Each record has the text, the given label, the prediction and the loss. Records that are already on the server
        stay unchanged; logging again adds the missing ones. The run remembers where its rows were sent, so that
        ``pull`` finds them. In a ``csv`` or ``jsonl`` file, people fill in ``decision`` with a class name, ``keep`` or
        ``discard``, and may fill in ``annotator`` with their name.

        Args:
            to: a server (``rubrix``, ``argilla`` or ``label-studio``) or a kind of file (``csv``, ``jsonl``,
                ``doccano`` or ``label-studio``).
            name: the data set on the server, created if it is missing; for Label Studio the project's title.
            output: the file to write; give either ``output`` or ``name``.
            top, by, per_class, pair: which rows, as in ``worst``.
            url, api_key, workspace: the server and the account. By default from the variables ``RUBRIX_API_URL``,
                ``RUBRIX_API_KEY`` and ``RUBRIX_WORKSPACE`` (or ``ARGILLA_...``, ``LABEL_STUDIO_...``), else those of a
                fresh installation on this machine.
            chunk_size: the number of records per request.
            force: replace ``output`` if it exists.
            progress: as in ``score``.

        Raises:
            ArgumentError: the arguments can't be combined.
            RunError: no row fits, or ``output`` can't be written.
            SourceError: the data is gone or has changed.
            ReviewError: the server can't be used, or fails on the way; the records that it stored stay there.

        Example:
            >>> logged = run.log(to="csv", output="to-review.csv", top=3)
            >>> logged.written
            3
        """
        from lossrank.review.log import log

        with watched(progress, "logging") as say:
            return log(
                self.directory,
                to=to,
                name=name,
                output=output,
                top=top,
                by=by,
                per_class=per_class,
                pair=pair,
                data=self._data,
                url=url,
                api_key=api_key,
                workspace=workspace,
                chunk_size=chunk_size,
                force=force,
                progress=say,
            )

    def review(
        self,
        *,
        top: int | None = None,
        by: str = "loss",
        per_class: int | None = None,
        pair: tuple[str, str] | str | None = None,
        port: int = 0,
        user: str | None = None,
    ) -> "Review":
        """Serve the review page of the worst rows on this machine, in the background.

        The call returns at once; in a notebook, the result is a link to the page. Each decision on the page is stored
        in the run at once. The page is served until ``Review.stop`` or the end of the process.

        Args:
            top, by, per_class, pair: which rows, as in ``worst``.
            port: the port on the loopback address; 0 takes any free port.
            user: the name to record with decisions; by default the login name.

        Raises:
            RunError: the port is in use, ``user`` is not a printable name, or no row can be shown.
            SourceError: the data is gone or has changed.

        Example:
            >>> page = run.review(user="ann")
            >>> page.url
            'http://127.0.0.1:.../'
            >>> page.stop()
        """
        from lossrank.page.review import open_review

        review = open_review(
            self.directory, top, by=by, per_class=per_class, pair=pair, data=self._data, port=port, user=user
        )
        review.start()
        return review

    def decide(self, decisions: "Mapping[int, str | Verdict]", *, annotator: str) -> "Decisions":
        """Store decisions on rows, as the review page does, and return all decisions in force.

        Args:
            decisions: for each row number the name of its right class, or ``lossrank.KEEP`` or ``lossrank.DISCARD``.
                The name of the class that the row has keeps the row. A later decision on a row replaces an earlier one.
                A pandas Series with the row numbers as its index will do too.
            annotator: the name to record with the decisions.

        Raises:
            RunError: a row or class does not exist, ``annotator`` is not a printable name, or the store can't be
                written. Then nothing is stored.

        Example:
            >>> run.decide({348: "Sports", 154: "Business", 344: lr.KEEP, 264: lr.DISCARD}, annotator="ann")
            <Decisions on run: 1 kept, 2 relabelled, 1 discarded, 496 unreviewed>
        """
        from lossrank.review.decide import decide

        decide(self.directory, decisions, annotator)
        return self.decisions()

    def decisions(self) -> "Decisions":
        """Return the decisions in force, from the page, from ``decide`` and from ``pull``.

        Raises:
            RunError: the decisions or a shard can't be read.

        Example:
            >>> run.decisions().to_pandas()[["row", "given", "verdict", "label", "annotator", "source"]]
               row     given     verdict     label annotator  source
            0  154     World  relabelled  Business       ann  review
            1  264  Sci/Tech   discarded  Sci/Tech       ann  review
            2  344    Sports        kept    Sports       ann  review
            3  348     World  relabelled    Sports       ann  review
            4  408  Business  relabelled     World       ben     csv
        """
        from lossrank.decisions import Decisions

        return Decisions(self.directory)

    def pull(
        self,
        files: Sequence[str | Path] | str | Path = (),
        *,
        source: str | None = None,
        name: str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        workspace: str | None = None,
        policy: str = "majority",
        disagreements: str | Path | None = None,
        force: bool = False,
        progress: bool | OnStep = True,
    ) -> "Pulled":
        """Bring people's decisions back from a review tool, from its exported files, or from another run.

        Args:
            files: exported files of one kind; or the directory of one other run, whose decisions are copied if it is
                over the same data, or over the data that ``apply`` corrected to make this run's. Over other data,
                rows with the same id in both ``id_column`` are taken to be the same; without such ids the run is
                refused. Without files, the server is asked.
            source: the review tool or the kind of file; by default where ``log`` sent rows last, or by the files'
                extension.
            name, url, workspace: the data set on the server; by default where ``log`` sent rows last.
            api_key: the key for the server; by default from the tool's environment variable.
            policy: how several people's answers to a row are combined: ``majority`` (more than half of them),
                ``unanimous``, ``latest`` or ``user=NAME``. Rows that they don't settle stay undecided.
            disagreements: a JSON lines file to write, with the undecided rows and everybody's answers to them.
            force: replace ``disagreements`` if it exists.
            progress: as in ``score``.

        Raises:
            RunError: a file can't be read, ``policy`` is not valid, or the source is unknown.
            SourceError: ``files`` is another run, and this run's data is gone or has changed.
            ReviewError: the server can't be used.

        Example:
            >>> import pandas as pd
            >>> sheet = pd.read_csv("to-review.csv", dtype=str, keep_default_na=False)
            >>> sheet.loc[sheet.row == "408", ["decision", "annotator"]] = ["World", "ben"]
            >>> sheet.to_csv("to-review.csv", index=False)
            >>> pulled = run.pull("to-review.csv")
            >>> pulled.answers, pulled.relabelled
            (1, 1)
        """
        paths = [files] if isinstance(files, str | Path) else list(files)
        from lossrank.review.pull import pull

        with watched(progress, "pulling") as say:
            return pull(
                self.directory,
                paths,
                source=source,
                name=name,
                url=url,
                api_key=api_key,
                workspace=workspace,
                policy=policy,
                disagreements=disagreements,
                force=force,
                data=self._data if any(is_run(Path(path)) for path in paths) else None,
                progress=say,
            )
