"""`lossrank log` and `pull` of Label Studio, and its tokens, against a server in memory."""

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.servers.label_studio.api import LabelStudioApi
from lossrank.review.servers.server import Form, ReviewError
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.support.commands import Lossrank
from tests.support.facts import counts, facts, tells
from tests.support.fake_label_studio import KEY, PERSONAL, URL, FakeLabelStudio, connect, error
from tests.support.tiny import CLASSES, make_texts

FORM = Form(("World", "Sports", "Business"), ("text",))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)


@pytest.fixture
def run(tiny_bundle: ModelBundle, tmp_path: Path) -> RunDirectory:
    """100 scored rows, one of them without a label."""
    labels: list[str | None] = [CLASSES[i % 4] for i in range(100)]
    labels[30] = None
    texts = [f"secret-text-{i} {text}" for i, text in enumerate(make_texts(100))]
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    return RunDirectory.open(tmp_path / "run")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeLabelStudio:
    """A server in memory that the commands talk to."""
    server = FakeLabelStudio()
    patched = functools.partial(LabelStudioApi, transport=server)
    monkeypatch.setattr("lossrank.review.servers.label_studio.server.LabelStudioApi", patched)
    monkeypatch.delenv("LABEL_STUDIO_API_URL", raising=False)
    monkeypatch.setenv("LABEL_STUDIO_WORKSPACE", "is not asked for")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)
    return server


def test_a_personal_access_token_buys_access_and_buys_it_again_when_it_is_over() -> None:
    server = FakeLabelStudio()
    with connect(server, key=PERSONAL) as api:
        api.open_project("News", FORM)
        assert server.refreshed == 1
        server.access = None
        assert api.users() == {1: "ana@example.com", 2: "ben@example.com"}
        assert server.refreshed == 2
    assert {request.headers.get("Authorization") for request in server.requests if "token" not in request.url.path} == {
        "Bearer access-1",
        "Bearer access-2",
    }


def test_access_that_is_refused_at_once_is_not_asked_for_forever() -> None:
    server = FakeLabelStudio()
    server.before = lambda request: None if "token" in request.url.path else error(401, "switched off")
    with pytest.raises(ReviewError, match=facts("token", "401: switched off")):
        connect(server, key=PERSONAL).users()
    assert len(server.requests) == 2


def test_a_server_that_can_not_say_now_what_a_token_is_worth_is_waited_for() -> None:
    server = FakeLabelStudio()
    answered = iter([error(502, "later"), error(503, "later")])
    server.before = lambda request: next(answered, None)
    assert len(connect(server, key=PERSONAL).users()) == 2


@pytest.mark.parametrize("key", ["wrong-token", "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ.d3Jvbmc"])
def test_a_wrong_token_is_one_line_that_does_not_show_it(
    run: RunDirectory, server: FakeLabelStudio, lossrank: Lossrank, key: str
) -> None:
    result = lossrank("log", run.path, "--to", "label-studio", "--name", "News", "--api-key", key)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert tells(result.stderr, "Error", "http://localhost:8080", "personal access token" if "." in key else "token")
    assert key not in result.stderr


def test_no_token_no_workspace_and_no_password_in_the_address(
    run: RunDirectory, server: FakeLabelStudio, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = ("log", run.path, "--to", "label-studio", "--name", "News")
    assert tells(lossrank(*to, "--workspace", "w").stderr, "Error", "Label Studio", "--workspace")
    secret = lossrank(*to, "--url", "http://ana:pass-word@label.test").stderr
    assert tells(secret, "Error", "token", "password")
    assert "pass-word" not in secret
    assert tells(lossrank(*to[:-1], "ab").stderr, "Error", "'ab'", 3, 50)
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    assert tells(lossrank(*to).stderr, "Error", "LABEL_STUDIO_API_KEY")
    assert server.requests == []


def test_the_worst_rows_go_out_once_and_the_answers_come_back(
    run: RunDirectory, server: FakeLabelStudio, lossrank: Lossrank
) -> None:
    to = ("log", run.path, "--to", "label-studio", "--name", "AG News", "--url", URL)
    result = lossrank(*to, "--top", 40, "--chunk-size", 15)
    done, where, order, following = result.stdout.splitlines()
    assert counts(done) == [40, 40, 0, 0]  # rows, logged, there already, refused
    assert tells(where, f"{URL}/projects/1/data")
    assert tells(order, "loss", "descending", "Label Tasks As Displayed")
    assert tells(following, f"lossrank pull {run.path}")
    rows = [row.row for row in rank(run, 40)]
    assert server.rows() == rows
    assert counts(lossrank(*to, "--top", 50).stdout.splitlines()[0]) == [50, 10, 40, 0]
    server.store([{"data": {"text": "of other data", "record_id": "0123456789ab-000000001", "row": 1000}}])

    server.annotate(rows[0], None)
    server.annotate(rows[1], CLASSES[rows[1] % 4])
    server.annotate(rows[2], CLASSES[rows[2] % 4], at="2026-01-01T09:00:00Z")
    server.annotate(rows[2], CLASSES[(rows[2] + 1) % 4], at="2026-01-01T10:00:00Z")
    server.annotate(rows[3], CLASSES[0], user=1)
    server.annotate(rows[3], CLASSES[1], user=2)
    server.annotate(rows[4], "Sprots", user=3)
    server.annotate(1000, "World")
    pulled = lossrank("pull", run.path)
    assert counts(pulled.stdout) == [7, 1, 1, 1, 3]  # answers, kept, relabelled, discarded, new
    pulling, undecided, unknown = pulled.stderr.splitlines()
    assert tells(pulling, "'AG News'", "Label Studio", URL)
    assert counts(undecided) == [2, *sorted(rows[3:5])]
    assert (counts(unknown), tells(unknown, "'Sprots'")) == ([1], True)
    assert pulled.exit_code == 3
    with DecisionStore(run) as store:
        held = store.current()
    assert {row: (one.verdict, one.label) for row, one in held.items()} == {
        rows[0]: ("discarded", None),
        rows[1]: ("kept", None),
        rows[2]: ("relabelled", CLASSES[(rows[2] + 1) % 4]),
    }
    assert (held[rows[0]].annotator, held[rows[0]].source) == ("ana@example.com", "label-studio")
    assert held[rows[0]].decided_at == "2026-01-01T10:00:00.500000+00:00"
    server.tasks[1]["annotations"].clear()
    *_, withdrawn = (line for line in lossrank("pull", run.path).stderr.splitlines() if tells(line, "label-studio"))
    assert counts(withdrawn) == [1]


def test_a_row_without_a_label_has_an_empty_given_label_to_show(
    run: RunDirectory, server: FakeLabelStudio, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--to", "label-studio", "--name", "News", "--by", "entropy", "--top", 100)
    (data,) = (task["data"] for task in server.tasks if task["data"]["row"] == 30)
    assert data["given"] == ""
    assert "loss" not in data


def test_no_text_is_printed(run: RunDirectory, server: FakeLabelStudio, lossrank: Lossrank, tmp_path: Path) -> None:
    for refusal in ("positions", "crash"):
        server.bad, server.refusal = {rank(run, 1)[0].row}, refusal
        log_file = tmp_path / f"{refusal}.jsonl"
        result = lossrank("log", run.path, "--to", "label-studio", "--name", "News", "--log-file", log_file)
        assert result.exit_code == 3
        assert "secret-text" not in result.output + log_file.read_text()
