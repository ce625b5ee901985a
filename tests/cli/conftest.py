"""What the tests of `lossrank log` share."""

import functools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.servers.rubrix.api import RubrixApi
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support.fake_rubrix import KEY, FakeRubrix
from tests.support.tiny import CLASSES, make_texts

OPTIONS = ScoreOptions(batch_tokens=300, threads=1)


@pytest.fixture(scope="module")
def news_run(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """600 scored rows of a file, two of them without a text and one without a label."""
    folder = tmp_path_factory.mktemp("log")
    texts: list[str | None] = [f"secret-text-{i} {text}" for i, text in enumerate(make_texts(600))]
    labels: list[str | None] = [CLASSES[i % 4] for i in range(600)]
    texts[10] = texts[20] = labels[30] = None
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "news.parquet")
    score_dataset(tiny_bundle, folder / "news.parquet", folder / "run", OPTIONS)
    return RunDirectory.open(folder / "run")


@pytest.fixture
def rubrix(monkeypatch: pytest.MonkeyPatch) -> FakeRubrix:
    """A server in memory that the command talks to; pauses take no time."""
    server = FakeRubrix()
    monkeypatch.setattr(
        "lossrank.review.servers.rubrix.server.RubrixApi", functools.partial(RubrixApi, transport=server)
    )
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    for name in ("RUBRIX_API_URL", "RUBRIX_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    return server
