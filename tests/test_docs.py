"""The docs are true: their commands and their Python run, their links lead somewhere, docs/cli.md is up to date."""

import contextlib
import functools
import json
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest

from lossrank.page.review import Review
from lossrank.page.serve import listen
from lossrank.review.servers.rubrix.api import RubrixApi
from tests.support import ROOT
from tests.support.fake_rubrix import KEY, FakeRubrix

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
DOCS = ROOT / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text() for name in ("score", "rank", "nightly")}  # run after the README


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """Return every command of the text's sh blocks, without comments."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the hub's names of the README are there: a small model and 600 rows of the data set."""
    import datasets

    from cli.commands.demo import DATA
    from tests.support.tiny import make_bundle
    from tests.support.tiny_models import build

    monkeypatch.chdir(tmp_path)
    build("distilbert", tmp_path / "andi611" / "distilbert-base-uncased-ner-agnews")
    test = datasets.Dataset.from_parquet(str(DATA), cache_dir=str(tmp_path / "cache")).select(range(600))
    datasets.DatasetDict({"test": test}).save_to_disk(tmp_path / "ag_news")
    monkeypatch.setattr("datasets.load_dataset", lambda name, split: datasets.load_from_disk(name)[split])
    test.to_parquet(tmp_path / "reviews.parquet")
    probs = np.random.default_rng(0).dirichlet(np.ones(4), len(test))
    np.save(tmp_path / "probs.npy", probs)
    columns = {name: probs[:, i] for i, name in enumerate(test.features["label"].names)}
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "probs.parquet")
    # An ONNX classifier and its tokenizer, and the names of a scikit-learn model's classes.
    names = make_bundle(tmp_path / "my-model").class_names
    (tmp_path / "my-model" / "model.onnx").rename(tmp_path / "model.onnx")
    (tmp_path / "my-model" / "tokenizer_config.json").write_text('{"model_max_length": 40}')
    (tmp_path / "my-model" / "config.json").write_text(json.dumps({"id2label": dict(enumerate(names))}))
    (tmp_path / "classes.txt").write_text("\n".join(test.features["label"].names))
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeRubrix:
    """Stands in for the Rubrix server."""
    server = FakeRubrix()
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    monkeypatch.setattr(
        "lossrank.review.servers.rubrix.server.RubrixApi", functools.partial(RubrixApi, transport=server)
    )
    return server


def stopped(self: Review) -> None:
    """Serve nothing, as if Ctrl-C came at once."""
    raise KeyboardInterrupt


def test_every_lossrank_command_runs(
    place: Path,
    server: FakeRubrix,
    lossrank: Callable[..., click.testing.Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Review, "serve", stopped)
    monkeypatch.setattr("lossrank.page.review.listen", lambda port: listen(0))
    monkeypatch.setattr("cli.commands.review.browser_at", contextlib.nullcontext)
    ran = [words for text in (README, *PAGES.values()) for words in commands(text) if words[0] == "lossrank"]
    assert [words[1] for words in ran[:4]] == ["export", "score", "rank", "log"]
    for words in ran:
        result = lossrank(*words[1:])
        assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"
    assert len(server.records) == 500
    assert (place / "to-review.csv").read_text().startswith("\ufeffrank,row,record_id,")


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_first_python_of_a_page_runs(place: Path, server: FakeRubrix, page: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks((ROOT / page).read_text(), "python")[0], page, "exec"), names)
    names["page"].stop()
    assert {348, 154, 344} >= {decision.row for decision in names["run"].decisions()} >= {154, 344}
    assert names["corrected"].num_rows == 600


@pytest.mark.parametrize("text", [README, CONTRIBUTING])
def test_every_make_command_is_a_target(text: str) -> None:
    ran = [words for words in commands(text) if words[0] == "make"]
    assert ran
    for words in ran:
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def test_the_first_two_commands_are_demo_and_test() -> None:
    assert commands(README)[:2] == [["make", "demo"], ["make", "test"]]


def test_every_extra_that_the_docs_install_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = [words for words in commands((DOCS / "install.md").read_text()) if words[0] == "pip"]
    named = {name for words in installs for name in re.findall(r"\[(.*)\]", words[-1])[0].split(",")}
    assert named == {"cpu", "gpu", "export", "optimum", "datasets", "remote", "argilla"} <= set(extras)


def test_the_readme_fits_on_a_screen_and_its_figures_are_measured() -> None:
    assert len(README.splitlines()) < 80
    figures = re.findall(r"\| ([\d.]+) \| ([\d.]+) \|$", README, flags=re.MULTILINE)
    measured = (DOCS / "benchmarks.md").read_text().partition("## MiniLM-L6 size, news")[2].partition("\n## ")[0]
    assert len(figures) == 3
    for rows_per_second, times in figures:
        assert re.search(rf"\| {rows_per_second} \|.*\| {times} \|", measured), rows_per_second


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))])
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)):
        name, _, heading = link.partition("#")
        if "://" in name:
            continue
        file = page.parent / name if name else page
        assert file.exists(), link
        if heading:
            assert heading in anchors(file.read_text()), link


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for title in re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M):
        plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.append(f"{plain}-{found.count(plain)}" if plain in found else plain)
    return {*found}


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
