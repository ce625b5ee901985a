"""What commands have in common beside their work: ``--json``, ``--data``, ``--log-file`` and ``--fail-if``."""

import base64
import datetime
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.codes import NotAsAskedError
from scorer.errors import LossrankError
from scorer.gates import Gate, failures

F = TypeVar("F", bound=Callable[..., Any])


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


def failed_gates(gates: Iterable[Gate], summary: dict[str, Any] | None) -> list[str] | None:
    """Return a line for each gate that a run's summary fails, None of a run that has no summary yet."""
    return None if summary is None else failures(gates, summary)


def gates_line(failed: list[str]) -> str:
    """Return what is said of gates that failed, all of them."""
    return f"gate failed: {'; '.join(failed)} (the results are kept)"


def check_gates(failed: list[str] | None) -> None:
    """Pass a run that fails no gate.

    Raises:
        NotAsAskedError: it fails one; all of them are named.
    """
    if failed:
        raise NotAsAskedError(gates_line(failed))


def print_json(document: dict[str, Any]) -> None:
    """Print the only document of a command's stdout."""
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def json_line(value: Any) -> str:
    """Return JSON that every reader takes, on one line: what is no number is null, bytes are base64, dates are ISO."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value as JSON has words for it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float) else str(value)
