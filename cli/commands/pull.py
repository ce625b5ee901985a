"""`lossrank pull`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cli.console import safe, stderr
from cli.exit_codes import NOT_AS_ASKED
from cli.log_file import logging_to, refuse_log_file
from cli.options import data_option, json_option, log_file_option
from cli.output import print_json
from cli.progress import StepProgress
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
    help="Review tool, or kind of the FILEs.  [default: where `log` last sent the rows, or by the FILE's extension]",
)
@click.option("--name", help="Data set on the server.  [default: where `log` last sent the rows]")
@server_options
@click.option(
    "--policy",
    default="majority",
    show_default=True,
    metavar="majority|unanimous|latest|user=NAME",
    help="How several people's answers to a row become the row's decision.",
)
@click.option(
    "--disagreements",
    type=click.Path(path_type=Path),
    help="Write the rows on which annotators disagree, with all their answers, to this file of JSON lines.",
)
@click.option("--force", is_flag=True, help="Replace the file of disagreements if it exists.")
@data_option
@log_file_option
@json_option
def pull(run: Path, files: tuple[Path, ...], log_file: Path | None, as_json: bool, **options: Any) -> None:
    """Bring people's decisions back into RUN, from a review tool or its exported FILEs.

    The run remembers where `log` sent the rows, so the server and the data set need not be named again. Pulled
    decisions are stored with the decisions of `lossrank review`; the latest decision about a row counts. Pulling again
    adds new decisions. Rows on which annotators disagree stay undecided and are listed.

    All FILEs must be of one kind. If a file does not name its annotators, all its answers are attributed to one person
    with the file's name. A FILE may also be another run, whose decisions are then copied into RUN. That run must be
    over the same data as RUN, or over the data that `apply` corrected to make RUN's data.

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
        with StepProgress("pulling") as progress:
            done = pull_decisions(run, files, **options, progress=progress)
        found = done.to_dict()
        event("end", **{key: value for key, value in found.items() if isinstance(value, int)})
    if as_json:
        print_json(found)
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
        click.echo(f"{done.older:,} of these decisions are older than the row's decision in this run, which is kept.")
    if done.outdated:
        which = f"{done.outdated:,} answers are older than the same people's answers in an earlier pull"
        click.echo(f"{which}; only the newer answers are used.")
    console = stderr()
    if done.taken_back:
        which = f"{done.taken_back:,} decisions of an earlier pull are taken back"
        console.print(safe(f"{which}, because their annotators now disagree or chose no class"))
    if done.open_rows:
        which = f"{len(done.open_rows):,} rows are undecided, because annotators disagree or chose no class"
        console.print(safe(f"{which}: {_some(done.open_rows)}"))
    if held := [row.row for row in done.disagreements if row.row not in done.open_rows]:
        which = f"{len(held):,} rows keep their earlier decision, although annotators now disagree or chose no class"
        console.print(safe(f"{which}: {_some(held)}"))
    for label, count in done.unknown_labels.items():
        console.print(safe(f"{count:,} answers are left out: the model has no class {label!r}"))
    if done.foreign:
        kept = ", or they keep a label that is not a class of the model" if done.source == RUN else ""
        console.print(safe(f"{done.foreign:,} records are left out: they name no row of this run's data{kept}"))
    if done.ahead:
        which = f"{done.ahead:,} new decisions are dated in the future, so they count as made now"
        console.print(safe(f"{which}; correct the clock of this machine or of the machine that made them"))
    if done.withdrawn:
        which = f"{done.withdrawn:,} rows decided by an earlier pull from {done.source}"
        console.print(safe(f"{which} have no decision there now; the pulled decisions stay"))


def _some(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
