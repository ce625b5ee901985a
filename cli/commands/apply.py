"""`lossrank apply`."""

from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json, say_note
from lossrank.publish.apply import Applied
from lossrank.publish.apply import apply as apply_decisions
from lossrank.publish.write import FORMATS, PARQUET
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, UNREVIEWED
from scorer.text import printable


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="What to write: a .parquet file, or a folder in the Hugging Face hub's layout.",
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default=PARQUET,
    show_default=True,
    help="Format of the folder; save_to_disk needs the extra `datasets`.",
)
@click.option(
    "--diff",
    type=click.Path(path_type=Path),
    help="Write only the changes to this .csv, .jsonl or .parquet file. A spreadsheet may run cells of a .csv file.",
)
@click.option("--with-texts", is_flag=True, help="Add the rows' texts to the --diff file.")
@click.option("--drop-discarded", is_flag=True, help="Leave out discarded rows.")
@click.option("--reviewers", is_flag=True, help="Add columns with the annotator, source and time of each decision.")
@click.option("--allow-test-split", is_flag=True, help="Allow the correction of a test split.")
@click.option(
    "--push-to-hub", metavar="OWNER/NAME", help="Push the folder to the hub, with the token in the variable HF_TOKEN."
)
@click.option("--private", is_flag=True, help="Make the pushed data set private.")
@data_option
@click.option("--force", is_flag=True, help="Replace an existing output, --diff file or split on the hub.")
@json_option
def apply(run: Path, as_json: bool, **options: Any) -> None:
    """Write the data of RUN with the labels that people decided on.

    Every row is written, in its order and with all its columns. The label column is corrected in place,
    `original_label` has the label before the correction, and `label_status` is kept, relabelled, discarded or
    unreviewed. Class names and class numbers are the same as in the data. A folder includes a data set card and can be
    read by `datasets.load_dataset`.

    \b
    Examples:
      lossrank apply run -o corrected
      lossrank apply run -o corrected.parquet --diff changes.csv
      lossrank apply run -o corrected --push-to-hub me/corrected-reviews --private
    """
    done = apply_decisions(run, **options, progress=say_note)
    if as_json:
        print_json(done.to_dict())
    else:
        _print(done)


def _print(done: Applied) -> None:
    by = done.by_status
    click.echo(
        f"{done.rows:,} rows: {by[RELABELLED]:,} relabelled, {by[KEPT]:,} kept, {by[DISCARDED]:,} discarded, "
        f"{by[UNREVIEWED]:,} unreviewed"
    )
    for given, new, count in done.moves[:10]:
        click.echo(f"  {count:>6,}  {printable(given or 'no label')} -> {printable(new)}")
    if done.output is not None:
        click.echo(f"{done.written:,} rows written to {done.output}")
    if done.diff is not None:
        click.echo(f"{done.changed:,} changes written to {done.diff}")
    if done.url is not None:
        click.echo(f"Pushed to {done.url}")
