"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lossrank.review.servers.server import TOOLS
from scorer.audit.gates import Gate
from scorer.audit.rank import MEASURES
from scorer.errors import LossrankError

F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """Add --url, --api-key and --workspace; what is not given comes from the tool's variables and defaults."""
    addresses = "; ".join(f"{tool.variables}_API_URL or {tool.url}" for tool in TOOLS.values())
    keys = ", ".join(f"{tool.variables}_API_KEY" for tool in TOOLS.values())
    workspaces = ", ".join(f"{tool.variables}_WORKSPACE" for tool in TOOLS.values() if tool.workspaces)
    for option in (
        click.option("--workspace", help=f"Workspace.  [default: {workspaces}, or the key's own]"),
        click.option(
            "--api-key",
            help=f"The server's key; better given as {keys}, which no list of processes shows.",
        ),
        click.option("--url", help=f"The server's address.  [default: {addresses}]"),
    ):
        command = option(command)
    return command


def json_option(command: F) -> F:
    """Add ``--json`` to a command, as ``as_json``."""
    said = "Print the summary as one JSON document, and nothing else, on stdout."
    return click.option("--json", "as_json", is_flag=True, help=said)(command)


def data_option(command: F) -> F:
    """Add ``--data`` to a command, as a tuple."""
    said = "Where the scored data lies now, if it has moved; for each of several paths."
    return click.option("--data", multiple=True, help=said)(command)


def log_file_option(command: F) -> F:
    """Add ``--log-file`` to a command."""
    said = "Append what happens, as JSON lines without any text of the data, to a file."
    return click.option("--log-file", type=click.Path(path_type=Path), help=said)(command)


def fail_if_option(command: F) -> F:
    """Add ``--fail-if`` to a command."""
    said = "Exit with 3 if it holds of the run's summary, such as 'mean_loss > 0.5' or 'no_text > 0.01'; repeatable."
    metavar = "'NAME OP NUMBER'"
    return click.option("--fail-if", multiple=True, metavar=metavar, callback=_parsed, help=said)(command)


def _parsed(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[Gate, ...]:
    """Return the gates of an option; wrong usage if one can't be read."""
    try:
        return tuple(Gate.parse(text) for text in texts)
    except LossrankError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def ranking_options(default_top: int) -> Callable[[F], F]:
    """Add --top, --by, --per-class, --pair and --data to a command."""

    def decorate(command: F) -> F:
        for option in reversed(
            [
                click.option("--top", type=click.IntRange(min=1), help=f"How many rows.  [default: {default_top}]"),
                click.option(
                    "--by",
                    type=click.Choice(MEASURES),
                    default="loss",
                    show_default=True,
                    help="The measure; entropy needs no label.",
                ),
                click.option(
                    "--per-class", type=click.IntRange(min=1), help="The worst N of each given class instead."
                ),
                click.option(
                    "--pair", metavar="GIVEN:PREDICTED", help="Only rows of one given and one predicted class."
                ),
                data_option,
            ]
        ):
            command = option(command)
        return command

    return decorate
