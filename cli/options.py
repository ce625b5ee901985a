"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from scorer.audit.rank import MEASURES

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json`` to a command, as ``as_json``."""
    text = "Print the summary as one JSON document, and nothing else, on stdout."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def data_option(command: F) -> F:
    """Add ``--data`` to a command, as a tuple."""
    text = "Where the scored data is now, if it has moved; repeat it for several paths."
    return click.option("--data", multiple=True, help=text)(command)


def log_file_option(command: F) -> F:
    """Add ``--log-file`` to a command."""
    text = "Append events to a file as JSON lines, without any text of the data."
    return click.option("--log-file", type=click.Path(path_type=Path), help=text)(command)


def ranking_options(default_top: int) -> Callable[[F], F]:
    """Add --top, --by, --per-class, --pair and --data to a command."""

    def decorate(command: F) -> F:
        for option in reversed(
            [
                click.option("--top", type=click.IntRange(min=1), help=f"How many rows.  [default: {default_top}]"),
                click.option(
                    "--by",
                    type=click.Choice(list(MEASURES)),
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
