"""Fixtures of these tests."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Give a new folder, as often as an example of a property asks."""
    return lambda: tmp_path_factory.mktemp("screen") / "run"
