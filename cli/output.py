"""Print JSON documents, and a note on the precision of ranked rows."""

import json
from typing import Any

import click

from cli.keywords import in_options
from lossrank.progress import Step
from lossrank.tables.json_values import plain
from lossrank.tables.ranking import precision_note
from scorer import RankedRow, RunDirectory
from scorer.text import printable


def print_json(document: dict[str, Any]) -> None:
    """Print a command's result as the only document on stdout."""
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def say_precision(run: RunDirectory, ranked: list[RankedRow]) -> None:
    """Print the ``precision_note`` of ranked rows on stderr, if there is one."""
    if note := precision_note(run, ranked):
        _say(note)


def say_note(step: Step) -> None:
    """Print the note of a library function on stderr; ignore its counts."""
    if step.note is not None:
        _say(step.note)


def _say(note: str) -> None:
    click.echo(f"Note: {printable(in_options(note))}.", err=True)
