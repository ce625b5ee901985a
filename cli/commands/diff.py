"""`lossrank diff`."""

from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from cli.console import safe, stdout
from cli.keywords import in_options
from cli.options import json_option
from cli.output import print_json
from lossrank import diff as compare
from lossrank import open_run
from lossrank.review.compare import Comparison, Group, Moved
from lossrank.tables.write import check_output, write_table
from scorer.audit.rank import MEASURES, TOP_K
from scorer.run.protect import refuse_own_data
from scorer.text import printable


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=TOP_K,
    show_default=True,
    help="Number of rows that count as the worst.",
)
@click.option("--by", type=click.Choice(list(MEASURES)), default="loss", show_default=True, help="Measure to rank by.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the worst rows of both runs to this .parquet, .csv or .jsonl file.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@json_option
def diff(run_a: Path, run_b: Path, top: int, by: str, output: Path | None, force: bool, as_json: bool) -> None:
    """Compare RUN_A with RUN_B: which rows entered, left or stayed among the worst, and whose loss fell.

    Compare runs before and after `apply`, or runs of two models over the same data. Rows are matched by row number if
    both runs have the same number of rows, else by the id column. Decisions are read from RUN_A.

    \b
    Examples:
      lossrank diff before after
      lossrank diff before after --top 1000 -o moved.csv
    """
    if output is not None:
        check_output(output, force)
    runs = open_run(run_a), open_run(run_b)
    if output is not None:
        for run in runs:
            refuse_own_data(output, run.directory)
    found = compare(*runs, top=top, by=by)
    found = replace(found, notes=tuple(map(in_options, found.notes)))
    if output is not None:
        write_table(found.to_arrow(), output)
    if as_json:
        print_json({**found.to_dict(), "output": None if output is None else str(output)})
        return
    for note in found.notes:
        click.echo(f"Note: {printable(note)}.", err=True)
    _print(found)
    if output is not None:
        click.echo(f"{len(found.worst):,} rows written to {output}")


def _print(found: Comparison) -> None:
    click.echo(
        f"{found.matched:,} rows are in both runs, {found.only_a:,} only in the first, {found.only_b:,} only in the "
        f"second\nof the worst {found.top:,} by {found.by}: {found.entered:,} entered, {found.left:,} left, "
        f"{found.stayed:,} stayed\n"
    )
    groups = Table(box=None, pad_edge=False, header_style="bold")
    groups.add_column("decided")
    for heading in ("rows", "mean loss before", "after", "fell"):
        groups.add_column(heading, justify="right")
    for name, group in found.groups.items():
        groups.add_row(name, f"{group.rows:,}", *_means(group), f"{group.fell:,}")
    stdout().print(groups)
    if found.moved:
        click.echo("\nThe rows whose loss changed most:")
        stdout().print(_most_moved(found.moved))


def _means(group: Group) -> tuple[str, str]:
    before, after = group.mean_loss_before, group.mean_loss_after
    return "" if before is None else f"{before:.4f}", "" if after is None else f"{after:.4f}"


def _most_moved(moved: tuple[Moved, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("row", "in the second", "loss before", "after"):
        table.add_column(heading, justify="right")
    table.add_column("decided")
    for row in moved:
        losses = ("" if loss is None else f"{loss:.3f}" for loss in (row.loss_a, row.loss_b))
        table.add_row(f"{row.row_a}", f"{row.row_b}", *losses, safe(row.status))
    return table
