"""Print JSON documents and notes."""

import json
from typing import Any

import click

from cli.keywords import in_options
from lossrank.progress import Step
from lossrank.tables.json_values import plain
from scorer.text import printable


def print_json(document: dict[str, Any]) -> None:
    """Print a command's result as the only document on stdout."""
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def say_note(step: Step) -> None:
    """Print the note of a library function on stderr; ignore its counts."""
    if step.note is not None:
        say(step.note)


def say(note: str) -> None:
    """Print a note on stderr."""
    click.echo(f"Note: {printable(in_options(note))}.", err=True)
