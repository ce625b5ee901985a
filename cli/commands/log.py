"""`lossrank log`."""

import shlex
from dataclasses import asdict
from pathlib import Path

import click

from cli.exit_codes import NOT_AS_ASKED
from cli.log_file import logging_to, refuse_files, refuse_run_data
from cli.options import json_option, log_file_option, ranking_options
from cli.output import print_json, say_precision
from cli.progress import Bar
from cli.servers import server_options
from cli.text import printable
from lossrank.review.files.kinds import FILES
from lossrank.review.log import _Done, _form
from lossrank.review.records import Refusal, ReviewRecord, build_records
from lossrank.review.servers.server import TOOLS, Server
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, join_source, rank
from scorer.audit.rank import TOP_K
from scorer.events import event
from scorer.run.protect import refuse_existing, refuse_own_data


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(list(dict.fromkeys([*TOOLS, *FILES]))),
    default="rubrix",
    show_default=True,
    help="The review tool, or its records as a file.",
)
@click.option("--name", help="Data set on the server, made if it is not there; of Label Studio, the project's title.")
@ranking_options(default_top=TOP_K)
@server_options
@click.option(
    "--chunk-size", type=click.IntRange(1, 1000), default=500, show_default=True, help="Records in one request."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help=f"File to write, for --to {', '.join(FILES)}.")
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@log_file_option
@json_option
def log(
    run: Path,
    to: str,
    name: str | None,
    top: int | None,
    by: str,
    per_class: int | None,
    pair: str | None,
    data: tuple[str, ...],
    url: str | None,
    api_key: str | None,
    workspace: str | None,
    chunk_size: int,
    output: Path | None,
    force: bool,
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Send the worst rows of RUN to a review tool, or write them as its records.

    Each record has the text, the model's label and its probability, the given label, and the loss to sort by. Rows
    that are on the server already are left as they are, so the same command, given again, adds what is missing and
    overwrites nobody's work. A row that the server refuses is reported and costs only itself; the exit code is 3.

    \b
    Examples:
      lossrank log run --to rubrix --name ag_news_error_analysis --top 500
      lossrank log run --name ag_news_per_class --per-class 100 --url https://rubrix.example
      lossrank log run --to argilla --name ag_news --url https://argilla.example
      lossrank log run --to label-studio --name 'AG News' --url https://label.example
      lossrank log run --to csv -o worst.csv --pair World:Sports
    """
    if (output is None) == (name is None) or to not in (FILES if name is None else TOOLS):
        ways = {True: "--name DATA_SET and no -o", False: "-o FILE and no --name"}
        takes = [ways[server] for server, kinds in ((True, TOOLS), (False, FILES)) if to in kinds]
        raise click.UsageError(f"--to {to} takes {', or '.join(takes)}")
    bar = Bar("logging")
    refuse_files(log_file, [output])
    refuse_run_data(log_file, [run], data)
    with logging_to(log_file, "log", run=str(run), to=to, name=name):
        server: Server | None = None
        if output is not None:
            refuse_existing(output, force)
        elif name is not None:
            tool = TOOLS[to]
            server = tool.connect(tool.account(url, api_key, workspace), bar.waiting)
            server.check_name(name)
        opened = RunDirectory.open(run)
        if output is not None:
            refuse_own_data(output, opened, data)
        ranked = rank(opened, top, by=by, per_class=per_class, pair=pair)
        say_precision(opened, ranked)
        built, textless = build_records(opened, ranked, join_source(opened, ranked, data or None, scored_only=True))
        records, unfit = (server or FILES[to]).screen(built)
        refused = [*textless, *unfit]
        bar.refused(refused)
        done = _Done(str(run), len(ranked), to)
        if output is not None:
            done.advice = FILES[to].advice(_form(opened, records))
            FILES[to].write(output, records, force=force)
            done.output, done.written, done.refused = str(output), len(records), refused
        elif server is not None and name is not None:
            with server:
                _send(opened, server, name, chunk_size, refused, records, by, bar, done)
        counts = {"rows": done.rows, "written": done.written, "already_there": done.already_there}
        event("end", **counts, refused=[refusal.row for refusal in done.refused])
    if as_json:
        print_json(asdict(done))
    else:
        _print(done)
    if top and len(ranked) < top:
        click.echo(f"{len(ranked):,} rows: there are no more.", err=True)
    if done.refused:
        click.get_current_context().exit(NOT_AS_ASKED)


def _print(done: _Done) -> None:
    counts = f"{done.rows:,} rows: {done.written:,}"
    if done.output is not None:
        click.echo(f"{counts} written to {done.output}, {len(done.refused):,} refused")
        if done.advice:
            click.echo(printable(done.advice))
    else:
        click.echo(f"{counts} logged, {done.already_there:,} there already, {len(done.refused):,} refused")
        click.echo(f"Review them at {done.url}")
        click.echo(f"The worst first: {done.sort}.")
        click.echo(f"Then bring the decisions back: lossrank pull {shlex.quote(done.run)}")


def _send(
    run: RunDirectory,
    server: Server,
    name: str,
    chunk_size: int,
    refused: list[Refusal],
    records: list[ReviewRecord],
    by: str,
    bar: Bar,
    done: _Done,
) -> None:
    """Log the records, remember where, and note what came of it."""
    with DecisionStore(run) as store:  # first, so that nothing is logged that the run can't remember
        place = server.open(name, _form(run, records))
        store.add_place(place)
    sending = server.sending(place, chunk_size, refused)
    told = len(refused)
    try:
        with bar.of(len(records)):
            for settled in sending.log(records):
                bar.advance(settled)
                bar.refused(sending.refused[told:])
                told = len(sending.refused)
    except BaseException:
        bar.refused(sending.refused[told:])
        counts = f"{sending.logged:,} logged, {sending.already_there:,} there already, {len(sending.refused):,} refused"
        click.echo(f"{counts} before it stopped; give the same command again to go on.", err=True)
        raise
    done.written, done.already_there, done.refused = sending.logged, sending.already_there, sending.refused
    done.url, done.sort = server.page(place), server.sort_hint(by)
