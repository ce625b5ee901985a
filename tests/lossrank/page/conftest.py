"""What the tests of the review page share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import Client, page_of


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    """The scored run, for this test alone."""
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture
def page(own: Path) -> Iterator[Client]:
    with page_of(own) as client:
        yield client
