"""``--fail-if``: the option, and the exit of a command whose run fails a gate."""

from collections.abc import Iterable

import click

from cli.exit_codes import NotAsAskedError
from cli.options import F
from scorer.audit.gates import Gate, failures
from scorer.errors import LossrankError
from scorer.run.manifest import RunStats


def fail_if_option(command: F) -> F:
    """Add ``--fail-if`` to a command."""
    text = "Exit with 3 if the run's summary meets a condition, as 'mean_loss > 0.5' or 'no_text > 0.01'; repeatable."
    metavar = "'NAME OP NUMBER'"
    return click.option("--fail-if", multiple=True, metavar=metavar, callback=_parsed, help=text)(command)


def _parsed(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[Gate, ...]:
    """Return the gates of an option; wrong usage if one can't be read."""
    try:
        return tuple(Gate.parse(text) for text in texts)
    except LossrankError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def failed_gates(gates: Iterable[Gate], summary: RunStats | None) -> list[str] | None:
    """Return a line for each gate that a run's summary fails; None if the run has no summary yet."""
    return None if summary is None else failures(gates, summary)


def gates_line(failed: list[str]) -> str:
    """Return one line that names all gates that failed."""
    return f"gate failed: {'; '.join(failed)} (the results are kept)"


def check_gates(failed: list[str] | None) -> None:
    """Raise NotAsAskedError if a run fails gates.

    Raises:
        NotAsAskedError: a gate failed; all that did are named.
    """
    if failed:
        raise NotAsAskedError(gates_line(failed))
