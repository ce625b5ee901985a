"""What the tests of apply share."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.decision import DISCARDED, KEPT
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES


@pytest.fixture(scope="session")
def with_names(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data that has class names and a run over it, for ``scored`` to copy."""
    folder = tmp_path_factory.mktemp("with_names")
    (folder / "in").mkdir()
    pq.write_table(with_features(rows, label=CLASSES), folder / "in" / "news.parquet")
    score_dataset(tiny_bundle, folder / "in" / "news.parquet", folder / "run", ScoreOptions(threads=1))
    return folder


@pytest.fixture
def scored(with_names: Path, tmp_path: Path) -> Path:
    """A run of this test's own over rows with class names, three of them decided of."""
    shutil.copytree(with_names, tmp_path, dirs_exist_ok=True)
    manifest = (tmp_path / "run" / "run.json").read_text()
    assert f"{with_names}/in/news.parquet" in manifest
    (tmp_path / "run" / "run.json").write_text(manifest.replace(f"{with_names}/", f"{tmp_path}/"))
    decide(tmp_path / "run", {3: "World", 4: KEPT, 5: DISCARDED})
    return tmp_path / "run"
