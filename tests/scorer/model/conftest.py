"""Fixtures of these tests."""

import shutil
from pathlib import Path

import pytest

from scorer import ModelBundle


@pytest.fixture
def bundle(tiny_bundle: ModelBundle, tmp_path: Path) -> ModelBundle:
    """A copy to spoil."""
    shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    return ModelBundle.load(tmp_path / "bundle")
