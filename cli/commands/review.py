"""`lossrank review`."""

import contextlib
import getpass
from collections import Counter
from pathlib import Path

import click

from cli.options import json_option, ranking_options
from cli.output import print_json, say_precision
from cli.signals import Terminated
from lossrank.page.app import make_app, new_token
from lossrank.page.browser import browser_at
from lossrank.page.rows import page_rows
from lossrank.page.serve import HOST, listen, serve
from lossrank.page.view import tally
from lossrank.publish.hints import apply_command
from lossrank.review.decision import VERDICTS, Decision
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, RunError, join_source, rank
from scorer.audit.rank import TOP_K

_PORT = 8470


def _login() -> str | None:
    """Return who is logged in, None where the system has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _named(ctx: click.Context, param: click.Parameter, user: str | None) -> str:
    name = (user or "").strip()
    if not name or not name.isprintable():
        raise click.BadParameter(f"{user!r} is no name; say who decides with --user NAME", ctx, param)
    return name


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@ranking_options(default_top=TOP_K)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help=f"The page's port on {HOST}; 0 for any that is free.",
)
@click.option(
    "--user",
    default=_login,
    callback=_named,
    show_default="your login name",
    help="Who decides, as the decisions will say.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@json_option
def review(
    run: Path,
    top: int | None,
    by: str,
    per_class: int | None,
    pair: str | None,
    data: tuple[str, ...],
    port: int,
    user: str,
    no_browser: bool,
    as_json: bool,
) -> None:
    """Look at the worst rows of RUN in the browser and decide of each: keep, relabel or discard.

    The page is on this machine only; its address, which nobody can guess, is printed and opened. Each decision is at
    once in RUN/review.sqlite, with who and when, and the page begins at the first row without one. Stop it with
    Ctrl-C. With --json, the address goes to stderr and what was decided to stdout at the end.

    \b
    Examples:
      lossrank review run
      lossrank review run --top 100 --pair World:Sports --user ann
      lossrank review run --by entropy --no-browser --port 8000
    """
    opened = RunDirectory.open(run)
    with listen(port) as listening:
        ranked = rank(opened, top if top or per_class else TOP_K, by=by, per_class=per_class, pair=pair)
        rows, refused = page_rows(opened, ranked, join_source(opened, ranked, data or None, scored_only=True))
        say_precision(opened, ranked)
        for refusal in refused:
            click.echo(f"row {refusal.row} can't be shown: {refusal.reason}", err=True)
        if not rows:
            raise RunError(f"{run} has no such row to look at; ask for others with --pair, --by or --per-class")
        if top and len(ranked) < top:
            click.echo(f"{len(ranked):,} rows: there are no more.", err=True)
        with DecisionStore(opened) as store:
            token = new_token()
            address = f"http://{HOST}:{listening.getsockname()[1]}/{token}/"
            try:
                click.echo(f"{len(rows):,} rows to look at, by {user}; Ctrl-C to stop.", err=True)
                click.echo(address, err=as_json)
                with contextlib.nullcontext() if no_browser else browser_at(address):
                    serve(make_app(opened, rows, store, user, token=token, by=by, data=data), listening)
            except KeyboardInterrupt as error:
                _say_end(opened, len(rows), store.current(), data, as_json)
                if isinstance(error, Terminated):
                    raise


def _say_end(run: RunDirectory, rows: int, held: dict[int, Decision], data: tuple[str, ...], as_json: bool) -> None:
    """Print what was decided, and the command that writes the corrected data."""
    if as_json:
        kinds = Counter(decision.verdict for decision in held.values())
        print_json({"run": str(run.path), "rows": rows, **{kind: kinds[kind] for kind in VERDICTS}})
        return
    click.echo(f"\n{run.path} has {tally(held)}.")
    if held:
        click.echo(f"Write the corrected data:\n  {apply_command(run, data)}")
