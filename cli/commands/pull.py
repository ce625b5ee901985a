"""`lossrank pull`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from cli.console import safe, stderr
from cli.exit_codes import NOT_AS_ASKED
from cli.log_file import logging_to, refuse_files, refuse_run_data
from cli.options import data_option, json_option, log_file_option
from cli.output import print_json
from cli.progress import Bar
from cli.servers import server_options
from lossrank.review.agree import agree, check_policy
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Answer, Place, Reading, now_text
from lossrank.review.files.kinds import FILES, read_files
from lossrank.review.other_run import RUN, read_run
from lossrank.review.pull import Pulled, _decided, _kind, _strange, _where, _word
from lossrank.review.records import record_id
from lossrank.review.servers.server import TOOLS, Account
from lossrank.review.store import DecisionStore
from lossrank.tables.json_values import json_line
from scorer import RunDirectory, RunError
from scorer.events import event
from scorer.files import write_atomically
from scorer.layout import is_run
from scorer.run.directory import given_labels
from scorer.run.protect import refuse_existing, refuse_own_data


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
    callback=lambda ctx, param, value: check_policy(value),
    help="What decides where several people answered.",
)
@click.option(
    "--disagreements",
    type=click.Path(path_type=Path),
    help="Write the rows that nothing was decided of, with each answer, to a file of JSON lines.",
)
@click.option("--force", is_flag=True, help="Replace the file of disagreements if it is there.")
@data_option
@log_file_option
@json_option
def pull(
    run: Path,
    files: tuple[Path, ...],
    source: str | None,
    name: str | None,
    url: str | None,
    api_key: str | None,
    workspace: str | None,
    policy: str,
    disagreements: Path | None,
    force: bool,
    data: tuple[str, ...],
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Bring people's decisions back into RUN, from a review tool or its exported FILEs.

    Where `log` put the rows is remembered, so that neither server nor name need be said again. Decisions made with
    `lossrank review` and pulled ones are kept together: of each row the latest holds. Pulling again adds what is new.
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
    refuse_files(log_file, [*files, disagreements])
    refuse_run_data(log_file, [run, *files], data)
    with logging_to(log_file, "pull", run=str(run), source=source):
        if disagreements is not None:
            refuse_existing(disagreements, force)
            if disagreements.resolve() in [file.resolve() for file in files]:
                raise RunError(f"--disagreements {disagreements} is a file that is pulled; choose another name")
        if data and not any(map(is_run, files)):
            raise RunError(f"--data {data[0]} is of use only where another run is pulled; leave it out")
        opened = RunDirectory.open(run)
        if disagreements is not None:
            refuse_own_data(disagreements, opened)
        with DecisionStore(opened) as store:
            if files:
                kind = _kind(files, source)
                reading = read_run(files[0], opened, data or None) if kind == RUN else read_files(files, kind, opened)
            else:
                place, account = _where(store.places(), source, name, url, api_key, workspace)
                kind = place.tool
                reading = _read_server(opened, place, account, _decided(store, kind))
            answers = reading.answers
            silent = {row for row, _ in reading.undecided} - {answer.row for answer in answers}
            withdrawn = _decided(store, kind) & silent
            if files and kind != RUN and not FILES[kind].dated:
                answers = store.first_said(answers, kind, reading.undecided)
            outdated = len({_word(one) for one in answers} - {_word(one) for one in reading.answers})
            given = given_labels(opened, sorted({answer.row for answer in answers}))
            decisions, open_rows = agree(answers, policy, given, opened.class_names, kind)
            strange = _strange(opened, answers)
            rows = [*(one.row for one in decisions), *(one.row for one in open_rows)]
            settled: dict[int, list[Answer]] = {row: [] for row in rows}
            for answer in answers:
                if answer.row in settled:
                    settled[answer.row].append(answer)
            added = store.add(decisions, settled, kind)
            held = store.current()
        verdicts = Counter(decision.verdict for decision in decisions)
        done = Pulled(
            run=str(run),
            source=kind,
            answers=len(reading.answers),
            **{verdict: verdicts[verdict] for verdict in (KEPT, RELABELLED, DISCARDED)},
            added=added.new,
            older=added.older,
            outdated=outdated,
            disagreements=open_rows,
            open_rows=[each.row for each in open_rows if each.row not in held],
            taken_back=added.taken_back,
            unknown_labels=strange,
            foreign=reading.foreign,
            withdrawn=len(withdrawn),
            ahead=added.ahead,
        )
        event("end", **{key: value for key, value in asdict(done).items() if isinstance(value, int)})
        if disagreements is not None:
            lines = [json_line(asdict(each)) + "\n" for each in open_rows]
            write_atomically(disagreements, lambda stream: stream.write("".join(lines).encode()))
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
        which = f"{done.outdated:,} answers are older than what the same people said in an earlier pull"
        click.echo(f"{which}, which counts in their place.")
    console = stderr()
    if done.taken_back:
        which = f"{done.taken_back:,} decisions of an earlier pull are taken back"
        console.print(safe(f"{which}, as those who made them disagree or chose no class by now"))
    if done.open_rows:
        which = f"{len(done.open_rows):,} rows are open, as people disagree or chose no class"
        console.print(safe(f"{which}: {_some(done.open_rows)}"))
    if held := [each.row for each in done.disagreements if each.row not in done.open_rows]:
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


def _read_server(run: RunDirectory, place: Place, account: Account, decided: Iterable[int]) -> Reading:
    """Read a server's answers; of the rows ``decided`` before, those that it has without one are ``undecided``."""
    bar = Bar("pulling")
    inside = f", workspace {place.workspace!r}" if place.workspace else ""
    bar.say(f"pulling {place.name!r} from {TOOLS[place.tool].title} at {place.url}{inside}")
    answers = []
    with TOOLS[place.tool].connect(account, bar.waiting) as server:
        with bar.of(None):
            for answer in server.answers(place, run):
                answers.append(answer)
                bar.advance(1)
        silent = set(decided) - {answer.row for answer in answers}
        rows = {record_id(run.data_fingerprint, row): row for row in sorted(silent)}
        there = server.listed(place, list(rows))
    return Reading(answers, 0, {(row, ""): now_text() for id, row in rows.items() if id in there})
