"""settings: every field of ScoreOptions is an option of `score`, with its word and its default."""

from dataclasses import fields

import click

from cli.main import load_command
from scorer import ScoreOptions


def test_every_score_option_is_an_option_of_the_command() -> None:
    options = {param.name: param for param in load_command("score").params if isinstance(param, click.Option)}
    for field in fields(ScoreOptions):
        assert options[field.name].opts == [f"--{field.name.replace('_', '-')}"]
        assert options[field.name].default == field.default
