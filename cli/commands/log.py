"""`lossrank log`."""

import shlex
from pathlib import Path
from typing import Any

import click

from cli.exit_codes import NOT_AS_ASKED
from cli.log_file import logging_to, refuse_log_file
from cli.options import json_option, log_file_option, ranking_options
from cli.output import print_json
from cli.progress import StepProgress
from cli.servers import server_options
from lossrank.review.files.kinds import FILES
from lossrank.review.log import Logged, check_arguments
from lossrank.review.log import log as log_rows
from lossrank.review.servers.server import TOOLS
from scorer.audit.rank import TOP_K
from scorer.events import event
from scorer.text import printable


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(list(dict.fromkeys([*TOOLS, *FILES]))),
    default="rubrix",
    show_default=True,
    help="Review tool to send the rows to, or kind of file to write.",
)
@click.option("--name", help="Data set on the server, created if it is missing; for Label Studio, the project's title.")
@ranking_options(default_top=TOP_K)
@server_options
@click.option("--chunk-size", type=click.IntRange(1, 1000), default=500, show_default=True, help="Records per request.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help=f"File to write, for --to {', '.join(FILES)}.")
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@log_file_option
@json_option
def log(run: Path, log_file: Path | None, as_json: bool, **options: Any) -> None:
    """Send the worst rows of RUN to a review tool, or write them to a file for one.

    Each record has the text, the predicted label and its probability, the given label, and the loss to sort by.
    Records that are already on the server are not changed, so running the same command again adds only the missing
    rows and keeps the annotators' work. A row that the server refuses is reported and left out, and the exit code is 3.

    \b
    Examples:
      lossrank log run --to rubrix --name ag_news_error_analysis --top 500
      lossrank log run --name ag_news_per_class --per-class 100 --url https://rubrix.example
      lossrank log run --to argilla --name ag_news --url https://argilla.example
      lossrank log run --to label-studio --name 'AG News' --url https://label.example
      lossrank log run --to csv -o worst.csv --pair World:Sports
    """
    check_arguments(options["to"], options["name"], options["output"], options["chunk_size"])
    refuse_log_file(log_file, files=[options["output"]], runs=[run], data=options["data"])
    with logging_to(log_file, "log", run=str(run), to=options["to"], name=options["name"]):
        with StepProgress("logging") as progress:
            done = log_rows(run, **options, progress=progress)
        counts = {"rows": done.rows, "written": done.written, "already_there": done.already_there}
        event("end", **counts, refused=[refusal.row for refusal in done.refused])
    if as_json:
        print_json(done.to_dict())
    else:
        _print(done)
    if options["top"] and done.rows < options["top"]:
        click.echo(f"{done.rows:,} rows: no more rows match.", err=True)
    if done.refused:
        click.get_current_context().exit(NOT_AS_ASKED)


def _print(done: Logged) -> None:
    counts = f"{done.rows:,} rows: {done.written:,}"
    if done.output is not None:
        click.echo(f"{counts} written to {done.output}, {len(done.refused):,} refused")
        if done.advice:
            click.echo(printable(done.advice))
    else:
        click.echo(f"{counts} logged, {done.already_there:,} already there, {len(done.refused):,} refused")
        click.echo(f"Review them at {done.url}")
        click.echo(f"The worst first: {done.sort}.")
        click.echo(f"Then bring the decisions back: lossrank pull {shlex.quote(done.run)}")
