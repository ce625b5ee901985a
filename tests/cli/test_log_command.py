"""`lossrank log`: what it sends and what it prints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.records import Refusal, ReviewRecord, build_records
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, tells
from tests.support.fake_rubrix import FakeRubrix
from tests.support.tiny import CLASSES


def test_the_worst_500_go_out_and_the_summary_says_where(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank
) -> None:
    result = lossrank("log", news_run.path, "--to", "rubrix", "--name", "ag_news_error_analysis", "--top", 500)
    done, where, order, following = result.stdout.splitlines()
    assert counts(done) == [500, 500, 0, 0]  # rows, logged, there already, refused
    assert tells(where, "http://localhost:6900/datasets/rubrix/ag_news_error_analysis")
    assert tells(order, "Sort", "Metadata.loss", "descending")
    assert tells(following, f"lossrank pull {news_run.path}")
    assert result.stderr == ""
    assert result.exit_code == 0
    ranked = rank(news_run, 500)
    assert [record["metadata"]["row"] for record in rubrix.records.values()] == [row.row for row in ranked]
    assert [record["metadata"]["loss"] for record in rubrix.records.values()] == [row.loss for row in ranked]
    for record in rubrix.records.values():
        assert record["inputs"]["text"].startswith(f"secret-text-{record['metadata']['row']} ")
        assert record["id"] == f"{news_run.data_fingerprint[:12]}-{record['metadata']['row']:09d}"
        assert record["prediction"]["agent"] == "tiny"
        assert record["annotation"]["agent"] == "news.parquet"
        assert record["status"] == "Default"


def test_without_top_it_is_500_and_again_adds_what_is_missing(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank
) -> None:
    first = lossrank("log", news_run.path, "--name", "d")
    assert counts(first.stdout.splitlines()[0]) == [500, 500, 0, 0]
    result = lossrank("log", news_run.path, "--name", "d", "--top", 1000)
    assert counts(result.stdout.splitlines()[0]) == [597, 97, 500, 0]
    assert counts(result.stderr) == [597]


@pytest.mark.parametrize(
    ("arguments", "count", "sort"),
    [
        (["--by", "entropy", "--top", 600], 598, ["Metadata.entropy", "descending"]),
        (["--by", "margin", "--top", 7], 7, ["Metadata.margin", "ascending"]),
        (["--by", "self-confidence", "--top", 7], 7, ["Metadata.loss", "descending"]),
        (["--per-class", 5], 20, ["Metadata.loss", "descending"]),
        (["--pair", "World:Sports", "--top", 3], 3, ["Metadata.loss", "descending"]),
    ],
)
def test_the_ranking_is_that_of_rank(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, arguments: list[Any], count: int, sort: list[str]
) -> None:
    result = lossrank("log", news_run.path, "--name", "d", *arguments)
    done, _, order, _ = result.stdout.splitlines()
    assert counts(done) == [count, count, 0, 0]
    assert tells(order, *sort)


def test_a_row_without_a_label_is_logged_without_an_annotation(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank
) -> None:
    lossrank("log", news_run.path, "--name", "d", "--by", "entropy", "--top", 600)
    (record,) = (record for record in rubrix.records.values() if record["metadata"]["row"] == 30)
    assert record["annotation"] is None
    assert "loss" not in record["metadata"]


def test_address_key_and_workspace_come_from_the_environment(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUBRIX_API_URL", "https://someone:pass-word@rubrix.test/behind/")
    monkeypatch.setenv("RUBRIX_WORKSPACE", "team")
    result = lossrank("log", news_run.path, "--name", "d", "--top", 1)
    assert "https://rubrix.test/behind/datasets/team/d\n" in result.output
    assert rubrix.requests[0].headers["X-Rubrix-Workspace"] == "team"
    assert rubrix.requests[0].headers["Authorization"].startswith("Basic ")
    assert "pass-word" not in result.output


def test_refused_rows_are_named_and_the_others_logged(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank
) -> None:
    worst = rank(news_run, 50)
    rubrix.bad = {f"{news_run.data_fingerprint[:12]}-{worst[i].row:09d}" for i in (0, 30)}
    rubrix.refusal = "index"
    result = lossrank("log", news_run.path, "--name", "d", "--top", 50)
    assert result.exit_code == 3
    assert counts(result.stdout.splitlines()[0]) == [50, 48, 0, 2]
    for i, line in zip((0, 30), result.stderr.splitlines(), strict=True):
        assert tells(line, worst[i].row, "failed to parse field [metadata.loss] of type [float]")
    assert "secret-text" not in result.output


def test_rows_that_rubrix_cannot_take_are_named_before(
    tmp_path: Path, tiny_bundle: ModelBundle, rubrix: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pa.table({"text": ["w1 w2", "w3"], "label": ["World", "Sports"]})
    pq.write_table(data, tmp_path / "d.parquet")
    score_dataset(tiny_bundle, tmp_path / "d.parquet", tmp_path / "run", ScoreOptions(threads=1))
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    manifest["bundle"]["class_names"][1] = "S" * 129
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    result = lossrank("log", tmp_path / "run", "--name", "d")
    refused = [line for line in result.stderr.splitlines() if tells(line, "row", 129)]
    assert result.exit_code == 3
    assert refused
    assert len(rubrix.records) == 2 - len(refused)


def test_rows_that_make_no_record_count_as_refused(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_built(*arguments: Any) -> tuple[list[ReviewRecord], list[Refusal]]:
        records, _ = build_records(*arguments)
        return records[1:], [Refusal(records[0].row, "the row has no text")]

    monkeypatch.setattr("lossrank.review.log.build_records", half_built)
    result = lossrank("log", news_run.path, "--name", "d", "--top", 5)
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert tells(line, rank(news_run, 1)[0].row, "the row has no text")
    assert counts(result.stdout.splitlines()[0]) == [5, 4, 0, 1]


def test_the_records_go_to_a_file(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, tmp_path: Path
) -> None:
    lossrank("log", news_run.path, "--name", "d", "--top", 50)
    file = tmp_path / "worst.jsonl"
    result = lossrank("log", news_run.path, "--to", "jsonl", "-o", file, "--top", 50)
    (done,) = result.stdout.splitlines()
    assert (counts(done.replace(str(file), "")), tells(done, file)) == ([50, 50, 0], True)
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["rank"] for line in lines] == list(range(1, 51))
    for line, record in zip(lines, rubrix.records.values(), strict=True):
        assert (line["record_id"], line["text"]) == (record["id"], record["inputs"]["text"])
        assert {key: line[key] for key in record["metadata"]} == record["metadata"]
    again = lossrank("log", news_run.path, "--to", "jsonl", "-o", file, "--top", 3)
    assert (again.exit_code, tells(error_line(again), file, "--force")) == (1, True)
    assert lossrank("log", news_run.path, "--to", "jsonl", "-o", file, "--top", 3, "--force").exit_code == 0
    assert len(file.read_text().splitlines()) == 3


def test_a_terminal_gets_a_bar(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = lossrank("log", news_run.path, "--name", "d", "--chunk-size", 100)
    assert "500/500" in result.stderr
    assert counts(result.stdout.splitlines()[0]) == [500, 500, 0, 0]


def test_without_a_terminal_there_is_a_line_now_and_then(
    news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.progress._EVERY", 0.0)
    result = lossrank("log", news_run.path, "--name", "d", "--chunk-size", 200)
    assert [counts(line) for line in result.stderr.splitlines()] == [[200, 500], [400, 500], [500, 500]]


def test_numbers_are_those_of_the_run(news_run: RunDirectory, rubrix: FakeRubrix, lossrank: Lossrank) -> None:
    lossrank("log", news_run.path, "--name", "d", "--top", 40)
    for ranked in rank(news_run, 40):
        record = rubrix.records[f"{news_run.data_fingerprint[:12]}-{ranked.row:09d}"]
        (predicted,) = record["prediction"]["labels"]
        assert ranked.label is not None
        assert predicted["class"] == CLASSES[ranked.predicted] == record["metadata"]["predicted"]
        assert predicted["score"] == pytest.approx(ranked.top_prob)
        assert record["annotation"]["labels"] == [{"class": CLASSES[ranked.label], "score": 1.0}]
        assert np.float32(record["metadata"]["loss"]) == np.float32(ranked.loss)
        assert record["metadata"]["margin"] == ranked.margin
