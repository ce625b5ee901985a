"""`lossrank import-probs`."""

import shlex
from pathlib import Path
from typing import Any

import click

from cli.commands.score import print_data_plan, print_summary, print_template
from cli.gates import check_gates, fail_if_option
from cli.log_file import log_end, log_plan, logging_to, refuse_log_file
from cli.options import json_option, log_file_option, overwrite_options
from cli.output import print_json
from cli.progress import StepProgress
from cli.settings import setting_options
from lossrank import Step
from lossrank import import_probs as import_data
from lossrank import write_label_map as write_template
from scorer.address import without_secrets
from scorer.audit.gates import Gate, failures
from scorer.data.probabilities import open_probabilities

_OF_A_MODEL = (
    *("device", "threads", "precision", "screen_top", "max_tokens", "long_text", "batch_tokens"),
    "window_rows",  # windows are sorted by length for the model
)


def _names_or_file(context: click.Context, option: click.Parameter, value: str | None) -> list[str] | Path | None:
    if value is None or Path(value).is_file():
        return None if value is None else Path(value)
    return [name.strip() for name in value.split(",")]


@click.command("import-probs")
@click.argument("data", nargs=-1, required=True)
@click.argument("probs")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The run directory to write.")
@click.option(
    "--classes",
    metavar="NAME,NAME,...|FILE",
    callback=_names_or_file,
    help="Names of the classes in the order of PROBS' columns, or a file with one a line, or with a JSON list. Of a "
    "table, they choose columns by name, or name all.  [default: the names of the columns; a .npy file needs them]",
)
@click.option(
    "--logits", is_flag=True, help="PROBS has logits, or logarithms of probabilities; their softmax is taken."
)
@click.option("--model", help="What reports call the model.  [default: the name of PROBS]")
@setting_options(without=_OF_A_MODEL)
@click.option(
    "--write-label-map",
    type=click.Path(path_type=Path),
    help="Write a label map with every label of DATA to this new file, to fill in for --label-map; no run is made.",
)
@overwrite_options
@fail_if_option
@log_file_option
@json_option
def import_probs(
    data: tuple[str, ...],
    probs: str,
    output: Path,
    write_label_map: Path | None,
    fail_if: tuple[Gate, ...],
    log_file: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Make a run of probabilities that any other model has predicted for the rows of DATA.

    PROBS has one row for each row of DATA, in the same order: a .npy file of floats [rows, classes], or a Parquet,
    Arrow, CSV or JSON file with one column for each class. DATA is read as by `lossrank score`. All other commands
    work on the run.

    \b
    Examples:
      lossrank import-probs reviews.parquet probs.npy -o run --classes negative,neutral,positive
      lossrank import-probs reviews.csv probs.csv -o run --label-column stars
      lossrank import-probs reviews.parquet logits.npy -o run --classes classes.txt --logits --model tfidf-svm
    """
    if write_label_map is not None:
        for name in ("logits", "model", "overwrite", "discard_decisions", "shard_rows", "on_error", "all_probs"):
            settings.pop(name)
        class_names = open_probabilities(probs, settings.pop("classes")).class_names
        print_template(write_template(class_names, data, write_label_map, **settings), as_json=as_json)
        return
    refuse_log_file(log_file, folder=output, files=[settings["label_map"], Path(probs)], read=data)
    addresses = [without_secrets(address) for address in data]

    def on_step(step: Step) -> None:
        if step.importing is not None:
            log_plan(step.importing)
            print_data_plan(step.importing)
        else:
            progress(step)

    with logging_to(log_file, "import-probs", data=addresses, probs=without_secrets(probs), run=str(output)):
        with StepProgress("importing") as progress:
            run = import_data(data, probs, output, progress=on_step, **settings)
        log_end(run.stats)
        failed = failures(fail_if, run.stats)
        if as_json:
            print_json({**run.to_dict(), "failed_gates": failed})
        else:
            print_summary(run.stats, output, run.directory.manifest.data.lines or 0, imported=True)
        check_gates(failed)
    if as_json:
        return
    by = " --by entropy" if run.stats.mean_loss is None else ""
    click.echo(f"\nNext: lossrank rank {shlex.quote(str(output))} --top 20{by}")
