"""A run of each test's own, which it may damage."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, score_dataset
from tests.scorer.audit.verify.damage import OPTIONS
from tests.support.tiny import make_bundle


@pytest.fixture(scope="session")
def scored(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, data and a run, for the tests to copy."""
    folder = tmp_path_factory.mktemp("scored")
    pq.write_table(rows, folder / "data.parquet")
    score_dataset(make_bundle(folder / "bundle"), folder / "data.parquet", folder / "run", OPTIONS)
    return folder


@pytest.fixture
def bundle(scored: Path, tmp_path: Path) -> ModelBundle:
    return ModelBundle.load(shutil.copytree(scored / "bundle", tmp_path / "bundle"))


@pytest.fixture
def data(scored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(scored / "data.parquet", tmp_path / "data.parquet"))


@pytest.fixture
def run(scored: Path, bundle: ModelBundle, data: Path, tmp_path: Path) -> Path:
    """The run as it would be had it been scored here: its manifest names the files beside it."""
    run = Path(shutil.copytree(scored / "run", tmp_path / "run"))
    manifest = (run / "run.json").read_text()
    assert str(scored / "bundle") in manifest
    assert str(scored / "data.parquet") in manifest
    (run / "run.json").write_text(manifest.replace(f"{scored}/", f"{tmp_path}/"))
    return run
