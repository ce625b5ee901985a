"""`lossrank demo`."""

import shlex
from pathlib import Path

import click

from cli.commands.rank import print_ranking
from cli.commands.score import print_summary, run_score
from cli.options import json_option
from cli.output import print_json

FILES = Path(__file__).parents[1] / "demo_files"
BUNDLE = FILES / "bundle"
DATA = FILES / "ag_news_test.parquet"

_NEXT = (
    ("review {run}", "look at the worst 500 in the browser, and relabel them"),
    ("rank {run} --pair Sci/Tech:World", "one kind of confusion"),
    ("rank {run} --top 500 -o worst.csv", "the worst rows with all their columns"),
    ("log {run} --to rubrix --name ag_news_demo", "the worst 500 into a Rubrix server"),
    ("apply {run} -o corrected --allow-test-split", "all rows with the labels you decided on (they are a test split)"),
    ("export MODEL bundle", "your own classifier"),
    ("score bundle DATA -o run", "your own data"),
)


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("lossrank-demo"),
    show_default=True,
    help="The run directory to write.",
)
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Number of rows to show.")
@click.option("--overwrite", is_flag=True, help="Replace an existing run.")
@json_option
def demo(output: Path, top: int, overwrite: bool, as_json: bool) -> None:
    """Find wrong labels in a real news data set, right now.

    Scores the test split of AG News with a small classifier. Both come with lossrank, so no network is needed; scoring
    takes a few seconds on two cores. The result is an ordinary run directory, which the other commands can read.

    \b
    Examples:
      lossrank demo
      lossrank demo -o /tmp/demo --top 50
    """
    click.echo("The test split of AG News, scored by a small classifier that was not trained on it:\n", err=True)
    run = run_score(BUNDLE, str(DATA), output, overwrite=overwrite)
    worst = run.worst(top)
    if as_json:
        print_json({**run.to_dict(), "failed_gates": [], "worst": worst.to_dict()["rows"]})
        return
    print_summary(run.stats, output)
    click.echo(
        f"\nThe {len(worst)} rows whose given label the model finds hardest to believe.\n"
        "Wrong labels gather here, among rows that are only hard: a person decides which is which.\n"
    )
    print_ranking(worst)
    click.echo("\nNext:")
    for command, does in _NEXT:
        click.echo(f"  {does}:\n    lossrank {command.format(run=shlex.quote(str(output)))}")
