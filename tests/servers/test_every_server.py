"""What servers do alike: the same decisions come back, a crash or a kill costs nothing, a mistake is one line."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from lossrank.review.store import DecisionStore
from scorer import RunDirectory, rank
from tests.servers.news import crash_in_mid_log, decisions, given, kill_in_mid_log, other, refusal
from tests.servers.process import RealServer, on
from tests.servers.rubrix_people import Rubrix
from tests.support.facts import counts, tells

pytestmark = pytest.mark.servers
Lossrank = Callable[..., Result]
Labels = dict[int, str | None]


def ten_decisions(run: RunDirectory) -> Labels:
    """Keep the three worst rows, give the next four another class, discard the last three."""
    rows = [row.row for row in rank(run, 10)]
    return {
        **{row: given(row) for row in rows[:3]},
        **{row: other(row) for row in rows[3:7]},
        **dict.fromkeys(rows[7:]),
    }


def corrected(run: RunDirectory, lossrank: Lossrank, out: Path) -> str:
    """Return the hash of the data set that `apply` writes."""
    result = lossrank("apply", run.path, "-o", out)
    assert result.exit_code == 0, result.output
    return hashlib.sha256(out.read_bytes()).hexdigest()


@on("rubrix", "argilla1", "argilla", "label_studio")
def test_ten_decisions_are_the_same_wherever_they_were_made(
    server: RealServer, name: str, run: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    labels = ten_decisions(run)
    assert lossrank("log", run.path, "--to", server.tool, "--name", name, "--top", 20).exit_code == 0
    server.answer(name, run, labels)
    result = lossrank("pull", run.path)
    assert counts(result.stdout) == [10, 3, 4, 3, 10]  # answers, kept, relabelled, discarded, new
    pulled = {row: (verdict, label) for row, (verdict, label, _) in decisions(run).items()}
    output = corrected(run, lossrank, tmp_path / "pulled.parquet")

    for file in run.path.glob("review.sqlite*"):
        file.unlink()
    with DecisionStore(run) as store:  # the same ten, as the page of `review` makes them
        for row, label in labels.items():
            verdict = "discarded" if label is None else "kept" if label == given(row) else "relabelled"
            store.decide(row, verdict, label if verdict == "relabelled" else None, annotator="me")
    assert pulled == {row: (verdict, label) for row, (verdict, label, _) in decisions(run).items()}
    assert output == corrected(run, lossrank, tmp_path / "here.parquet")


@on("argilla", "label_studio")  # test_rubrix_server.py has Rubrix's, whose client is Argilla 1's too
def test_a_server_that_crashes_in_mid_run_and_comes_back(server: RealServer, name: str, run: RunDirectory) -> None:
    crash_in_mid_log(server, run, name, chunk=20)


@on("argilla1", "argilla", "label_studio")
def test_a_log_that_is_killed_goes_on_where_it_was(
    server: RealServer, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    there = kill_in_mid_log(server, run, name, chunk=10)
    result = lossrank("log", run.path, "--to", server.tool, "--name", name, "--top", 600)
    assert counts(result.stdout.splitlines()[0]) == [600, 600 - there, there, 0]
    assert sorted(server.rows(name)) == list(range(600))


@on("rubrix", "argilla1", "argilla")
def test_a_wrong_key_workspace_or_name_is_one_line(
    server: RealServer, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    tool, at = server.tool, f"{server.tool.capitalize()} at {server.url}"
    log = ("log", run.path, "--to", tool, "--name", name)
    pull = ("pull", run.path, "--from", tool, "--name", name)
    for command in (log, pull):
        wrong = refusal(lossrank(*command, "--api-key", "not-the-key"))
        assert tells(wrong, at, 401, "--api-key", f"{tool.upper()}_API_KEY")
        assert "not-the-key" not in wrong
        nowhere = refusal(lossrank(*command, "--workspace", "nowhere"))
        assert tells(nowhere, "'nowhere'", tool, "--workspace")
    assert tells(refusal(lossrank(*pull)), at, repr(name), repr(tool), "--name")
    assert not server.has(name)


@on("rubrix", "argilla")
def test_a_server_that_is_called_by_another_name_says_which_it_is(
    server: RealServer, run: RunDirectory, lossrank: Lossrank
) -> None:
    called, answers = {"rubrix": ("argilla", "Rubrix 0.18.0"), "argilla": ("rubrix", "Argilla 2.8.0")}[server.tool]
    wrong = refusal(lossrank("log", run.path, "--to", called, "--name", "d", "--url", server.url))
    assert tells(wrong, answers, server.url, f"--to {server.tool}")
    assert not server.has("d")


@on("rubrix", "argilla1")
def test_a_data_set_of_another_task_one_that_is_closed_and_a_bad_name_are_one_line_each(
    server: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    log = ("log", run.path, "--to", server.tool, "--name")
    assert tells(refusal(lossrank(*log, "AG News")), "Rubrix", "'AG News'", "ag_news")
    server.post("/api/datasets", {"name": name, "task": "TokenClassification"}).raise_for_status()
    other_task = refusal(lossrank(*log, name))
    assert tells(other_task, repr(name), "TokenClassification", "TextClassification")
    server.request("DELETE", f"/api/datasets/{name}")
    lossrank(*log, name, "--top", 1)
    server.request("PUT", f"/api/datasets/{name}:close").raise_for_status()
    for result in (lossrank(*log, name), lossrank("pull", run.path)):
        assert result.exit_code == 1
        assert len([line for line in result.stderr.splitlines() if tells(line, repr(name), "closed")]) == 1
    server.request("PUT", f"/api/datasets/{name}:open").raise_for_status()


@on("rubrix", "argilla1")
def test_more_than_a_page_of_decisions_is_read(
    server: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    lossrank("log", run.path, "--to", server.tool, "--name", name, "--top", 30)
    rows = [row.row for row in rank(run, 30)]
    server.answer(name, run, {row: given(row) for row in rows[:21]})
    monkeypatch.setattr("lossrank.review.servers.rubrix.api._PAGE", 7)
    assert counts(lossrank("pull", run.path).stdout)[:2] == [21, 21]
