"""`lossrank rank`."""

from pathlib import Path

import click
import pyarrow as pa
from rich.table import Table

from cli.console import opening, safe, stdout
from cli.options import json_option, ranking_options
from cli.output import print_json, say_precision
from lossrank.tables.ranking import ranking_records, ranking_table
from lossrank.tables.write import check_output, write_table
from scorer import RankedRow, RunDirectory, join_source
from scorer import rank as rank_rows
from scorer.run.protect import refuse_own_data

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
    opened = RunDirectory.open(run)
    if output is not None:
        refuse_own_data(output, opened, data)
    ranked = rank_rows(opened, top if top or per_class else _TOP, by=by, per_class=per_class, pair=pair)
    source = join_source(opened, ranked, data, scored_only=output is None and not as_json)
    if output is not None:
        write_table(ranking_table(opened, ranked, source), output)
    if as_json:
        records = None if output is not None else ranking_records(opened, ranked, source)
        where = None if output is None else str(output)
        print_json({"run": str(run), "by": by, "count": len(ranked), "output": where, "rows": records})
    else:
        print_ranking(opened, ranked if output is None else ranked[:_PREVIEW], source)
    if top and len(ranked) < top:
        click.echo(f"{len(ranked):,} rows: no more rows match.", err=True)
    say_precision(opened, ranked)
    if output is not None and not as_json:
        click.echo(f"{len(ranked):,} rows written to {output}")


def print_ranking(run: RunDirectory, ranked: list[RankedRow], source: pa.Table) -> None:
    """Print ranked rows as a table as wide as the console; ``source`` has the same rows with the data's columns."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for heading in ("rank", "row", "loss"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("given", no_wrap=True, max_width=_CLASS)
    table.add_column("predicted", no_wrap=True, max_width=_CLASS)
    texts = [name for name in (run.columns.text, run.columns.text_pair) if name]
    for name in texts:
        table.add_column(safe(name), no_wrap=True, overflow="ellipsis", ratio=1)
    for i, row in enumerate(ranked):
        table.add_row(
            f"{row.rank}",
            f"{row.row}",
            "" if row.loss is None else f"{row.loss:.3f}",
            safe("" if row.label is None else run.class_names[row.label]),
            safe(f"{run.class_names[row.predicted]} {row.top_prob:.0%}"),
            *(opening(str(source.column(name)[i])) for name in texts),
        )
    stdout().print(table)
