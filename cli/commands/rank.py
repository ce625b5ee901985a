"""`lossrank rank`."""

from pathlib import Path

import click
from rich.table import Table

from cli.console import opening, safe, stdout
from cli.options import json_option, ranking_options
from cli.output import print_json, say
from lossrank.api import open_run
from lossrank.ranking import Ranking
from lossrank.tables.write import check_output

_TOP = 20
_CLASS = 28  # characters of a class name and its probability
_PREVIEW = 10  # rows shown if the ranking goes to a file


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@ranking_options(default_top=_TOP)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write all columns of the rows to this .parquet, .csv or .jsonl file. For a spreadsheet use log --to csv.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@json_option
def rank(
    run: Path,
    top: int | None,
    by: str,
    per_class: int | None,
    pair: str | None,
    data: tuple[str, ...] | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show the rows of RUN with the worst loss, worst first, or write them to a file.

    \b
    Examples:
      lossrank rank run --top 50
      lossrank rank run --pair Business:World
      lossrank rank run --per-class 25 --by margin
      lossrank rank run --top 500 -o worst.csv
    """
    if output is not None:
        check_output(output, force)
    opened = open_run(run, data=data)
    worst = opened.worst(top if top or per_class else _TOP, by=by, per_class=per_class, pair=pair)
    if output is not None:
        worst.write(output, force=force)
    if as_json:
        found = worst.to_dict() if output is None else {**worst.summary(), "rows": None}
        print_json({**found, "output": None if output is None else str(output)})
    else:
        print_ranking(worst if output is None else worst[:_PREVIEW])
    if top and len(worst) < top:
        click.echo(f"{len(worst):,} rows: no more rows match.", err=True)
    if worst.note:
        say(worst.note)
    if output is not None and not as_json:
        click.echo(f"{len(worst):,} rows written to {output}")


def print_ranking(ranking: Ranking) -> None:
    """Print ranked rows as a table as wide as the console."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for heading in ("rank", "row", "loss"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("given", no_wrap=True, max_width=_CLASS)
    table.add_column("predicted", no_wrap=True, max_width=_CLASS)
    texts = ranking.texts()
    for name in texts.column_names:
        table.add_column(safe(name), no_wrap=True, overflow="ellipsis", ratio=1)
    for i, row in enumerate(ranking):
        table.add_row(
            f"{row.rank}",
            f"{row.row}",
            "" if row.loss is None else f"{row.loss:.3f}",
            safe(row.given_name or ""),
            safe(f"{row.predicted_name} {row.top_prob:.0%}"),
            *(opening(str(column[i])) for column in texts.columns),
        )
    stdout().print(table)
