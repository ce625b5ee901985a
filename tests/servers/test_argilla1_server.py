"""`lossrank log` and `pull` against a real Argilla 1.29 server, which speaks much as Rubrix did."""

import signal
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result

from scorer import RunDirectory, join_source, rank
from tests.servers.conftest import Rubrix
from tests.servers.news import decisions, given, id_of, logging, other

pytestmark = pytest.mark.servers
Lossrank = Callable[..., Result]


@pytest.fixture
def name(argilla1: Rubrix, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A data set name of the test's own, on the server that the command line finds in its environment."""
    monkeypatch.setenv("ARGILLA_API_URL", argilla1.url)
    for variable in ("ARGILLA_API_KEY", "ARGILLA_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    argilla1.request("DELETE", f"/api/datasets/{name}")


def test_the_worst_500_arrive_whole_sort_by_loss_and_are_there_once(
    argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.log._EVERY", 1e9)  # no line now and then
    started = time.perf_counter()
    result = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 500)
    print(f"{500 / (time.perf_counter() - started):.0f} records/s")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:2] == [
        "500 rows: 500 logged, 0 there already, 0 refused",
        f"Review them at {argilla1.url}/datasets/argilla/{name}",
    ]
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
    assert again.stdout.startswith("510 rows: 10 logged, 500 there already, 0 refused")
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
    assert again.stdout.startswith("40 rows: 10 logged, 30 there already, 0 refused")
    result = lossrank("pull", run.path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "4 answers: 1 rows kept, 2 relabelled, 1 discarded; 4 decisions are new\n"
    assert decisions(run) == {
        keep: ("kept", None, "ana"),
        relabel: ("relabelled", other(relabel), "ana"),
        discard: ("discarded", None, "unknown"),
        changed: ("relabelled", other(changed), "ben"),
    }
    assert "; 0 decisions are new" in lossrank("pull", run.path).stdout


def test_more_than_a_page_of_decisions_is_read(
    argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.review.rubrix_api._PAGE", 7)
    lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 30, "--chunk-size", 7)
    rows = [row.row for row in rank(run, 30)]
    argilla1.answer(name, run, {row: given(row) for row in rows[:21]})
    assert lossrank("pull", run.path).stdout.startswith("21 answers: 21 rows kept")


def test_a_log_that_is_killed_goes_on_where_it_was(
    argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    with logging(run, "argilla", name, "--chunk-size", "20") as process:
        while argilla1.count(name) < 60:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    time.sleep(1)  # a chunk may be on its way
    there = argilla1.count(name)
    assert 60 <= there < 600
    result = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 600)
    assert result.stdout.startswith(f"600 rows: {600 - there} logged, {there} there already, 0 refused")
    assert argilla1.count(name) == 600


def test_what_the_user_got_wrong(argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank) -> None:
    def said(*arguments: str) -> str:
        result = lossrank(*arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        return result.stderr

    log = ("log", str(run.path), "--to", "argilla", "--name", name)
    pull = ("pull", str(run.path), "--from", "argilla", "--name", name)
    for command in (log, pull):
        wrong = said(*command, "--api-key", "not-the-key")
        assert f"Argilla at {argilla1.url}: it refuses the API key (401); set --api-key or ARGILLA_API_KEY" in wrong
        assert "not-the-key" not in wrong
        assert "has no workspace 'nowhere' for this key, only argilla; set" in said(*command, "--workspace", "nowhere")
    assert f"has no data set '{name}' in the workspace 'argilla'; see --name" in said(*pull)
    assert "Rubrix takes no data set name 'AG News'" in said(
        "log", str(run.path), "--to", "argilla", "--name", "AG News"
    )
    argilla1.post("/api/datasets", {"name": name, "task": "TokenClassification"}).raise_for_status()
    assert f"{name!r} on the server is for TokenClassification, not TextClassification" in said(*log)


def test_a_data_set_that_is_closed_is_one_line(
    argilla1: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 1)
    argilla1.request("PUT", f"/api/datasets/{name}:close").raise_for_status()
    for result in (lossrank("log", run.path, "--to", "argilla", "--name", name), lossrank("pull", run.path)):
        assert result.exit_code == 1
        assert f"the data set {name!r} is closed; open it on the server" in result.stderr
    argilla1.request("PUT", f"/api/datasets/{name}:open").raise_for_status()
