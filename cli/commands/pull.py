"""`lossrank pull`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.console import safe, stderr
from cli.exit_codes import NOT_AS_ASKED
from cli.log_file import logging_to, refuse_log_file
from cli.options import data_option, json_option, log_file_option
from cli.output import print_json
from cli.progress import Bar
from cli.servers import server_options
from lossrank.review.files.kinds import FILES
from lossrank.review.other_run import RUN
from lossrank.review.pull import Pulled
from lossrank.review.pull import pull as pull_decisions
from lossrank.review.servers.server import TOOLS
from scorer.events import event


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    type=click.Choice(list(dict.fromkeys([*TOOLS, *FILES]))),
    help="The review tool or the kind of file.  [default: where `log` put the rows last, or by the file's ending]",
)
@click.option("--name", help="Data set on the server.  [default: where `log` put the rows last]")
@server_options
@click.option(
    "--policy",
    default="majority",
    show_default=True,
    metavar="majority|unanimous|latest|user=NAME",
    help="What decides where several people answered.",
)
@click.option(
    "--disagreements",
    type=click.Path(path_type=Path),
    help="Write the rows that nothing was decided of, with each answer, to a file of JSON lines.",
)
@click.option("--force", is_flag=True, help="Replace the file of disagreements if it exists.")
@data_option
@log_file_option
@json_option
def pull(run: Path, files: tuple[Path, ...], log_file: Path | None, as_json: bool, **options: Any) -> None:
    """Bring people's decisions back into RUN, from a review tool or its exported FILEs.

    The run remembers where `log` put the rows, so that server and name need not be given again. Decisions made with
    `lossrank review` and pulled ones are kept together: of each row the latest counts. Pulling again adds what is new.
    Rows that their annotators disagree on stay undecided and are listed. Several FILEs are of one kind; where
    they don't say whose decisions they are, their names do. A FILE may be another run over the same data, or over
    those that `apply` made these of: what was decided there holds here too.

    \b
    Examples:
      lossrank pull run
      lossrank pull run --from argilla --policy unanimous --disagreements open.jsonl
      lossrank pull run reviewed.csv
      lossrank pull run ana.csv ben.csv cy.csv --policy unanimous
      lossrank pull audited run
    """
    read = [run, *files]
    refuse_log_file(log_file, files=[*files, options["disagreements"]], runs=read, data=options["data"])
    with logging_to(log_file, "pull", run=str(run), source=options["source"]):
        with Bar("pulling") as bar:
            done = pull_decisions(run, files, **options, progress=bar)
        event("end", **{key: value for key, value in asdict(done).items() if isinstance(value, int)})
    if as_json:
        print_json(asdict(done))
    else:
        _print(done)
    if done.unknown_labels or done.foreign:
        click.get_current_context().exit(NOT_AS_ASKED)


def _print(done: Pulled) -> None:
    click.echo(
        f"{done.answers:,} answers: {done.kept:,} rows kept, {done.relabelled:,} relabelled, "
        f"{done.discarded:,} discarded; {done.added:,} decisions are new"
    )
    if done.older:
        click.echo(f"{done.older:,} of them are older than what was decided of their row here, which holds.")
    if done.outdated:
        which = f"{done.outdated:,} answers are older than those of the same people in an earlier pull"
        click.echo(f"{which}, which count in their place.")
    console = stderr()
    if done.taken_back:
        which = f"{done.taken_back:,} decisions of an earlier pull are taken back"
        console.print(safe(f"{which}, as those who made them now disagree or chose no class"))
    if done.open_rows:
        which = f"{len(done.open_rows):,} rows are open, as people disagree or chose no class"
        console.print(safe(f"{which}: {_some(done.open_rows)}"))
    if held := [row.row for row in done.disagreements if row.row not in done.open_rows]:
        which = f"{len(held):,} rows keep the decision that they have, though people disagree or chose no class"
        console.print(safe(f"{which}: {_some(held)}"))
    for label, count in done.unknown_labels.items():
        console.print(safe(f"{count:,} answers can't decide: the model has no class {label!r}"))
    if done.foreign:
        kept = ", or keep a label that is no class" if done.source == RUN else ""
        console.print(safe(f"{done.foreign:,} records left out: they name no row of this run's data{kept}"))
    if done.ahead:
        which = f"{done.ahead:,} new decisions are dated later than now, so they count as made now"
        console.print(safe(f"{which}; set the clock that is wrong, here or there"))
    if done.withdrawn:
        which = f"{done.withdrawn:,} rows decided by an earlier pull from {done.source}"
        console.print(safe(f"{which} have no decision there now; what was pulled before holds"))


def _some(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
