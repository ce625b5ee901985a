"""`lossrank log` against a real Rubrix 0.18 server, read back by the real client."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.rubrix.api import RubrixApi
from lossrank.review.servers.rubrix.record import encode
from scorer import ModelBundle, RunDirectory, ScoreOptions, join_source, rank, score_dataset
from tests.servers.news import crash_in_mid_log, refusal
from tests.servers.process import on
from tests.servers.rubrix_people import KEY, Rubrix
from tests.support.facts import counts, tells
from tests.support.fake_rubrix import make_record
from tests.support.tiny import CLASSES, make_bundle, make_texts, weights

pytestmark = [pytest.mark.servers, on("rubrix")]
Lossrank = Callable[..., Result]
MakeRun = Callable[[list[str], list[str]], RunDirectory]


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Score texts with given labels; no text is ever predicted to be ``Odd``."""
    table = np.hstack([weights(), np.full((len(weights()), 1), -50.0, dtype=np.float32)])
    folder = tmp_path_factory.mktemp("bundle")
    bundle: ModelBundle = make_bundle(folder / "bundle", (*CLASSES, "Odd"), table)

    def make(texts: list[str], labels: list[str]) -> RunDirectory:
        folder = tmp_path_factory.mktemp("run")
        pq.write_table(pa.table({"text": texts, "label": labels}), folder / "news.parquet")
        score_dataset(bundle, folder / "news.parquet", folder / "run", ScoreOptions(threads=1))
        return RunDirectory.open(folder / "run")

    return make


@pytest.fixture(scope="module")
def run(make_run: MakeRun) -> RunDirectory:
    return make_run(make_texts(600, longest=40), [CLASSES[i % 4] for i in range(600)])


def record_id(run: RunDirectory, row: int) -> str:
    return f"{run.data_fingerprint[:12]}-{row:09d}"


def assert_read_back(rubrix: Rubrix, name: str, run: RunDirectory, top: int) -> None:
    """Compare every field of what the real client reads with the run and its source."""
    ranked = rank(run, top)
    texts = join_source(run, ranked)["text"].to_pylist()
    records = rubrix.read_back(name)
    assert [record["id"] for record in records] == sorted(record_id(run, row.row) for row in ranked)
    by_id = {record["id"]: record for record in records}
    for row, text in zip(ranked, texts, strict=True):
        assert row.label is not None
        given, predicted = run.class_names[row.label], run.class_names[row.predicted]
        assert by_id[record_id(run, row.row)] == {
            "id": record_id(run, row.row),
            "inputs": {"text": text},
            "prediction": [[predicted, row.top_prob]],
            "prediction_agent": "tiny",
            "annotation": given,
            "annotation_agent": "news.parquet",
            "status": "Default",
            "metadata": {
                "rank": row.rank,
                "row": row.row,
                "given": given,
                "predicted": predicted,
                "loss": row.loss,
                "margin": row.margin,
                "entropy": row.entropy,
            },
            "event_timestamp": None,
            "multi_label": False,
        }


def test_the_worst_500_arrive_whole_and_sort_by_loss(
    rubrix: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    started = time.perf_counter()
    result = lossrank("log", run.path, "--to", "rubrix", "--name", name, "--top", 500)
    print(f"{500 / (time.perf_counter() - started):.0f} records/s")
    assert (result.exit_code, result.stderr) == (0, "")
    done, where, *_ = result.stdout.splitlines()
    assert counts(done) == [500, 500, 0, 0]  # rows, logged, there already, refused
    assert tells(where, f"{rubrix.url}/datasets/rubrix/{name}")
    assert_read_back(rubrix, name, run, 500)
    body = {"sort": [{"id": "metadata.loss", "order": "desc"}]}
    page = rubrix.post(f"/api/datasets/{name}/TextClassification:search?limit=500", body).json()
    assert page["total"] == 500
    assert [record["id"] for record in page["records"]] == [record_id(run, row.row) for row in rank(run, 500)]


def test_what_a_person_did_survives_a_second_log(
    rubrix: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--name", name, "--top", 100)
    bodies = rubrix.post(f"/api/datasets/{name}/TextClassification:search?limit=5", {}).json()["records"]
    touched = []
    for body, status in zip(bodies, ["Validated", "Validated", "Discarded", "Edited", "Default"], strict=True):
        label = next(other for other in CLASSES if other != body["annotation"]["labels"][0]["class"])
        annotation = {"agent": "ana", "labels": [{"class": label, "score": 1.0}]}
        touched.append({key: body[key] for key in ("id", "inputs", "prediction", "metadata")})
        touched[-1] |= {"annotation": annotation, "status": status}
    rubrix.bulk(name, touched)
    before = rubrix.read_back(name)

    result = lossrank("log", run.path, "--name", name, "--top", 130)
    assert counts(result.stdout.splitlines()[0]) == [130, 30, 100, 0]
    after = rubrix.read_back(name)
    old = {record["id"] for record in before}
    assert [record for record in after if record["id"] in old] == before
    assert len(after) == 130
    validated = rubrix.read_back(name, "status: Validated")
    assert [record["id"] for record in validated] == sorted(body["id"] for body in touched[:2])
    assert {record["annotation_agent"] for record in validated} == {"ana"}


def test_a_server_that_crashes_in_mid_run_and_comes_back_has_all_of_every_record(
    rubrix: Rubrix, name: str, run: RunDirectory
) -> None:
    crash_in_mid_log(rubrix, run, name, chunk=60)
    assert_read_back(rubrix, name, run, 600)


def test_a_record_outside_the_label_schema_costs_only_itself(
    rubrix: Rubrix, name: str, make_run: MakeRun, lossrank: Lossrank
) -> None:
    labels = [CLASSES[i % 4] for i in range(40)]
    labels[17] = "Odd"
    run = make_run(make_texts(40), labels)
    rubrix.post("/api/datasets", {"name": name, "task": "TextClassification"}).raise_for_status()
    rubrix.set_labels(name, list(CLASSES))

    result = lossrank("log", run.path, "--name", name)
    assert result.exit_code == 3
    assert counts(result.stdout.splitlines()[0]) == [40, 39, 0, 1]
    (refused,) = result.stderr.splitlines()
    assert tells(refused, "row 17", "Provided records contain the Odd label, that is not included in")
    assert {record["metadata"]["row"] for record in rubrix.read_back(name)} == set(range(40)) - {17}


def test_a_record_that_the_index_turns_down_costs_only_itself(
    rubrix: Rubrix, name: str, make_run: MakeRun, lossrank: Lossrank, tmp_path: Path
) -> None:
    run = make_run([f"private-{i} w1" for i in range(40)], [CLASSES[i % 4] if i != 17 else "Odd" for i in range(40)])
    manifest = json.loads((run.path / "run.json").read_text())
    manifest["bundle"]["class_names"] = ["0", "1", "2", "3", "Odd"]
    (run.path / "run.json").write_text(json.dumps(manifest))
    # Somebody's record made the field a number: "0" still fits, "Odd" is a 500, after which the others are stored.
    rubrix.bulk(name, [{"id": "mine", "inputs": {"text": "x"}, "metadata": {"given": 5}}])

    result = lossrank("log", run.path, "--name", name)
    assert result.exit_code == 3
    assert counts(result.stdout.splitlines()[0]) == [40, 39, 0, 1]
    assert tells(result.stderr, "row 17", "failed to parse field [metadata.given] of type [long]")
    assert "private" not in result.output
    assert rubrix.count(name) == 40


def test_what_screening_lets_slip_is_refused_by_the_server_alone(rubrix: Rubrix, name: str) -> None:
    bad: dict[int, dict[str, Any]] = {
        3: {"given": "g" * 129},
        70: {"inputs": {}},
        71: {"metadata": {"loss": "none"}},
        99: {"predicted": ("Sports", -0.5)},
    }
    records = [make_record(row, **bad.get(row, {})) for row in range(100)]
    with RubrixApi(rubrix.url, KEY) as api:
        api.open_dataset(name)
        sending = ChunkedLog(api, name, encode)
        assert list(sending.log(records)) == [100]
    assert {refusal.row for refusal in sending.refused} == set(bad)
    assert all(refusal.reason for refusal in sending.refused)
    assert sending.logged == rubrix.count(name) == 96


def test_texts_of_every_kind_arrive_unchanged(rubrix: Rubrix, name: str, make_run: MakeRun, lossrank: Lossrank) -> None:
    texts = [
        "x" * 200_000,
        "w1 " * 66_667,
        "😀 👩‍👩‍👧 Zażółć 世界 مرحبا",
        "zero \x00 byte",
        "two\nlines\r\nthree\u2028four\x85five\x0bsix",
        'quotes " and \\ and {"id": 1}',
        "<script>alert(1)</script> <@@-rb-key>x</@@-rb-key>",
        "\ufeffbom \ufffd \U0010ffff",
    ]
    run = make_run(texts, [CLASSES[i % 4] for i in range(len(texts))])
    result = lossrank("log", run.path, "--name", name)
    assert counts(result.stdout.splitlines()[0])[:2] == [len(texts), len(texts)], result.output
    assert_read_back(rubrix, name, run, 500)


def test_texts_that_the_scorer_leaves_out_would_be_taken(rubrix: Rubrix, name: str) -> None:
    texts = ["", "\n", " ", "\x00"]
    with RubrixApi(rubrix.url, KEY) as api:
        api.open_dataset(name)
        assert list(
            ChunkedLog(api, name, encode).log([make_record(i, inputs={"text": t}) for i, t in enumerate(texts)])
        ) == [4]
    assert [record["inputs"]["text"] for record in rubrix.read_back(name)] == texts


def test_an_unlabelled_ranking_has_no_annotations(
    rubrix: Rubrix, name: str, make_run: MakeRun, lossrank: Lossrank
) -> None:
    run = make_run(make_texts(10), [""] * 10)
    lossrank("log", run.path, "--name", name, "--by", "entropy")
    records = rubrix.read_back(name)
    assert [record["annotation"] for record in records] == [None] * 10
    assert not [record for record in records if "loss" in record["metadata"]]


def test_other_servers_and_none(
    rubrix: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossrank.review.servers.rubrix.api.FIRST_WAIT", 0.5)
    none = lossrank("log", run.path, "--name", name, "--url", "http://127.0.0.1:9")
    assert none.exit_code == 1
    assert tells(none.stderr.splitlines()[-1], "Error", "[Errno 111] Connection refused")
    other = refusal(lossrank("log", run.path, "--name", name, "--url", f"{rubrix.url}/no/rubrix/here"))
    assert all(fact in other for fact in ("307", "--url"))
    assert not rubrix.has(name)
