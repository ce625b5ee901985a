"""A run of each test's own, which it may damage."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, score_dataset
from tests.scorer.audit.verify.damage import OPTIONS
from tests.support.tiny import make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture
def data(rows: pa.Table, tmp_path: Path) -> Path:
    pq.write_table(rows, tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


@pytest.fixture
def run(bundle: ModelBundle, data: Path, tmp_path: Path) -> Path:
    score_dataset(bundle, data, tmp_path / "run", OPTIONS)
    return tmp_path / "run"
