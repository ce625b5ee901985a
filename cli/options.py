"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from scorer.audit.rank import MEASURES

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json`` to a command, whose parameter is ``as_json``."""
    text = "Print only the summary on stdout, as one JSON document."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def data_option(command: F) -> F:
    """Add ``--data`` to a command, whose parameter ``data`` is a tuple, None without the option."""
    text = "Where the scored data is now, if it has moved, or a file with its rows; repeat it for several paths."
    return click.option("--data", multiple=True, callback=lambda *given: given[2] or None, help=text)(command)


def log_file_option(command: F) -> F:
    """Add ``--log-file`` to a command."""
    text = "Append events to this file as JSON lines; no text of the data is written."
    return click.option("--log-file", type=click.Path(path_type=Path), help=text)(command)


def overwrite_options(command: F) -> F:
    """Add --overwrite and --discard-decisions to a command that makes a run."""
    discard = "With --overwrite: remove the decisions that the existing run holds."
    overwrite = (
        "Replace an existing run instead of resuming it. A run that holds decisions is set aside as RUN.before-TIME, "
        "and decisions on unchanged texts carry over."
    )
    command = click.option("--discard-decisions", is_flag=True, help=discard)(command)
    return click.option("--overwrite", is_flag=True, help=overwrite)(command)


def ranking_options(default_top: int) -> Callable[[F], F]:
    """Add --top, --by, --per-class, --pair and --data to a command."""

    def decorate(command: F) -> F:
        for option in reversed(
            [
                click.option("--top", type=click.IntRange(min=1), help=f"Number of rows.  [default: {default_top}]"),
                click.option(
                    "--by",
                    type=click.Choice(list(MEASURES)),
                    default="loss",
                    show_default=True,
                    help="Measure to rank by; entropy needs no labels.",
                ),
                click.option(
                    "--per-class",
                    type=click.IntRange(min=1),
                    help="The worst N rows of each given class, instead of --top.",
                ),
                click.option(
                    "--pair", metavar="GIVEN:PREDICTED", help="Only rows with this given and this predicted class."
                ),
                data_option,
            ]
        ):
            command = option(command)
        return command

    return decorate
