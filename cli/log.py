"""`lossrank log`."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.ranking import ranking_options, refuse_existing, say_precision
from cli.review.jsonl import write_jsonl
from cli.review.records import Refusal, ReviewRecord, build_records
from cli.review.rubrix import RubrixLog
from cli.review.rubrix_api import RubrixApi, check_name
from cli.review.rubrix_record import screen
from cli.screen import safe, stderr
from scorer import RunDirectory, join_source, rank
from scorer.rank import TOP_K

_SOME_REFUSED = 3  # exit code
_EVERY = 5.0  # seconds between plain lines
_SORT = {  # what to sort by on the review page for the ranking's order
    "loss": "Metadata.loss, descending",
    "margin": "Metadata.margin, ascending",
    "self-confidence": "Metadata.loss, descending",
    "entropy": "Metadata.entropy, descending",
}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(["rubrix", "jsonl"]),
    default="rubrix",
    show_default=True,
    help="The review tool, or its records as a file.",
)
@click.option("--name", help="Data set on the server, of a-z, 0-9, - and _; made if it is not there.")
@ranking_options(default_top=TOP_K)
@click.option(
    "--url",
    envvar="RUBRIX_API_URL",
    default="http://localhost:6900",
    show_default=True,
    show_envvar=True,
    help="The server's address.",
)
@click.option(
    "--api-key",
    envvar="RUBRIX_API_KEY",
    default="rubrix.apikey",
    show_default="the server's own",
    show_envvar=True,
    help="The server's key; better given as the variable, which no list of processes shows.",
)
@click.option("--workspace", envvar="RUBRIX_WORKSPACE", show_envvar=True, help="Workspace; default: the key's own.")
@click.option(
    "--chunk-size", type=click.IntRange(1, 1000), default=500, show_default=True, help="Records in one request."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write, for --to jsonl.")
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
def log(
    run: Path,
    to: str,
    name: str | None,
    top: int | None,
    by: str,
    per_class: int | None,
    pair: str | None,
    data: tuple[str, ...],
    url: str,
    api_key: str,
    workspace: str | None,
    chunk_size: int,
    output: Path | None,
    force: bool,
) -> None:
    """Send the worst rows of RUN to a review tool, or write them as its records.

    Each record has the text, the model's label and its probability, the given label, and the loss to sort by. Rows
    that are on the server already are left as they are, so the same command, given again, adds what is missing and
    overwrites nobody's work. A row that the server refuses is reported and costs only itself; the exit code is 3.

    \b
    Examples:
      lossrank log run --to rubrix --name ag_news_error_analysis --top 500
      lossrank log run --name ag_news_per_class --per-class 100 --url https://rubrix.example
      lossrank log run --to jsonl -o worst.jsonl --pair World:Sports
    """
    if to == "jsonl" and (output is None or name is not None):
        raise click.UsageError("--to jsonl takes -o FILE and no --name")
    if to == "rubrix" and (name is None or output is not None):
        raise click.UsageError("--to rubrix takes --name DATA_SET and no -o")
    bar = _Bar()
    if output is not None:
        refuse_existing(output, force)
    elif name is not None:
        check_name(name)
        api = RubrixApi(url, api_key, workspace, on_wait=bar.waiting)
    opened = RunDirectory.open(run)
    ranked = rank(opened, top, by=by, per_class=per_class, pair=pair)
    say_precision(opened, ranked)
    built, textless = build_records(opened, ranked, join_source(opened, ranked, data or None))
    records, unfit = screen(built)
    refused = [*textless, *unfit]
    bar.refused(refused)
    if output is not None:
        write_jsonl(output, records, force=force)
        click.echo(f"{len(ranked):,} rows: {len(records):,} written to {output}, {len(refused):,} refused")
    elif name is not None:
        with api:
            refused = _to_rubrix(api, RubrixLog(api, name, chunk_size, refused), records, by, bar)
    if top and len(ranked) < top:
        click.echo(f"{len(ranked):,} rows: there are no more.", err=True)
    if refused:
        click.get_current_context().exit(_SOME_REFUSED)


def _to_rubrix(api: RubrixApi, sending: RubrixLog, records: list[ReviewRecord], by: str, bar: "_Bar") -> list[Refusal]:
    """Log the records, say what came of it, and return every refused row."""
    workspace = api.open_dataset(sending.name)
    told = len(sending.refused)
    total = len(records) + told
    try:
        with bar.of(len(records)):
            for settled in sending.log(records):
                bar.advance(settled)
                bar.refused(sending.refused[told:])
                told = len(sending.refused)
    except BaseException:
        bar.refused(sending.refused[told:])
        click.echo(f"{_counts(sending)} before it stopped; give the same command again to go on.", err=True)
        raise
    click.echo(f"{total:,} rows: {_counts(sending)}")
    click.echo(f"Review them at {api.url}/datasets/{workspace}/{sending.name}")
    click.echo(f"The worst first: Sort, {_SORT[by]}.")
    return sending.refused


def _counts(sending: RubrixLog) -> str:
    return f"{sending.logged:,} logged, {sending.already_there:,} there already, {len(sending.refused):,} refused"


class _Bar:
    """How far the logging is, and what happens on the way, on stderr: a bar on a terminal, lines elsewhere."""

    def __init__(self) -> None:
        self._console = stderr()
        self._bar: Progress | None = None
        self._total = self._done = 0
        self._said = time.monotonic()

    def of(self, total: int) -> Self:
        """Start a bar of so many rows."""
        self._total = total
        if self._console.is_terminal:
            columns = (TextColumn("logging"), BarColumn(), MofNCompleteColumn(), TextColumn("left"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console)
            self._bar.add_task("logging", total=total)
        return self

    def __enter__(self) -> None:
        if self._bar:
            self._bar.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar:
            self._bar.advance(self._bar.task_ids[0], count)
        elif time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            self._say(f"{self._done:,} of {self._total:,} rows")

    def refused(self, refusals: list[Refusal]) -> None:
        for refusal in refusals:
            self._say(f"row {refusal.row} refused: {refusal.reason}")

    def waiting(self, reason: str, seconds: float) -> None:
        self._say(f"waiting for the server ({reason}); next try in {seconds:.1f} s")

    def _say(self, text: str) -> None:
        self._console.print(safe(text))
