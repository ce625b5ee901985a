"""The docs are true: every command in the README runs, and docs/cli.md is what the commands say."""

import contextlib
import functools
import re
import runpy
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from cli.commands import COMMANDS
from lossrank.page.serve import listen
from lossrank.review.servers.rubrix.api import RubrixApi
from tests.support import ROOT
from tests.support.fake_rubrix import KEY, FakeRubrix
from tests.support.publishing import decide

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """Return every command of the text's sh blocks, without comments."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the hub's names of the README are folders: a small model and a saved data set."""
    import datasets

    from cli.commands.demo import DATA
    from tests.support.tiny_models import build

    monkeypatch.chdir(tmp_path)
    build("distilbert", tmp_path / "andi611" / "distilbert-base-uncased-ner-agnews")
    test = datasets.Dataset.from_parquet(str(DATA), cache_dir=str(tmp_path / "cache")).select(range(600))
    datasets.DatasetDict({"test": test}).save_to_disk(tmp_path / "ag_news")
    test.to_parquet(tmp_path / "reviews.parquet")
    return tmp_path


def stopped(*_: object) -> None:
    """Serve nothing, as if Ctrl-C came at once."""
    raise KeyboardInterrupt


def test_every_lossrank_command_of_the_readme_runs(
    place: Path, lossrank: Callable[..., click.testing.Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeRubrix()
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    monkeypatch.setattr(
        "lossrank.review.servers.rubrix.server.RubrixApi", functools.partial(RubrixApi, transport=server)
    )
    monkeypatch.setattr("cli.commands.review.serve", stopped)
    monkeypatch.setattr("cli.commands.review.listen", lambda port: listen(0))
    monkeypatch.setattr("cli.commands.review.browser_at", contextlib.nullcontext)
    ran = [words for words in commands(README) if words[0] == "lossrank"]
    assert [words[1] for words in ran[:4]] == ["export", "score", "rank", "log"]
    for words in ran:
        if words[1] == "apply":
            decide(place / words[2], {0: "World", 1: "kept"})
        result = lossrank(*words[1:])
        assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"
    assert len(server.records) == 500
    assert (place / "to-review.csv").read_text().startswith("\ufeffrank,row,record_id,")
    for block in blocks(README, "python"):
        shutil.rmtree(place / "run")
        exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("text", [README, CONTRIBUTING])
def test_every_make_command_is_a_target(text: str) -> None:
    ran = [words for words in commands(text) if words[0] == "make"]
    assert ran
    for words in ran:
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def test_the_first_two_commands_are_demo_and_test() -> None:
    assert commands(README)[:2] == [["make", "demo"], ["make", "test"]]


def test_every_extra_that_the_readme_installs_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = [words for words in commands(README) if words[0] == "pip"]
    named = {name for words in installs for name in re.findall(r"\[(.*)\]", words[-1])[0].split(",")}
    assert named == {"cpu", "gpu", "export", "datasets", "remote", "argilla"} <= set(extras)


def test_the_readmes_table_has_every_command() -> None:
    assert re.findall(r"^\| `lossrank (\w+)", README, flags=re.MULTILINE) == list(COMMANDS)


def test_cli_md_is_what_the_commands_say() -> None:
    reference = runpy.run_path(str(ROOT / "docs" / "make_cli.py"))["reference"]
    assert (ROOT / "docs" / "cli.md").read_text() == reference(), "run `make docs`"


def test_every_file_and_test_that_the_docs_name_is_there() -> None:
    text = (ROOT / "docs" / "design.md").read_text() + README + CONTRIBUTING
    named = re.findall(r"`((?:scorer|exporter|lossrank|cli|tests|benchmarks)/[\w/]+\.(?:py|md))`", text)
    tests = set(re.findall(r"`(test_\w+\.py)`", text))
    assert len(named) > 10
    assert len(tests) > 5
    for name in named:
        assert (ROOT / name).is_file(), name
    assert not tests - {file.name for file in (ROOT / "tests").rglob("test_*.py")}
