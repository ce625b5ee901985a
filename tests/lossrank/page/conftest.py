"""Fixtures of the review page's tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import Client, page_of


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    """A copy of the scored run, for one test."""
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture
def page(own: Path) -> Iterator[Client]:
    with page_of(own) as client:
        yield client
