"""Print results: JSON documents, failed gates, the precision of ranked rows."""

import json
from collections.abc import Iterable
from typing import Any

import click

from cli.exit_codes import NotAsAskedError
from cli.keywords import in_options
from lossrank.tables.json_values import plain
from lossrank.tables.ranking import precision_note
from scorer import RankedRow, RunDirectory
from scorer.audit.gates import Gate, failures


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


def say_precision(run: RunDirectory, ranked: list[RankedRow]) -> None:
    """Say on stderr what ``precision_note`` says."""
    if note := precision_note(run, ranked):
        click.echo(in_options(note), err=True)
