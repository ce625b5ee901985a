"""`lossrank apply`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from cli.options import data_option, json_option
from cli.output import print_json
from cli.text import printable
from lossrank.publish.card import troubles
from lossrank.publish.changes import changes_table
from lossrank.publish.corrected import corrected_rows
from lossrank.publish.destination import is_file_output, refuse_output
from lossrank.publish.hub import push, refuse_push
from lossrank.publish.save_to_disk import require_datasets
from lossrank.publish.split import refuse_test_split, split_name
from lossrank.publish.write import FORMATS, PARQUET, SAVED, write_file, write_folder
from lossrank.review.decided_rows import Decided, decided_rows
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, UNREVIEWED
from lossrank.tables.write import check_output, write_table
from scorer import RunDirectory, RunError
from scorer.data.reopen import reopen_source
from scorer.data.spec import spec_from
from scorer.files import put_back
from scorer.run.protect import refuse_own_data, refuse_scores


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A .parquet file, or a folder in the hub's layout, to write.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=PARQUET,
    show_default=True,
    help="What the folder holds; save_to_disk needs the extra datasets.",
)
@click.option(
    "--diff",
    type=click.Path(path_type=Path),
    help="Write just the changes, as .csv, .jsonl or .parquet for a program; a spreadsheet may run cells of a .csv.",
)
@click.option("--with-texts", is_flag=True, help="Put the rows' texts into the --diff file.")
@click.option("--drop-discarded", is_flag=True, help="Leave discarded rows out.")
@click.option("--reviewers", is_flag=True, help="Add who gave each label, where and when.")
@click.option("--allow-test-split", is_flag=True, help="Correct a test split all the same.")
@click.option("--push-to-hub", metavar="OWNER/NAME", help="Push the folder, with the token in the variable HF_TOKEN.")
@click.option("--private", is_flag=True, help="Make the pushed data set a private one.")
@data_option
@click.option("--force", is_flag=True, help="Replace what is there: the output, the --diff file, the split on the hub.")
@json_option
def apply(
    run: Path,
    output: Path | None,
    form: str,
    diff: Path | None,
    with_texts: bool,
    drop_discarded: bool,
    reviewers: bool,
    allow_test_split: bool,
    push_to_hub: str | None,
    private: bool,
    data: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Write the data of RUN with the labels that people decided on.

    Every row is in it, in its order and with all its columns; `label` is corrected in place, `original_label` has it
    as it was, `label_status` says whether somebody looked: kept, relabelled, discarded or unreviewed. Class names and
    numbers are the data's own. A folder comes with a data set card and can be read by `datasets.load_dataset`.

    \b
    Examples:
      lossrank apply run -o corrected
      lossrank apply run -o corrected.parquet --diff changes.csv
      lossrank apply run -o corrected --push-to-hub me/corrected-reviews --private
    """
    _check_usage(output, form, diff, with_texts, push_to_hub, private)
    opened = RunDirectory.open(run)
    spec = spec_from(opened.manifest["data"]["spec"])
    split = split_name(spec)
    if output is not None:
        if (left := put_back(output)) is not None:
            said = f"{output} is back from {left.name}, where an apply that was killed had left it"
            click.echo(f"Note: {printable(said)}.", err=True)
        refuse_output(output, split, force=force)
    if diff is not None:
        check_output(diff, force)
        if output is not None and diff.resolve().is_relative_to(output.resolve()):
            raise RunError(f"--diff {diff} lies in the output {output}; give the changes a file of their own")
    decided = decided_rows(opened)
    if not allow_test_split:
        refuse_test_split(spec)
    if form == SAVED:
        require_datasets("--format save_to_disk")
    if push_to_hub is not None:
        refuse_push(push_to_hub, private=private, force=force)
    source = reopen_source(spec, opened.data_fingerprint, data or None)
    if not allow_test_split:
        refuse_test_split(source.spec)
    lie = [*data, *(record.file for record in source.spec.files)]
    for place in (output, diff):
        if place is not None:
            refuse_own_data(place, opened, lie, is_folder=place is output and not is_file_output(place))
            refuse_scores(place)
    done = _Done(str(run), opened.num_rows, decided.counts(opened.num_rows))
    if output is not None:
        rows = corrected_rows(opened, source, decided, drop_discarded=drop_discarded, reviewers=reviewers)
        done.note(*rows.notes)
        if is_file_output(output):
            write_file(rows, output)
        else:
            write_folder(rows, output, split, form)
        done.output, done.written = str(output), rows.num_rows
        done.note(*troubles(rows))
    if diff is not None:
        write_table(changes_table(opened, decided, source if with_texts else None), diff)
        done.diff = str(diff)
    if output is not None and push_to_hub is not None:
        done.url = push(output, push_to_hub, split, private=private)
    if as_json:
        print_json(asdict(done))
    else:
        _print(done, decided)


@dataclass
class _Done:
    """What was written: of ``rows`` rows, ``by_status`` counts what people decided."""

    run: str
    rows: int
    by_status: dict[str, int]
    written: int = 0
    output: str | None = None
    diff: str | None = None
    url: str | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, *notes: str) -> None:
        for note in notes:
            self.notes.append(note)
            click.echo(f"Note: {printable(note)}.", err=True)


def _check_usage(
    output: Path | None, form: str, diff: Path | None, with_texts: bool, push_to_hub: str | None, private: bool
) -> None:
    if output is None and diff is None:
        raise click.UsageError("give -o OUT for the corrected data set, --diff FILE for just the changes, or both")
    is_folder = output is not None and not is_file_output(output)
    if form == SAVED and not is_folder:
        raise click.UsageError("--format save_to_disk takes -o FOLDER")
    if push_to_hub is not None and not is_folder:
        raise click.UsageError("--push-to-hub takes -o FOLDER, which has the card that is pushed with the data")
    if private and push_to_hub is None:
        raise click.UsageError("--private goes with --push-to-hub")
    if with_texts and diff is None:
        raise click.UsageError("--with-texts goes with --diff")


def _print(done: _Done, decided: Decided) -> None:
    by = done.by_status
    click.echo(
        f"{done.rows:,} rows: {by[RELABELLED]:,} relabelled, {by[KEPT]:,} kept, {by[DISCARDED]:,} discarded, "
        f"{by[UNREVIEWED]:,} unreviewed"
    )
    for given, new, count in decided.moves()[:10]:
        click.echo(f"  {count:>6,}  {printable(given or 'no label')} -> {printable(new)}")
    if done.output is not None:
        click.echo(f"{done.written:,} rows written to {done.output}")
    if done.diff is not None:
        click.echo(f"{len(decided.changed):,} changes written to {done.diff}")
    if done.url is not None:
        click.echo(f"Pushed to {done.url}")
