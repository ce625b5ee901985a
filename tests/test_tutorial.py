"""The seven defects of the Rubrix tutorial "Clean labels using your model loss", each of which is not here.

Through the command line, from data to the published data set.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.servers.rubrix.api import RubrixApi
from scorer import ModelBundle
from tests.support.facts import counts
from tests.support.fake_rubrix import KEY, FakeRubrix
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES, expected_loss, make_texts

Lossrank = Callable[..., click.testing.Result]
N = 700
NAMES = ("Sci/Tech", "Business", "World", "Sports")  # the data's own order, not the model's
TO_MODEL = [CLASSES.index(name) for name in NAMES]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    labels = np.random.default_rng(3).integers(0, 4, size=N)
    return with_features(pa.table({"text": make_texts(N, seed=5), "label": labels}), label=NAMES)


@pytest.fixture
def audit(lossrank: Lossrank, tiny_bundle: ModelBundle, table: pa.Table, tmp_path: Path) -> Path:
    """The run of `lossrank score`."""
    pq.write_table(table, tmp_path / "news.parquet")
    result = lossrank("score", tiny_bundle.path, tmp_path / "news.parquet", "-o", tmp_path / "run", "--threads", 1)
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


@pytest.fixture
def rubrix(audit: Path, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> FakeRubrix:
    """A server that `lossrank log --top 500` has logged to."""
    server = FakeRubrix()
    monkeypatch.setenv("RUBRIX_API_KEY", KEY)
    monkeypatch.setattr(
        "lossrank.review.servers.rubrix.server.RubrixApi", functools.partial(RubrixApi, transport=server)
    )
    assert lossrank("log", audit, "--to", "rubrix", "--name", "news", "--top", 500).exit_code == 0
    return server


def ranking(lossrank: Lossrank, run: Path, top: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(lossrank("rank", run, "--top", top, "--json").stdout)["rows"]
    return found


def test_1_the_softmax_is_over_the_classes_so_no_loss_depends_on_the_rows_beside_it(
    audit: Path, lossrank: Lossrank, tiny_bundle: ModelBundle, table: pa.Table, tmp_path: Path
) -> None:
    texts, labels = table["text"].to_pylist(), table["label"].to_pylist()
    loss = pq.read_table(audit / "scores")["loss"].to_pylist()
    by_hand = [expected_loss(text, TO_MODEL[label]) for text, label in zip(texts, labels, strict=True)]
    assert loss == pytest.approx(by_hand, abs=1e-4)
    probs = np.array(pq.read_table(audit / "scores")["probs"].to_pylist())
    assert probs.sum(axis=1) == pytest.approx(np.ones(N), abs=1e-5)
    alone = tmp_path / "alone.parquet"
    pq.write_table(table.slice(13, 1), alone)
    assert lossrank("score", tiny_bundle.path, alone, "-o", tmp_path / "one").exit_code == 0
    assert pq.read_table(tmp_path / "one" / "scores")["loss"][0].as_py() == pytest.approx(loss[13], abs=1e-5)


def test_2_the_worst_500_are_500(rubrix: FakeRubrix, audit: Path, lossrank: Lossrank) -> None:
    assert len(rubrix.records) == 500
    loss = pq.read_table(audit / "scores")["loss"].to_numpy()
    logged = {record["metadata"]["row"] for record in rubrix.records.values()}
    assert logged == set(np.argsort(-loss, kind="stable")[:500].tolist())
    assert len(ranking(lossrank, audit, 500)) == 500


def test_3_every_record_has_an_id_of_its_data_and_row_that_is_the_same_every_time(
    rubrix: FakeRubrix, audit: Path, lossrank: Lossrank
) -> None:
    fingerprint = json.loads((audit / "run.json").read_text())["data"]["fingerprint"]
    assert set(rubrix.records) == {
        f"{fingerprint[:12]}-{record['metadata']['row']:09d}" for record in rubrix.records.values()
    }
    before = {key: dict(record) for key, record in rubrix.records.items()}
    again = lossrank("log", audit, "--to", "rubrix", "--name", "news", "--top", 500)
    assert counts(again.stdout.splitlines()[0]) == [500, 0, 500, 0]  # rows, logged, there already, refused
    assert rubrix.records == before


def test_4_a_correction_finds_its_row_by_its_number_not_by_its_place_in_the_ranking(
    rubrix: FakeRubrix, audit: Path, lossrank: Lossrank, table: pa.Table, tmp_path: Path
) -> None:
    texts = table["text"].to_pylist()
    for record in rubrix.records.values():
        assert record["inputs"]["text"] == texts[record["metadata"]["row"]]
    worst = ranking(lossrank, audit, 10)
    chosen = next(row for row in worst if row["row"] != row["rank"] and row["row"] != int(str(row["rank"])) - 1)
    new = "World" if chosen["given_name"] != "World" else "Sports"
    decide(audit, {int(str(chosen["row"])): new})
    assert lossrank("apply", audit, "-o", tmp_path / "out.parquet").exit_code == 0
    out = pq.read_table(tmp_path / "out.parquet")
    before = table["label"].to_pylist()
    changed = [i for i, (old, now) in enumerate(zip(before, out["label"].to_pylist(), strict=True)) if old != now]
    assert changed == [chosen["row"]]
    assert out["text"][chosen["row"]].as_py() == chosen["source"]["text"]  # type: ignore[index]


def test_5_class_numbers_and_names_stay_the_datas_own_whatever_order_corrections_come_in(
    audit: Path, lossrank: Lossrank, table: pa.Table, tmp_path: Path
) -> None:
    rows = [row["row"] for row in ranking(lossrank, audit, 4)]
    decisions = {
        int(str(row)): name for row, name in zip(rows, ("Sports", "World", "Sci/Tech", "Business"), strict=True)
    }
    decide(audit, decisions)
    assert lossrank("apply", audit, "-o", tmp_path / "out").exit_code == 0
    out = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert out.features["label"].names == list(NAMES)
    names = [out.features["label"].int2str(label) for label in out["label"][:]]
    before = [NAMES[label] for label in table["label"].to_pylist()]
    assert names == [decisions.get(row, name) for row, name in enumerate(before)]


def test_6_a_row_that_nobody_looked_at_counts_as_unreviewed_everywhere(
    rubrix: FakeRubrix, audit: Path, lossrank: Lossrank, tmp_path: Path
) -> None:
    assert {record["status"] for record in rubrix.records.values()} == {"Default"}
    assert all(record["annotation"]["labels"] for record in rubrix.records.values())  # the given label, to be judged
    assert lossrank("apply", audit, "-o", tmp_path / "none").exit_code == 1  # nothing was decided
    decide(audit, {0: "kept"})
    assert lossrank("apply", audit, "-o", tmp_path / "out.parquet").exit_code == 0
    status = pq.read_table(tmp_path / "out.parquet")["label_status"].to_pylist()
    assert status == ["kept", *["unreviewed"] * (N - 1)]


def test_7_the_whole_data_set_is_published_not_only_the_relabelled_rows(
    audit: Path, lossrank: Lossrank, table: pa.Table, tmp_path: Path
) -> None:
    worst = ranking(lossrank, audit, 50)
    decide(audit, {int(str(row["row"])): str(row["predicted_name"]) for row in worst})
    assert lossrank("apply", audit, "-o", tmp_path / "out").exit_code == 0
    out = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(out) == N
    assert out["text"][:] == table["text"].to_pylist()
    assert sum(old != new for old, new in zip(out["original_label"], out["label"], strict=True)) == 50
