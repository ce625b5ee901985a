"""`lossrank log` and `pull` against a real Argilla 1.29 server, which speaks much as Rubrix did."""

import time
from collections.abc import Callable

import pytest
from click.testing import Result

from scorer import RunDirectory, join_source, rank
from tests.servers.news import decisions, given, id_of, other
from tests.servers.process import on
from tests.servers.rubrix_people import Rubrix
from tests.support.facts import counts, tells

pytestmark = [pytest.mark.servers, on("argilla1")]
Lossrank = Callable[..., Result]


def test_the_worst_500_arrive_whole_sort_by_loss_and_are_there_once(
    argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.progress._EVERY", 1e9)  # no line now and then
    started = time.perf_counter()
    result = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 500)
    print(f"{500 / (time.perf_counter() - started):.0f} records/s")
    assert (result.exit_code, result.stderr) == (0, "")
    done, where, *_ = result.stdout.splitlines()
    assert counts(done) == [500, 500, 0, 0]  # rows, logged, there already, refused
    assert tells(where, f"{argilla1.url}/datasets/argilla/{name}")
    ranked = rank(run, 500)
    texts = join_source(run, ranked)["text"].to_pylist()
    body = {"sort": [{"id": "metadata.loss", "order": "desc"}]}
    page = argilla1.post(f"/api/datasets/{name}/TextClassification:search?limit=500", body).json()
    assert page["total"] == 500
    for record, row, text in zip(page["records"], ranked, texts, strict=True):
        predicted = {"class": run.class_names[row.predicted], "score": row.top_prob}
        assert record["id"] == id_of(run, row.row)
        assert record["inputs"] == {"text": text}
        assert record["prediction"] == {"agent": "tiny", "labels": [predicted]}
        assert record["annotation"] == {"agent": "news.parquet", "labels": [{"class": given(row.row), "score": 1.0}]}
        assert record["status"] == "Default"
        assert record["metadata"]["loss"] == row.loss
        assert record["metadata"]["row"] == row.row
    again = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 510)
    assert counts(again.stdout.splitlines()[0]) == [510, 10, 500, 0]
    assert argilla1.count(name) == 510


@pytest.mark.parametrize("tool", ["argilla", "rubrix"])
def test_what_a_person_decided_comes_back_and_a_second_log_leaves_it(
    argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setenv("RUBRIX_API_URL", argilla1.url)
    monkeypatch.setenv("RUBRIX_API_KEY", "argilla.apikey")
    lossrank("log", run.path, "--to", tool, "--name", name, "--top", 30)
    keep, relabel, discard, changed = (row.row for row in rank(run, 4))
    argilla1.answer(name, run, {keep: given(keep), relabel: other(relabel), discard: None, changed: given(changed)})
    argilla1.answer(name, run, {changed: other(changed)}, who="ben")
    again = lossrank("log", run.path, "--to", tool, "--name", name, "--top", 40)
    assert counts(again.stdout.splitlines()[0]) == [40, 10, 30, 0]
    result = lossrank("pull", run.path)
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1)  # where it pulls from
    assert counts(result.stdout) == [4, 1, 2, 1, 4]  # answers, kept, relabelled, discarded, new
    assert decisions(run) == {
        keep: ("kept", None, "ana"),
        relabel: ("relabelled", other(relabel), "ana"),
        discard: ("discarded", None, "unknown"),
        changed: ("relabelled", other(changed), "ben"),
    }
    assert counts(lossrank("pull", run.path).stdout)[-1] == 0
