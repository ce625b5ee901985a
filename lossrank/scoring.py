"""score(): compute the loss of every row of a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossrank.api import finished_run, path_of
from lossrank.bundles import label_map_of
from lossrank.progress import OnStep, Step, watched
from lossrank.run import Run
from scorer.data.source import Data
from scorer.run.directory import RunDirectory

# Opening and ranking a run must not import what only scoring needs.
if TYPE_CHECKING:
    from scorer.model.bundle import ModelBundle
    from scorer.pipeline.loop import Progress
    from scorer.pipeline.plan import Plan


def score(
    bundle: "ModelBundle | str | Path",
    data: Data,
    output: str | Path,
    *,
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
    device: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
    screen_top: int | None = None,
    max_tokens: int | None = None,
    long_text: str | None = None,
    batch_tokens: int | None = None,
    window_rows: int | None = None,
    shard_rows: int = 4096,
    on_error: str = "skip",
    all_probs: bool = False,
    reuse: Run | str | Path | None = None,
    overwrite: bool = False,
    discard_decisions: bool = False,
    progress: bool | OnStep = True,
) -> Run:
    """Compute the loss of every row of a data set, or resume a run that was interrupted.

    The scores are written to the folder ``output``, in shards. To resume a run, call ``score`` again with the same
    arguments: finished shards, and finished windows of a shard, are kept. A finished run is returned at once.

    Args:
        bundle: an exported model, or its folder.
        data: a `datasets` Dataset, DatasetDict (with ``split``) or IterableDataset, a pandas or polars DataFrame, an
            Arrow table or reader, a list of dicts; or a file, folder, glob or address of Parquet, Arrow, CSV, JSON
            lines or fastText (a text file may be in a zip archive), several of these, or the name of a `datasets` data
            set.
        output: the run directory to write.
        text_column, text_pair_column, label_column, id_column: the names of the columns with the text, the second text
            of a pair, the label, and your own row ids. Text and label are guessed if they are not named (``text``,
            ``sentence``, ...; ``label``, ``labels``, ...), and ``Run.columns`` tells the choice. Data without labels
            can be ranked by entropy. If ``text_column`` names several columns, their texts are joined. Labels are class
            names, or numbers: those of a ClassLabel stand for its names, others for the model's classes in their order.
        join: what is put between the texts of several text columns.
        no_label: score without labels, though a column could be the label.
        label_map: for labels that are not named like the model's classes: a dictionary from each label in the data to
            the model's class name, or to None to leave rows with that label out; or a JSON file with such an object,
            as ``write_label_map`` writes one to fill in. Every label that is not named like a class must be in it.
        no_label_value: a label that means that a row has no label, such as ``"-1"``, besides null, ``""`` and ``NaN``.
        config, split: the configuration and the split of a `datasets` data set; ``split`` is also the one to take
            from a DatasetDict, or from a folder whose files are named by split (``train.csv``, ``data/test-*.parquet``)
            or listed in its README.md as on the hub.
        streaming: read a `datasets` data set without downloading all of it first.
        delimiter: the character between the fields of a CSV file; by default recognised from the file.
        quoting: whether a double quote at the start of a CSV field encloses the field (``minimal``) or is part of the
            text (``none``); by default recognised from the file.
        encoding: the encoding of text files, such as ``cp1252``; by default UTF-8, or what a byte-order mark says.
        columns: the names of the columns of a CSV file that has no header.
        header: whether the first line of a CSV file has the names of the columns; by default recognised from the file.
        annotators: where several people labelled a row: take the label of the ``majority``, or the ``first`` one.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: how many batches run at once on a CPU; by default one per core.
        precision: ``fp32`` is exact; ``int8`` is faster and not exact; ``screen`` runs int8 on all rows, then fp32 on
            the rows that could be among the ``screen_top`` worst.
        screen_top: with ``precision="screen"``, how many of the worst rows must be those of fp32; by default 1% of the
            rows, at least 1,000.
        max_tokens: cut texts after this many tokens; by default the model's limit.
        long_text: score a text of more than ``max_tokens`` by its ``head``, its ``tail``, or the ``mean`` over
            overlapping pieces; by default as the model was trained (``bundle.long_text``), else by its head.
        batch_tokens: the most tokens in a batch, padding included; by default chosen by trials on the data.
        window_rows: how many rows are sorted by length together; by default ``shard_rows``, at most 4,096.
        shard_rows: how many rows a shard, the file that scores are written to, has.
        on_error: ``skip`` and count a row that can't be read, or ``fail``.
        all_probs: keep the probabilities of all classes of every row. Without it, a model with more than 256 classes
            keeps a row's 20 highest probabilities and that of its label, with their classes (``Run.to_arrow``). A run
            that is resumed keeps what it began to keep.
        reuse: an earlier, finished run, or its directory: rows with the same text and the same label as a row of that
            run keep its scores, so that only new and changed rows are run. Bundle, ``precision``, ``max_tokens`` and
            ``long_text`` must be the same, and ``precision`` not ``screen``; with more than 256 classes, ``all_probs``
            too. ``Run.stats.reused`` counts the rows.
        overwrite: replace a run in ``output`` instead of resuming it. A run that holds decisions is set aside first, as
            ``OUTPUT.before-TIME``; the decisions on rows whose text is unchanged carry over to the new run. Rows are
            matched by id, or by text if there are no ids.
        discard_decisions: with ``overwrite``, remove the decisions of the run in ``output`` with it.
        progress: True shows a bar in a terminal or notebook, False shows nothing; a function is called with each
            ``Step``: first with the ``plan``, then after every batch.

    Returns:
        The finished run. Data in memory stays with it, so keep the run, or give the data to ``open_run`` again.

    Raises:
        TypeError: ``data`` is of a kind that can't be scored.
        BundleError: the bundle is missing, damaged or newer than this version.
        SourceError: the data can't be read, lacks a column, or changes while it is scored.
        LabelError: the labels don't match the model's classes.
        DeviceError: onnxruntime or the device is not available.
        RunError: the run directory can't be written, or holds another run; or a setting is not valid.
        KeyboardInterrupt: finished shards are whole, and the run can be resumed.

    Example:
        >>> run = lr.score(BUNDLE, rows, "run", label_column="label", progress=False)
        >>> run
        <Run run: 500 rows of table, mean loss 0.35... nats, 88.40% of the labels are the predicted ones>
    """
    from lossrank.review.carried import carry_over, existing_run, set_aside_note
    from scorer.data.read_options import ReadOptions
    from scorer.pipeline.options import ScoreOptions
    from scorer.pipeline.score import score_dataset

    options = ScoreOptions(
        text_column=text_column,
        text_pair_column=text_pair_column,
        label_column=label_column,
        id_column=id_column,
        join=join,
        no_label=no_label,
        label_map=label_map_of(label_map),
        no_label_value=no_label_value,
        device=device,
        threads=threads,
        precision=precision,
        screen_top=screen_top,
        max_tokens=max_tokens,
        long_text=long_text,
        batch_tokens=batch_tokens,
        window_rows=window_rows,
        shard_rows=shard_rows,
        on_error=on_error,
        all_probs=all_probs,
    )
    existing = existing_run(Path(output), overwrite=overwrite, discard_decisions=discard_decisions)
    plans: list[Plan] = []
    with watched(progress, "scoring") as say:

        def on_plan(plan: "Plan") -> None:
            plans.append(plan)
            if (note := set_aside_note(Path(output))) is not None:
                say(Step(note=note))
            say(Step(plan=plan))

        def on_progress(report: "Progress") -> None:
            say(Step(report.done, report.total_rows, scoring=replace(report)))

        stats = score_dataset(
            bundle,
            data,
            output,
            options,
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
            reuse=None if reuse is None else path_of(reuse),
            on_plan=on_plan,
            on_progress=on_progress,
        )
        run = RunDirectory.open(output)
        if (note := carry_over(run)) is not None:
            say(Step(note=note))
    return finished_run(run, data, plans[0].source, stats)
