"""`lossrank pull`."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from cli.codes import NOT_AS_ASKED
from cli.log_file import logging_to, refuse_files, refuse_run_data
from cli.output import data_option, json_line, json_option, log_file_option, print_json
from cli.publish.other_run import RUN, read_run
from cli.refusals import refuse_existing, refuse_own_data
from cli.review.agree import Disagreement, agree, check_policy, is_verdict
from cli.review.bar import Bar
from cli.review.decided import Reading
from cli.review.decision import DISCARDED, KEPT, RELABELLED, Answer, Place, now_text
from cli.review.exchange import FILES, read_files
from cli.review.given import given_labels
from cli.review.options import server_options
from cli.review.records import record_id
from cli.review.server import TOOLS, Account
from cli.review.store import DecisionStore
from cli.screen import safe, stderr
from scorer import RunDirectory, RunError
from scorer.address import without_secrets
from scorer.events import event
from scorer.files import write_atomically
from scorer.ours import is_run


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


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: decisions by verdict, of which ``added`` are new and ``older`` don't hold.

    ``outdated`` counts the answers of an older copy of a file, of whose people later ones are known, which count.
    ``disagreements`` are the rows that the answers decide nothing of; of them ``open_rows`` have no decision, and the
    others keep theirs; of ``taken_back`` of them it is undone what the same people had decided.
    ``unknown_labels`` counts the answers with labels that the model has no class of, which decide nothing;
    ``foreign`` a file's records that are not of the run's data, or another run's kept rows whose label is no class,
    which are left out; ``withdrawn`` the rows whose decision was pulled before and is not there any more, which holds
    all the same; ``ahead`` the new decisions that are dated later than now, which count as made now.
    """

    run: str
    source: str
    answers: int
    kept: int
    relabelled: int
    discarded: int
    added: int
    older: int
    outdated: int
    disagreements: list[Disagreement]
    open_rows: list[int]
    taken_back: int
    unknown_labels: dict[str, int]
    foreign: int
    withdrawn: int
    ahead: int


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


def _kind(files: Sequence[Path], source: str | None) -> str:
    if source is not None:
        if source not in FILES:
            raise RunError(
                f"{source} has no file to pull; leave out {files[0]}, or say with --from: {', '.join(FILES)}"
            )
        return source
    if runs := [file for file in files if file.is_dir() and is_run(file)]:
        if len(files) > 1:
            raise RunError(f"{runs[0]} is a run; pull one run at a time, with no file beside it")
        return RUN
    kinds: dict[str, Path] = {}
    for file in files:
        kind = next((name for name, one in FILES.items() if file.suffix.lower() in one.endings), None)
        if kind is None:
            raise RunError(f"{file} says by no known ending what it is; say it with --from: {', '.join(FILES)}")
        kinds.setdefault(kind, file)
    if len(kinds) > 1:
        found = " and ".join(f"{file} is {kind}" for kind, file in kinds.items())
        raise RunError(f"{found}; pull files of one kind at a time, or say with --from what they are")
    return next(iter(kinds))


def _where(
    places: list[Place],
    source: str | None,
    name: str | None,
    url: str | None,
    api_key: str | None,
    workspace: str | None,
) -> tuple[Place, Account]:
    """Return where to pull from, and as whom: what was said, filled in with where rows were logged to last.

    Raises:
        RunError: too little was said, and nothing was logged; or there is no key.
    """
    fitting = [place for place in places if source in (None, place.tool) and name in (None, place.name)]
    known = next((place for place in fitting if url is None or _same(url, place)), None)
    latest = known or next(iter(fitting), None)
    tool = source or (latest.tool if latest else None)
    name = name or (latest.name if latest else None)
    if tool is None or name is None:
        raise RunError(
            "nothing of this run was logged"
            + (f" to {source}" if source else "")
            + "; say where the decisions are with --from and --name, or give a FILE"
        )
    if tool not in TOOLS:
        raise RunError(f"--from {tool} is a kind of file; give the FILE")
    account = TOOLS[tool].account(url, api_key, workspace)
    variable = f"{TOOLS[tool].variables}_API_URL"
    if known is not None and url is None and variable in os.environ and not _same(account.url, known):
        raise RunError(
            f"the rows were logged to {known.url}, and {variable} is {without_secrets(account.url)}; say with --url "
            "which of the two gets the key"
        )
    if known is not None:
        if not _same(account.url, known):  # else it is kept, for it may have the password, which no place has
            account = replace(account, url=known.url)
        account = replace(account, workspace=workspace or known.workspace)
    return Place(tool, without_secrets(account.url), account.workspace, name), account


def _same(url: str, place: Place) -> bool:
    return without_secrets(url).rstrip("/") == place.url


def _decided(store: DecisionStore, source: str) -> frozenset[int]:
    """Return the rows whose decision was pulled from a source."""
    return frozenset(row for row, decision in store.current().items() if decision.source == source)


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


def _word(answer: Answer) -> tuple[int, str, str | None]:
    return answer.row, answer.annotator, answer.label


def _strange(run: RunDirectory, answers: Iterable[Answer]) -> dict[str, int]:
    """Count the answers whose label is no class, by label."""
    return dict(Counter(str(one.label) for one in answers if not is_verdict(one, run.class_names)))
