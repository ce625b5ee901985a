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
    """Return the login name, or None if the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _named(ctx: click.Context, param: click.Parameter, user: str | None) -> str:
    name = (user or "").strip()
    if not name or not name.isprintable():
        raise click.BadParameter(f"{user!r} is not a printable name; give your name with --user NAME", ctx, param)
    return name


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@ranking_options(default_top=TOP_K)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help=f"Port of the page on {HOST}; 0 takes any free port.",
)
@click.option(
    "--user",
    default=_login,
    callback=_named,
    show_default="your login name",
    help="Name to record with your decisions.",
)
@click.option("--no-browser", is_flag=True, help="Print the address without opening a browser.")
@json_option
def review(
    run: Path,
    top: int | None,
    by: str,
    per_class: int | None,
    pair: str | None,
    data: tuple[str, ...] | None,
    port: int,
    user: str,
    no_browser: bool,
    as_json: bool,
) -> None:
    """Look at the worst rows of RUN in the browser; keep, relabel or discard each.

    The page is served on this machine only, at an address that nobody can guess; the address is printed and opened.
    Each decision is saved at once in RUN/review.sqlite with your name and the time. The page opens at the first row
    without a decision. Stop with Ctrl-C. With --json, the address goes to stderr, and the counts of decisions go to
    stdout at the end.

    \b
    Examples:
      lossrank review run
      lossrank review run --top 100 --pair World:Sports --user ann
      lossrank review run --by entropy --no-browser --port 8000
    """
    opened = RunDirectory.open(run)
    with listen(port) as listening:
        ranked = rank(opened, top if top or per_class else TOP_K, by=by, per_class=per_class, pair=pair)
        rows, refused = page_rows(opened, ranked, join_source(opened, ranked, data, scored_only=True))
        say_precision(opened, ranked)
        for refusal in refused:
            click.echo(f"row {refusal.row} can't be shown: {refusal.reason}", err=True)
        if not rows:
            raise RunError(f"{run} has no such row to show; choose other rows with --pair, --by or --per-class")
        if top and len(ranked) < top:
            click.echo(f"{len(ranked):,} rows: no more rows match.", err=True)
        with DecisionStore(opened) as store:
            token = new_token()
            address = f"http://{HOST}:{listening.getsockname()[1]}/{token}/"
            try:
                click.echo(f"{len(rows):,} rows to review, as {user}; stop with Ctrl-C.", err=True)
                click.echo(address, err=as_json)
                with contextlib.nullcontext() if no_browser else browser_at(address):
                    serve(make_app(opened, rows, store, user, token=token, by=by, data=data), listening)
            except KeyboardInterrupt as error:
                _print_end(opened, len(rows), store.current(), data, as_json)
                if isinstance(error, Terminated):
                    raise


def _print_end(
    run: RunDirectory, rows: int, decisions: dict[int, Decision], data: tuple[str, ...] | None, as_json: bool
) -> None:
    """Print how many rows were decided, and the command that writes the corrected data."""
    if as_json:
        kinds = Counter(decision.verdict for decision in decisions.values())
        print_json({"run": str(run.path), "rows": rows, **{kind: kinds[kind] for kind in VERDICTS}})
        return
    click.echo(f"\n{run.path} has {tally(decisions)}.")
    if decisions:
        click.echo(f"Write the corrected data:\n  {apply_command(run, data)}")
