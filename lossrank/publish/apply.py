"""apply(): write a run's data set with the labels that people chose. `Applied` is what it returns."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lossrank.errors import ArgumentError
from lossrank.progress import OnStep, Step, unwatched
from lossrank.publish.card import troubles
from lossrank.publish.changes import changes_table
from lossrank.publish.corrected import corrected_rows
from lossrank.publish.destination import is_file_output, refuse_output
from lossrank.publish.hub import push, refuse_push
from lossrank.publish.save_to_disk import require_datasets
from lossrank.publish.split import refuse_test_split, split_name
from lossrank.publish.write import FORMATS, PARQUET, SAVED, write_file, write_folder
from lossrank.review.decided_rows import decided_rows
from lossrank.tables.write import check_output, write_table
from scorer.data.source import Data, Source, paths_of
from scorer.errors import RunError
from scorer.files import put_back
from scorer.run.directory import RunDirectory
from scorer.run.protect import refuse_own_data, refuse_scores
from scorer.run.reopened import reopen_data


@dataclass(frozen=True)
class Applied:
    """The result of `apply`.

    ``rows`` is the run's number of rows; ``by_status`` counts the rows that people kept, relabelled, discarded and left
    unreviewed. ``moves`` lists (given class or None, new class, number of relabelled rows), the most frequent pair
    first. ``changed`` counts the relabelled and discarded rows, which the file ``diff`` lists. ``written`` is the
    number of rows in ``output``; ``url`` is the data set's address on the hub if it was pushed. ``notes`` tell what a
    user should know about the output, one line each.
    """

    run: str
    rows: int
    by_status: dict[str, int]
    written: int = 0
    output: str | None = None
    diff: str | None = None
    url: str | None = None
    notes: list[str] = field(default_factory=list)
    changed: int = 0
    moves: list[tuple[str | None, str, int]] = field(default_factory=list)


def apply(
    run: RunDirectory | str | Path,
    output: str | Path | None = None,
    *,
    format: str = PARQUET,
    diff: str | Path | None = None,
    with_texts: bool = False,
    drop_discarded: bool = False,
    reviewers: bool = False,
    allow_test_split: bool = False,
    push_to_hub: str | None = None,
    private: bool = False,
    data: Data | None = None,
    force: bool = False,
    progress: OnStep = unwatched,
) -> Applied:
    """Write a run's data with the labels that people decided on: every row, in order, with all its columns.

    Args:
        run: a finished run with decisions, or its directory.
        output: the .parquet file to write, or the folder to write in the hub's layout.
        format: the format of the folder: ``parquet``, or ``save_to_disk``, which needs `datasets`.
        diff: a .csv, .jsonl or .parquet file to write with only the changed rows.
        with_texts: add the rows' texts to ``diff``.
        drop_discarded: leave discarded rows out.
        reviewers: add columns that tell who gave each label, in which tool and when.
        allow_test_split: allow the data to be a test split.
        push_to_hub: the data set on the hub to push the folder to, as ``OWNER/NAME``.
        private: make the pushed data set private.
        data: where the scored data is now, if it has moved; or the same rows as another kind of data.
        force: replace ``output``, ``diff`` and the split on the hub if they exist.
        progress: called with each note.

    Raises:
        ArgumentError: neither ``output`` nor ``diff`` is given.
        ArgumentError: ``format`` is unknown, or the arguments can't be combined.
        RunError: the run is not finished.
        RunError: no row has a decision.
        RunError: the data is a test split and ``allow_test_split`` is not set.
        RunError: ``output`` or ``diff`` can't be written, or the hub can't be pushed to.
        SourceError: the data is gone or has changed.
    """
    _refuse_mixture(output, format, diff, with_texts, push_to_hub, private)
    output = None if output is None else Path(output)
    diff = None if diff is None else Path(diff)
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    spec = run.manifest.data.spec
    split = split_name(spec)
    notes: list[str] = []

    def note(lines: Iterable[str]) -> None:
        for line in lines:
            notes.append(line)
            progress(Step(note=line))

    if output is not None:
        if (left := put_back(output)) is not None:
            note([f"{output} was restored from {left.name}, where a killed apply had left it"])
        refuse_output(output, split, force=force)
    if diff is not None:
        check_output(diff, force)
        if output is not None and diff.resolve().is_relative_to(output.resolve()):
            raise RunError(f"`diff` {diff} is inside `output` {output}; write the changes to a file outside it")
    decided = decided_rows(run)
    if not allow_test_split:
        refuse_test_split(spec)
    if format == SAVED:
        require_datasets("`format='save_to_disk'`")
    if push_to_hub is not None:
        refuse_push(push_to_hub, private=private, force=force)
    source = _reopened(run, data, output, diff)
    if not allow_test_split:
        refuse_test_split(source.spec)
    written, url = 0, None
    if output is not None:
        rows = corrected_rows(run, source, decided, drop_discarded=drop_discarded, reviewers=reviewers)
        note(rows.notes)
        if is_file_output(output):
            write_file(rows, output)
        else:
            write_folder(rows, output, split, format)
        written = rows.num_rows
        note(troubles(rows))
    if diff is not None:
        write_table(changes_table(run, decided, source if with_texts else None), diff)
    if output is not None and push_to_hub is not None:
        url = push(output, push_to_hub, split, private=private)
    return Applied(
        run=str(run.path),
        rows=run.num_rows,
        by_status=decided.counts(run.num_rows),
        written=written,
        output=None if output is None else str(output),
        diff=None if diff is None else str(diff),
        url=url,
        notes=notes,
        changed=len(decided.changed),
        moves=decided.moves(),
    )


def _reopened(run: RunDirectory, data: Data | None, output: Path | None, diff: Path | None) -> Source:
    """Open the scored data again, and check that neither it nor any run's scores would be overwritten.

    Raises:
        RunError: ``output`` or ``diff`` is the data, or is inside it.
        RunError: ``output`` or ``diff`` is among a run's scores.
        SourceError: the data is gone or has changed.
    """
    source = reopen_data(run, data)
    files = [*(paths_of(data) or ()), *(record.file for record in source.spec.files)]
    for place in (output, diff):
        if place is not None:
            refuse_own_data(place, run, files, is_folder=place is output and not is_file_output(place))
            refuse_scores(place)
    return source


def _refuse_mixture(
    output: str | Path | None,
    format: str,
    diff: str | Path | None,
    with_texts: bool,
    push_to_hub: str | None,
    private: bool,
) -> None:
    """Check that ``format`` is known and that the arguments can be combined.

    Raises:
        ArgumentError: ``format`` is unknown, or the arguments can't be combined.
    """
    if output is None and diff is None:
        raise ArgumentError("give `output` for the corrected data set, `diff` for just the changes, or both")
    if format not in FORMATS:
        raise ArgumentError(f"`format` is {format!r}; it must be one of: {', '.join(FORMATS)}")
    is_folder = output is not None and not is_file_output(Path(output))
    if format == SAVED and not is_folder:
        raise ArgumentError("`format='save_to_disk'` writes a folder; give the folder's name as `output`")
    if push_to_hub is not None and not is_folder:
        raise ArgumentError("`push_to_hub` pushes a folder with its card; give the folder's name as `output`")
    if private and push_to_hub is None:
        raise ArgumentError("`private=True` needs `push_to_hub`; give the name of the data set, or leave `private` out")
    if with_texts and diff is None:
        raise ArgumentError("`with_texts=True` needs `diff`; give the file for the changes, or leave `with_texts` out")
