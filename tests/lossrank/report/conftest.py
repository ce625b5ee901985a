"""Fixtures of the report's tests."""

from pathlib import Path

import pytest


@pytest.fixture
def own(run: Path) -> Path:
    """The scored run without decisions."""
    for file in run.glob("review.sqlite*"):
        file.unlink()
    return run
