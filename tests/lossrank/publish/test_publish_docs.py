"""docs/publish.md is true: its commands run, on the demo's data."""

from collections.abc import Callable
from pathlib import Path

import click.testing
import pyarrow.parquet as pq
import pytest

from cli.commands.demo import BUNDLE, DATA
from scorer import ScoreOptions, score_dataset
from tests.support.publishing import decide
from tests.test_docs import ROOT, commands

PAGE = (ROOT / "docs" / "publish.md").read_text()


def test_every_command_of_the_page_runs(
    lossrank: Callable[..., click.testing.Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pq.read_table(DATA).slice(0, 600), tmp_path / "reviews.parquet")
    (tmp_path / "bundle").symlink_to(BUNDLE)
    score_dataset("bundle", "reviews.parquet", "run", ScoreOptions())
    decide(tmp_path / "run", {0: "World", 283: "discarded"})
    ran = commands(PAGE)
    assert [words[1] for words in ran] == ["apply", "apply", "score", "diff", "pull"]
    for words in ran:
        result = lossrank(*words[1:])
        assert result.exit_code == 0, result.output
