"""`lossrank report`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cli.keywords import in_options
from cli.options import json_option, ranking_options
from cli.output import print_json
from lossrank.progress import Step
from lossrank.report.report import FORMATS, TOP
from lossrank.report.report import report as report_run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; Markdown and JSON go to stdout without it."
)
@click.option("--format", type=click.Choice(FORMATS), help="What to write; default: what OUTPUT's name ends in.")
@ranking_options(default_top=TOP)
@click.option("--no-texts", is_flag=True, help="Leave out everything of the data but row numbers and ids.")
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@json_option
def report(run: Path, output: Path | None, as_json: bool, **options: Any) -> None:
    """Write what RUN found as one file to send to a colleague.

    Losses, confusions, classes, the worst rows, what was reviewed, and how it was run. The HTML file opens without a
    network; Markdown and JSON hold the same numbers. A run without labels has its rows ranked by entropy.

    \b
    Examples:
      lossrank report run -o report.html
      lossrank report run -o report.html --per-class 25 --no-texts
      lossrank report run --format md --top 20
      lossrank report run --format json > report.json
    """
    if output is None and as_json:
        raise click.UsageError("--json prints a summary where the report would go: give -o FILE too, or --format json")
    if output is None and options["format"] in (None, "html"):
        raise click.UsageError("an HTML report goes to a file: give -o report.html (--format md and json need none)")
    if click.get_current_context().get_parameter_source("by") == ParameterSource.DEFAULT:
        options["by"] = None  # the library's default, which looks at the run
    done = report_run(run, output, **options, progress=_note)
    if output is None:
        click.echo(done.content, nl=False)
    elif as_json:
        print_json(done.as_dict())
    else:
        click.echo(f"{done.count:,} of {done.rows:,} rows in {output} ({done.bytes / 1000:,.0f} kB)")


def _note(step: Step) -> None:
    if step.note is not None:
        click.echo(in_options(step.note), err=True)
