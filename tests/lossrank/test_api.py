"""The API and the commands use the same words, and a user's script of the API passes `mypy --strict`."""

import inspect
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

import lossrank as lr
from cli.commands import COMMANDS, load_command
from scorer import ScoreOptions
from scorer.data.read_options import ReadOptions
from tests.support import ROOT, SOAK

CALLS: dict[str, Callable[..., Any]] = {
    **{"export": lr.export, "score": lr.score, "import-probs": lr.import_probs, "bench": lr.bench},
    **{"rank": lr.Run.worst, "review": lr.Run.review, "report": lr.Run.report},
    **{"log": lr.Run.log, "pull": lr.Run.pull, "apply": lr.Run.apply},
    **{"diff": lr.diff, "status": lr.status, "verify": lr.verify},
}
OF_A_TERMINAL = {"json", "log_file", "fail_if", "no_browser", "watch"}
OF_A_RUN = {"run", "data"}  # the run that the method belongs to, and open_run's `data`
# (words that only the command has, words that only the function has)
DIFFERENT: dict[str, tuple[set[str], set[str]]] = {
    "export": ({"bundle"}, set()),
    "rank": ({"output", "force"}, set()),  # Ranking.write
    "pull": ({"from"}, {"source"}),  # `from` is no name in Python
    "diff": ({"output", "force"}, set()),
    "score": ({"write_label_map"}, set()),  # lossrank.write_label_map
    "import-probs": ({"write_label_map"}, set()),
}
OTHER_DEFAULTS = {
    ("review", "port"),  # a program takes any free port, a person the same one each time
    ("review", "user"),  # found late: the login name
    ("rank", "top"),
    ("report", "by"),
    ("apply", "format"),  # the function returns a Dataset if it writes nothing
}
SCRIPT = """
import lossrank as lr

bundle: lr.ModelBundle = lr.export("a/model", "bundle", progress=False)

def show(step: lr.Step) -> None:
    print(step.done, step.total, step.note)

run = lr.score(bundle, "reviews.parquet", "run", label_column="label", progress=show)
print(run.stats.mean_loss, run.class_names[0].lower(), run.path.name)
worst = run.worst(500)
print(worst[0].loss, [row.given_name for row in worst[:10]], worst.to_pandas())
print(run.health().classes()[0].mean_loss, run.health().pairs()[0].rows)
print(run.log(to="rubrix", name="errors", top=500).url)
page = run.review()
page.stop()
print(run.decide({3077: "Sports", 2546: lr.KEEP, 7: lr.DISCARD}, annotator="ann").counts()["kept"])
print(run.pull().relabelled, [decision.annotator for decision in run.decisions()])
corrected = run.apply()
print(run.report("report.html").bytes, run.verify().complete, run.status().left)
before, after = lr.open_run("run"), lr.open_run("after")
print(lr.diff(before, after).groups["kept"].fell, lr.bench("bundle", "reviews.parquet").rows_per_second)
try:
    lr.load_bundle("nothing")
except lr.BundleError as error:
    print(error.exit_code)
"""
WRONG = """
import lossrank as lr

lr.open_run("run").worst("many")
lr.open_run("run").decide({"3": "Sports"}, annotator="ann")
lr.score("bundle", "data", "run", overwrite="yes")
lr.nothing
lr.open_run("run").stats.nothing
"""


def words(parameter: click.Parameter) -> str:
    option = max(parameter.opts, key=len).lstrip("-").replace("-", "_")
    return option if isinstance(parameter, click.Option) else str(parameter.name)


def parameters(command: str) -> dict[str, inspect.Parameter]:
    """Return the keywords of a command's function; ``bench`` passes the settings of ``score`` on."""
    found = dict(inspect.signature(CALLS[command]).parameters)
    if found.pop("settings", None):
        found |= {name: found.get(name, keyword) for name, keyword in parameters("score").items()}
        of_runs = {
            "output",
            "reuse",
            "overwrite",
            "discard_decisions",
            "id_column",
            "shard_rows",
            "on_error",
            "all_probs",
        }
        found = {name: keyword for name, keyword in found.items() if name not in of_runs}
    return {name: keyword for name, keyword in found.items() if name not in ("self", "progress")}


def test_every_command_is_a_function() -> None:
    assert {*CALLS} == {*COMMANDS} - {"demo"}


@pytest.mark.parametrize("command", CALLS)
def test_an_options_word_is_the_functions_keyword(command: str) -> None:
    options = {words(parameter) for parameter in load_command(command).params}
    options -= OF_A_TERMINAL | (OF_A_RUN if "self" in inspect.signature(CALLS[command]).parameters else set())
    only_option, only_keyword = DIFFERENT.get(command, (set(), set()))
    assert options - {*parameters(command)} == only_option
    assert {*parameters(command)} - options == only_keyword


@pytest.mark.parametrize("command", CALLS)
def test_an_option_has_the_keywords_default(command: str) -> None:
    keywords = parameters(command)
    for option in load_command(command).params:
        name = words(option)
        if option.required or name not in keywords or (command, name) in OTHER_DEFAULTS:
            continue
        if isinstance(option, click.Option):
            assert option.to_info_dict()["default"] == keywords[name].default, name


def test_the_keywords_of_score_are_the_fields_of_its_options() -> None:
    keywords = inspect.signature(lr.score).parameters
    options = {field.name: field.default for field in fields(ScoreOptions)}
    given = {name: keyword.default for name, keyword in keywords.items() if name in options}
    assert given == options
    assert {*keywords} - {*options} == {
        *("bundle", "data", "output", "config", "split", "streaming", "progress"),
        *("reuse", "overwrite", "discard_decisions"),
        *ReadOptions.__struct_fields__,
    }


def mypy(script: Path) -> subprocess.CompletedProcess[str]:
    """Check a script as its user would, with lossrank where it would be installed: its own faults are not shown."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        ".mypy_cache",
        script,
    ]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    return subprocess.run(command, cwd=script.parent, env=environment, capture_output=True, text=True)


@SOAK
def test_mypy_strict_passes_a_users_script_and_finds_the_faults_of_another(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    checked = mypy(tmp_path / "script.py")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (tmp_path / "wrong.py").write_text(WRONG)
    faults = mypy(tmp_path / "wrong.py").stdout.splitlines()[:-1]
    assert [fault.split(":")[1] for fault in faults if "error" in fault] == ["4", "5", "6", "7", "8"]


def test_the_wheel_says_that_every_package_is_typed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    typed = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("py.typed")}
    assert typed == {f"{package}/py.typed" for package in ("scorer", "exporter", "lossrank", "cli")}
