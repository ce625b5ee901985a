"""The functions of `import lossrank` about runs: import_probs, open_run, verify, status and diff."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossrank.bundles import label_map_of
from lossrank.progress import OnStep, Step, watched
from lossrank.run import Run
from scorer.data.source import Data, Source, paths_of
from scorer.run.directory import RunDirectory

# A function imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    from lossrank.review.compare import Comparison
    from scorer.audit.verify import Verification
    from scorer.data.probabilities import ProbabilityData
    from scorer.pipeline.imported import ImportPlan
    from scorer.run.manifest import RunStats
    from scorer.run.status import RunStatus


def import_probs(
    data: Data,
    probs: "ProbabilityData",
    output: str | Path,
    *,
    classes: Sequence[str] | str | Path | None = None,
    logits: bool = False,
    model: str | None = None,
    text_column: str | Sequence[str] | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    join: str = " ",
    no_label: bool = False,
    label_map: Mapping[str, Any] | str | Path | None = None,
    no_label_value: str | None = None,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    delimiter: str | None = None,
    quoting: str | None = None,
    encoding: str | None = None,
    columns: Sequence[str] | None = None,
    header: bool | None = None,
    annotators: str | None = None,
    shard_rows: int = 4096,
    on_error: str = "skip",
    all_probs: bool = False,
    overwrite: bool = False,
    discard_decisions: bool = False,
    progress: bool | OnStep = True,
) -> Run:
    """Make a run of the probabilities that any other model has predicted, or resume one that was interrupted.

    All else works on such a run as on one of ``score``. The loss is ``-log(p)`` of the label's probability, in float64
    and as it is given; a probability of 0 counts as the smallest positive float32 number, which gives 103.3 nats. A row
    whose numbers are not finite, not in 0..1 or do not sum to 1 within 0.001 has no loss and the status ``bad_probs``.
    No text is tokenised, so ``n_tokens`` is 0 and ``truncated`` false.

    Args:
        data: as in ``score``, and read in the same way.
        probs: a numpy array [rows, classes] of floats, or a ``.npy`` file of one; or one column for each class: a
            DataFrame, an Arrow table, or a Parquet, Arrow, CSV (with a header) or JSON file. Its rows are those of
            ``data``, in the same order.
        output: the run directory to write.
        classes: the names of the classes, or a file with them: a JSON list, or one name a line. An array needs them, in
            the order of its columns (scikit-learn's ``classes_``). Of a table, they choose columns by name, or name all
            columns in order if none has such a name; without them, each column is a class.
        logits: the numbers are logits, or logarithms of probabilities, whose softmax is taken.
        model: what reports call the model; by default the name of the file.
        text_column, text_pair_column, label_column, id_column, join, no_label, label_map, no_label_value: as in
            ``score``.
        config, split, streaming, delimiter, quoting, encoding, columns, header, annotators: how ``data`` is read, as in
            ``score``.
        shard_rows, on_error, all_probs, overwrite, discard_decisions: as in ``score``.
        progress: as in ``score``; the plan is the ``Step``'s ``importing``.

    Returns:
        The finished run. Data in memory stays with it, so keep the run, or give the data to ``open_run`` again.

    Raises:
        TypeError: ``data`` or ``probs`` is of a kind that can't be read.
        SourceError: data or probabilities can't be read or have different row counts, or most rows are no
            probabilities.
        LabelError: the labels don't match the classes.
        RunError: the run directory can't be written, or holds another run; or a setting is not valid.

    Example:
        >>> probs = run.to_arrow()["probs"].combine_chunks().flatten().to_numpy().reshape(-1, 4)
        >>> lr.import_probs(rows, probs, "imported", classes=run.class_names, label_column="label", progress=False)
        <Run imported: 500 rows of table, mean loss 0.35... nats, 88.40% of the labels are the predicted ones>
    """
    from lossrank.review.carried import carry_over, existing_run, set_aside_note
    from scorer.data.probabilities import open_probabilities
    from scorer.data.read_options import ReadOptions
    from scorer.pipeline.imported import import_probabilities
    from scorer.pipeline.options import ScoreOptions

    options = ScoreOptions(
        text_column=text_column,
        text_pair_column=text_pair_column,
        label_column=label_column,
        id_column=id_column,
        join=join,
        no_label=no_label,
        label_map=label_map_of(label_map),
        no_label_value=no_label_value,
        shard_rows=shard_rows,
        on_error=on_error,
        all_probs=all_probs,
    )
    existing = existing_run(Path(output), overwrite=overwrite, discard_decisions=discard_decisions)
    with watched(progress, "importing") as say:

        def on_plan(plan: "ImportPlan") -> None:
            if (note := set_aside_note(Path(output))) is not None:
                say(Step(note=note))
            say(Step(importing=plan))

        stats, source = import_probabilities(
            data,
            open_probabilities(probs, classes),
            output,
            options,
            logits=logits,
            model=model,
            config=config,
            split=split,
            streaming=streaming,
            read=ReadOptions(
                delimiter=delimiter,
                quoting=quoting,
                encoding=encoding,
                columns=None if columns is None else tuple(columns),
                header=header,
                annotators=annotators,
            ),
            overwrite=existing,
            on_plan=on_plan,
            on_progress=lambda report: say(Step(report.done, report.total_rows)),
        )
        run = RunDirectory.open(output)
        if (note := carry_over(run)) is not None:
            say(Step(note=note))
    return finished_run(run, data, source, stats)


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


def finished_run(run: RunDirectory, data: Data, source: Source, stats: "RunStats") -> Run:
    """Return a run that was just made, with its data if that was in memory or at an address that was cut."""
    from scorer.data.spec import FilesSpec, TableSpec

    if isinstance(source.spec, TableSpec):
        return Run(run, known_data(run, source), stats)
    # A relative path would be lost when the working folder changes; the run has recorded the absolute one.
    return Run(run, data if isinstance(source.spec, FilesSpec) and source.spec.left_out else None, stats)
