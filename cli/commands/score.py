"""`lossrank score`."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.gates import check_gates, fail_if_option
from cli.keywords import in_options
from cli.log_file import ProgressLog, log_end, log_plan, logging_to, refuse_log_file
from cli.options import json_option, log_file_option, overwrite_options
from cli.output import print_json
from cli.progress import ScoreProgress
from cli.settings import setting_options
from lossrank import LabelTemplate, Run, Step
from lossrank import score as score_data
from lossrank import write_label_map as write_template
from scorer import Plan, RunStats
from scorer.address import without_secrets
from scorer.audit.gates import Gate, failures
from scorer.errors import shortage
from scorer.pipeline.plan import DataPlan
from scorer.run.manifest import ScreenReport
from scorer.text import duration, printable, some

_NO_LABEL = "NONE: rows get predictions but no loss; if the data has labels, name their column with --label-column"

_LEFT_OUT = "NONE, as asked: rows get predictions but no loss"


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The run directory to write.")
@setting_options()
@click.option(
    "--write-label-map",
    type=click.Path(path_type=Path),
    help="Write a label map with every label of DATA to this new file, to fill in for --label-map; nothing is scored.",
)
@click.option(
    "--reuse",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take over this finished run's scores for rows with the same text and label, so that only new and changed "
    "rows are run.",
)
@overwrite_options
@fail_if_option
@log_file_option
@json_option
def score(
    bundle: Path,
    data: tuple[str, ...],
    output: Path,
    write_label_map: Path | None,
    overwrite: bool,
    fail_if: tuple[Gate, ...],
    log_file: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compute the loss of every row of DATA with the model in BUNDLE.

    DATA is a file, folder or glob of Parquet, Arrow, CSV, JSON or fastText, local or at an s3://, gs://, hf:// or https://
    address, or several of these; a folder written by datasets.save_to_disk; or the name of a `datasets` data set. To
    resume an interrupted run, give the same command again.

    \b
    Examples:
      lossrank score bundle reviews.parquet -o run
      lossrank score bundle 'logs/*.jsonl' -o run --text-column message --label-column topic
      lossrank score bundle ag_news --split test -o run
      lossrank score bundle 's3://bucket/reviews/*.parquet' -o run
      lossrank score bundle news.csv -o run --columns label,title,body --text-column title --text-column body
      lossrank score bundle old.tsv -o run --quoting none --encoding cp1252
      lossrank score bundle reviews.parquet -o run --write-label-map labels.json
      lossrank score bundle reviews.parquet -o run --precision screen
      lossrank score bundle tonight.parquet -o run --fail-if 'mean_loss > 0.5' --log-file night.jsonl
    """
    if write_label_map is not None:
        for name in ("reuse", "discard_decisions"):  # about runs
            settings.pop(name, None)
        print_template(write_template(bundle, data, write_label_map, **settings), as_json=as_json)
        return
    model_files = bundle.iterdir() if bundle.is_dir() else ()
    refuse_log_file(log_file, folder=output, files=[settings["label_map"], *model_files], read=data)
    addresses = [without_secrets(address) for address in data]
    with logging_to(log_file, "score", bundle=str(bundle), data=addresses, run=str(output)):
        run = run_score(bundle, data, output, overwrite=overwrite, **settings)
        log_end(run.stats)
        failed = failures(fail_if, run.stats)
        if as_json:
            print_json({**run.to_dict(), "failed_gates": failed})
        else:
            print_summary(run.stats, output, run.directory.manifest.data.lines or 0)
        check_gates(failed)
    if as_json:
        return
    by = " --by entropy" if run.stats.mean_loss is None else ""
    click.echo(f"\nNext: lossrank rank {shlex.quote(str(output))} --top 20{by}")


def run_score(bundle: Path, data: Any, output: Path, *, overwrite: bool, **settings: Any) -> Run:
    """Score data into the directory ``output``; show and log the plan and the progress."""
    log, notes = ProgressLog(), list[str]()

    def print_notes() -> None:
        while notes:
            _note(notes.pop(0))

    def on_step(step: Step) -> None:
        if step.plan is not None:
            log_plan(step.plan)
            print_plan(step.plan)
        if step.note is not None:
            notes.append(in_options(step.note))
            if progress.last is None:  # nothing is drawn yet
                print_notes()
        if step.scoring is not None:
            log(step.scoring)
            progress(step.scoring)

    with ScoreProgress() as progress:
        try:
            run = score_data(bundle, data, output, overwrite=overwrite, progress=on_step, **settings)
        except BaseException as error:
            if progress.last is not None and (isinstance(error, KeyboardInterrupt) or shortage(error)):
                again = "the same command without --overwrite" if overwrite else "the same command again"
                click.echo(f"\nThe rows scored so far are kept in {output}; to resume, give {again}.", err=True)
            raise
    print_notes()
    return run


def print_plan(plan: Plan) -> None:
    """Print the plan of a run, with the columns that were guessed."""
    print_data_plan(plan)
    threads = f", {plan.threads} thread(s)" if plan.device == "cpu" else ""
    _note(f"device   {plan.device}{threads} ({plan.why_device})")
    _note(f"batches  {plan.batch_tokens:,} tokens ({plan.calibration.why})")
    if plan.screen_top is not None:
        _note(f"screen   int8 for every row, fp32 for those that could be among the worst {plan.screen_top:,}")
    elif plan.precision != "fp32":
        _note(f"numbers  {plan.precision}: losses are not exact")


def print_data_plan(plan: DataPlan) -> None:
    """Print the part of a run's plan that is about its data."""
    guessed = plan.columns.guessed
    source = plan.source
    _note(f"data     {source.name}: {source.num_rows:,} rows in {len(source.parts)} part(s)")
    for note in source.notes:
        _note(f"         {note}")
    for role, name in plan.columns.to_dict().items():
        if name is not None or role == "label":
            guess = " (guessed)" if role in guessed else ""
            none = _NO_LABEL if role in guessed else _LEFT_OUT
            _note(f"{role:<8} {none if name is None else name + guess}")
    if plan.labels is not None:
        _note(f"classes  {some(plan.labels.class_names, 1000)}; labels mapped {plan.labels.how}")
    for note in plan.checked.notes if plan.checked is not None else ():
        _note(f"         {note}")


def print_template(template: LabelTemplate, *, as_json: bool) -> None:
    """Print where a label map was written, and how many of its labels are open."""
    labels, left = template.mapping, template.open_labels
    if as_json:
        print_json({"file": str(template.file), "label_map": labels, "open": left})
        return
    then = f"then score with --label-map {shlex.quote(str(template.file))}"
    todo = f'write the class of the {len(left):,} labels with "", or null to leave their rows out, and ' if left else ""
    click.echo(f"{template.file}: {len(labels):,} labels, {len(labels) - len(left):,} with their class; {todo}{then}")


def print_summary(stats: RunStats, run: Path, lines: int = 0, *, imported: bool = False) -> None:
    """Print the results of a run and its cost, and the number of ``lines`` that its CSV files have.

    A run of ``imported`` probabilities has no tokens and no time in a model.
    """

    def say(what: str, value: str) -> None:
        click.echo(f"{what:<17}{printable(value)}")

    say("run", str(run))
    kept = f" ({stats.kept_rows:,} kept from before)" if stats.kept_rows else ""
    say("rows", f"{stats.rows:,}{kept}")
    if lines:
        say("  lines", f"{lines:,} in the files, headers included")
    for status, count in stats.by_status.items():
        say(f"  {status}", f"{count:,}")
    if stats.mean_loss is not None and stats.accuracy is not None:
        say("mean loss", f"{stats.mean_loss:.4f} nats")
        say("accuracy", f"{stats.accuracy:.2%} of the given labels are the predicted ones")
    if stats.zero_probs:
        say("probability 0", f"{stats.zero_probs:,} label(s): their loss is that of 1.4e-45, the least float32 number")
    if not imported:
        say("truncated", f"{stats.truncated:,}")
    if stats.rows_per_second is not None:
        say("speed", f"{stats.rows_per_second:,.0f} rows/s")
    if not imported:
        say("tokens", f"{stats.tokens:,}, and {stats.padding:.2%} of the model's input was padding")
    if stats.reused:
        say("reused", f"{stats.reused:,} rows have the scores of an earlier run")
    if stats.duplicates:
        say("duplicates", f"{stats.duplicates:,} texts had the same tokens as another text and were not run")
    if stats.screen:
        print_screen(stats.screen, say)
    shown = {name: spent for name, spent in stats.seconds.items() if name != "total" and (spent or name != "rescore")}
    stages = ", ".join(f"{name} {duration(spent)}" for name, spent in shown.items())
    say("time", duration(stats.seconds["total"]) + (f" ({stages})" if stages else ""))
    if not imported:
        say("in the model", f"{stats.model_share:.0%} of the threads' time")
    say("peak memory", f"{stats.peak_memory_bytes / 2**20:,.0f} MiB")
    for name, count in stats.unknown_labels.items():
        _note(f"unknown label {name!r}: {count:,} rows")
    for problem in stats.problems:
        _note(f"unreadable: {problem}")


def print_screen(screen: ScreenReport, say: Callable[[str, str], None]) -> None:
    """Print how many rows a screen scored again, and the estimated share of the worst rows that it found."""
    say("screen", f"{screen.rescored:,} rows were scored again in fp32")
    if screen.control:
        say(
            "  worst",
            f"{screen.top_k:,}, of which an estimated {screen.estimated_recall:.1%} are the same as with fp32",
        )
        say(
            "  control",
            f"{screen.control.rows:,} random rows in both: {screen.control.mean_error:.4f} nats apart on average, "
            f"{screen.control.largest_error:.2f} at most",
        )


def _note(text: str) -> None:
    """Print a note on stderr, with control codes of names and labels replaced by blanks."""
    click.echo(printable(text), err=True)
