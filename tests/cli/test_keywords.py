"""keywords: what a library error calls a keyword argument is shown as the running command's option."""

from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli import main
from cli.commands import load_command
from cli.keywords import with_options
from cli.main import run
from scorer import RunError, ScoreOptions


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("score", "replace it with `overwrite=True`", "replace it with `--overwrite`"),
        ("score", "`label_map` is no mapping", "`--label-map` is no mapping"),
        ("score", "`precision='screen'` or `precision=fp32`", "`--precision screen` or `--precision fp32`"),
        ("score", "choose another `output`", "choose another `-o`"),
        ("score", "`data` is empty, `bundle` is not", "`DATA` is empty, `BUNDLE` is not"),
        ("rank", "say where with `data`", "say where with `--data`"),
        ("rank", "`force=True`, `per_class=3`", "`--force`, `--per-class 3`"),
        ("export", "leave `int8=False` out", "leave `--no-int8` out"),
        ("score", "without `streaming=True`", "without `--streaming`"),
        ("score", "scored with `streaming=False`", "scored with `no --streaming`"),
        ("rank", "leave `force=False`", "leave `no --force`"),
        ("pull", "one of `source`, or `files`", "one of `--from`, or `FILE`"),
        ("pull", "`to='rubrix'` or `source='rubrix'`", "`--to rubrix` or `--from rubrix`"),
        ("log", "`to='rubrix'` or `source='rubrix'`", "`--to rubrix` or `--from rubrix`"),
        ("rank", "`screen_top` or `precision='fp32'`", "`--screen-top` or `--precision fp32`"),
        ("diff", "score both with `id_column`", "score both with `--id-column`"),
        ("apply", "`format` and `allow_test_split=True`", "`--format` and `--allow-test-split`"),
    ],
)
def test_a_keyword_is_shown_as_the_option(command: str, message: str, shown: str) -> None:
    assert with_options(message, load_command(command)) == shown


@pytest.mark.parametrize(
    "message",
    ["overwrite=True", "`overwrite = True`", "`datasets`", "`lossrank score`", "`", "``", "`x`overwrite`y`", "`Data`"],
)
def test_other_words_stay(message: str) -> None:
    assert with_options(message, load_command("score")) == message


def test_the_data_and_the_output_are_each_commands_own() -> None:
    message = "`data`, `bundle` and `output`"
    assert with_options(message, load_command("status")) == message


def test_without_a_command_all_stays() -> None:
    assert with_options("`overwrite=True`", None) == "`overwrite=True`"


def test_an_error_of_a_command_has_its_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @click.command()
    @click.option("--label-map")
    @click.option("-o", "--output", "run")
    def verify(**options: object) -> None:
        raise RunError("`label_map` and `output` with `allow=True` of `datasets`")

    monkeypatch.setattr(main, "load_command", lambda name: verify)
    done = CliRunner().invoke(run, ["verify"])
    assert done.exit_code == 1
    assert done.stderr == "Error: `--label-map` and `-o` with `allow=True` of `datasets`\n"


def test_every_score_option_is_an_option_of_the_command() -> None:
    options = {param.name: param for param in load_command("score").params if isinstance(param, click.Option)}
    for field in fields(ScoreOptions):
        assert options[field.name].opts == [f"--{field.name.replace('_', '-')}"]
        assert options[field.name].default == field.default
