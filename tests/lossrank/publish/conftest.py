"""What the tests of apply share."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.decision import DISCARDED, KEPT
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES


@pytest.fixture
def scored(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Path:
    """A run over rows with class names, three of them decided of."""
    (tmp_path / "in").mkdir()
    pq.write_table(with_features(rows, label=CLASSES), tmp_path / "in" / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "in" / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World", 4: KEPT, 5: DISCARDED})
    return tmp_path / "run"
