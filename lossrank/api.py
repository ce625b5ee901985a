"""The functions of `import lossrank` that take a run: open_run, verify, status and diff."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lossrank.run import Run
from scorer.data.source import Data, Source, paths_of
from scorer.run.directory import RunDirectory

# A function imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    from lossrank.review.compare import Comparison
    from scorer.audit.verify import Verification
    from scorer.run.status import RunStatus


def open_run(path: str | Path, *, data: Data | None = None) -> Run:
    """Open a finished run.

    Args:
        path: the run directory.
        data: where the scored data is now, if it has moved; or the same rows in memory, of any kind that ``score``
            takes. Without it, data is read from where it was scored; only the texts and the other columns of the
            data need it.

    Raises:
        RunError: the folder is not a run directory, is damaged or of another format, or the run is not finished.
        SourceError: the rows in memory are not what was scored; the message names the first that differ.
        TypeError: ``data`` is of a kind that can't be scored.

    Example:
        >>> lr.open_run("run", data=rows).rows
        500
    """
    run = RunDirectory.open(path)
    if data is None:
        return Run(run)
    if (paths := paths_of(data)) is not None:
        # A relative path would be lost when the working folder changes.
        return Run(run, [str(Path(path).absolute()) if Path(path).exists() else path for path in paths])
    from scorer.run.reopened import reopen_data

    return Run(run, known_data(run, reopen_data(run, data)))


def known_data(run: RunDirectory, source: Source) -> Source:
    """Return data in memory that is known to be the run's with the run's fingerprint, so it is compared only once."""
    return replace(source, fingerprint=run.data_fingerprint)


def verify(run: Run | str | Path, *, bundle: str | Path | None = None, data: Data | None = None) -> "Verification":
    """Compare a run, finished or not, with its manifest, its bundle and its data; nothing is written.

    Args:
        run: the run, or its directory.
        bundle: where the bundle is now, if it has moved.
        data: where the data is now, if it has moved, or the same rows in memory.

    Raises:
        RunError: the folder is not a run, its manifest is damaged, or a process is writing the run.

    Example:
        >>> lr.verify("run", data=rows).complete
        True
    """
    from scorer.audit.verify import verify as verify_run

    return verify_run(path_of(run), bundle=bundle, data=data)


def status(run: Run | str | Path) -> "RunStatus":
    """Return the progress and speed of a run, finished or not, and which process works on it.

    Args:
        run: the run, or its directory.

    Raises:
        RunError: the folder is not a run, or its manifest is damaged.

    Example:
        >>> lr.status("run").state
        'finished'
    """
    from scorer.run.status import run_status

    return run_status(path_of(run))


def diff(run_a: Run | str | Path, run_b: Run | str | Path, *, top: int = 500, by: str = "loss") -> "Comparison":
    """Compare two runs: which rows entered, left or stayed among the worst, and whose loss fell.

    Compare the runs before and after ``Run.apply``, or two models over the same data. Rows are matched by number if
    both runs have the same number of rows, else by the id column. Decisions are read from ``run_a``.

    Args:
        run_a: the run before, or its directory.
        run_b: the run after, or its directory.
        top: how many rows count as the worst.
        by: the measure, as in ``Run.worst``.

    Raises:
        RunError: a run is not finished, the rows can't be matched, or no row has the measure ``by``.

    Example:
        >>> after = lr.score(BUNDLE, "corrected", "after", progress=False)
        >>> changes = lr.diff(run, after, top=20)
        >>> changes.left, changes.stayed
        (3, 17)
        >>> relabelled = changes.groups["relabelled"]
        >>> relabelled.rows, round(relabelled.mean_loss_before, 1), round(relabelled.mean_loss_after, 1)
        (3, 5.2, 0.1)
        >>> worst = changes.to_pandas()
        >>> worst[worst.what == "left"][["row_a", "status"]]
           row_a      status
        3    154  relabelled
        4    408  relabelled
        5    348  relabelled
    """
    from lossrank.review.compare import compare

    a, b = (run.directory if isinstance(run, Run) else RunDirectory.open(run) for run in (run_a, run_b))
    return compare(a, b, top, by)


def path_of(run: Run | str | Path) -> str | Path:
    """Return the directory of a run."""
    return run.path if isinstance(run, Run) else run
