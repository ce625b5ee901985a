"""``--fail-if``: the option, and the error of a run that fails a gate."""

from collections.abc import Iterable

import click

from cli.exit_codes import NotAsAskedError
from cli.options import F
from scorer.audit.gates import Gate, failures
from scorer.errors import LossrankError
from scorer.run.manifest import RunStats


def fail_if_option(command: F) -> F:
    """Add ``--fail-if`` to a command."""
    text = "Exit with 3 if the run's summary meets this condition, such as 'mean_loss > 0.5'; repeatable."
    metavar = "'NAME OP NUMBER'"
    return click.option("--fail-if", multiple=True, metavar=metavar, callback=_parsed, help=text)(command)


def _parsed(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[Gate, ...]:
    """Return the gates that the texts stand for.

    Raises:
        click.BadParameter: a text is not a gate.
    """
    try:
        return tuple(Gate.parse(text) for text in texts)
    except LossrankError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def failed_gates(gates: Iterable[Gate], summary: RunStats | None) -> list[str] | None:
    """Return one line per gate that a run's summary fails, or None if the run has no summary yet."""
    return None if summary is None else failures(gates, summary)


def gates_line(failed: list[str]) -> str:
    """Return one line that names all failed gates."""
    return f"gate failed: {'; '.join(failed)} (the results are kept)"


def check_gates(failed: list[str] | None) -> None:
    """Raise an error if any gate failed.

    Raises:
        NotAsAskedError: at least one gate failed; the message names all failed gates.
    """
    if failed:
        raise NotAsAskedError(gates_line(failed))
