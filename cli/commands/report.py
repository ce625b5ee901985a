"""`lossrank report`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cli.options import json_option, ranking_options
from cli.output import print_json, say_note
from lossrank.report.report import FORMATS, TOP
from lossrank.report.report import report as report_run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; without it, Markdown and JSON go to stdout."
)
@click.option(
    "--format", type=click.Choice(FORMATS), help="Format of the report.  [default: by the extension of the output]"
)
@ranking_options(default_top=TOP)
@click.option("--no-texts", is_flag=True, help="Leave out all content of the data except row numbers and ids.")
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@json_option
def report(run: Path, output: Path | None, as_json: bool, **options: Any) -> None:
    """Write the findings of RUN to one file that you can send to a colleague.

    The report shows the losses, confusions, classes, worst rows, decisions and settings. The HTML file opens without a
    network; Markdown and JSON have the same numbers. Rows without labels are ranked by entropy.

    \b
    Examples:
      lossrank report run -o report.html
      lossrank report run -o report.html --per-class 25 --no-texts
      lossrank report run --format md --top 20
      lossrank report run --format json > report.json
    """
    if output is None and as_json:
        raise click.UsageError(
            "--json prints a summary on stdout, where the report would go: add -o FILE, or use --format json"
        )
    if output is None and options["format"] in (None, "html"):
        raise click.UsageError("an HTML report needs a file: add -o report.html, or use --format md or json")
    if click.get_current_context().get_parameter_source("by") == ParameterSource.DEFAULT:
        options["by"] = None  # the library then ranks by loss, or by entropy if the run has no labels
    done = report_run(run, output, **options, progress=say_note)
    if output is None:
        click.echo(done.content, nl=False)
    elif as_json:
        print_json(done.to_dict())
    else:
        click.echo(f"{done.count:,} of {done.rows:,} rows in {output} ({done.bytes / 1000:,.0f} kB)")
