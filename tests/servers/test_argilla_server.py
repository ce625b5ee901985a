"""`lossrank log` and `pull` against a real Argilla 2.8 server, answered by its own API and read by its real client."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from lossrank.review.decision import TOGETHER, ServerDataset
from lossrank.review.servers.argilla.server import Argilla2Server, connect
from lossrank.review.servers.server import Account, Form
from scorer import ModelBundle, RunDirectory, ScoreOptions, join_source, rank, score_dataset
from tests.servers.argilla_people import KEY, OWNER, Argilla
from tests.servers.news import decisions, given, id_of, other, refusal
from tests.servers.process import on
from tests.support.facts import counts, tells
from tests.support.fake_rubrix import make_record
from tests.support.tiny import CLASSES

pytestmark = [pytest.mark.servers, on("argilla")]
Lossrank = Callable[..., Result]


def connected(argilla: Argilla, name: str, form: Form) -> tuple[Argilla2Server, ServerDataset]:
    server = connect(Account(argilla.url, KEY), lambda reason, seconds: None)
    assert isinstance(server, Argilla2Server)
    return server, server.open(name, form)


def test_the_worst_500_arrive_whole_and_are_there_once(
    argilla: Argilla, name: str, run: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.progress._EVERY", 1e9)  # no line now and then
    started = time.perf_counter()
    result = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 500)
    print(f"{500 / (time.perf_counter() - started):.0f} records/s")
    assert (result.exit_code, result.stderr) == (0, "")
    done, where, order, following = result.stdout.splitlines()
    assert counts(done) == [500, 500, 0, 0]  # rows, logged, there already, refused
    assert tells(where, f"{argilla.url}/dataset/{argilla.dataset(name)}/annotation-mode")
    assert tells(order, "loss", "descending")
    assert tells(following, f"lossrank pull {run.path}")
    ranked = rank(run, 500)
    texts = join_source(run, ranked)["text"].to_pylist()
    records = {record["id"]: record for record in argilla.read_back(name)}
    assert len(records) == 500
    for row, text in zip(ranked, texts, strict=True):
        predicted = run.class_names[row.predicted]
        assert records[id_of(run, row.row)] == {
            "id": id_of(run, row.row),
            "fields": {"text": text},
            "metadata": {
                "rank": row.rank,
                "row": row.row,
                "given": given(row.row),
                "predicted": predicted,
                "loss": row.loss,
                "margin": row.margin,
                "entropy": row.entropy,
            },
            "suggestions": [{"question": "label", "value": predicted, "score": row.top_prob, "agent": "tiny"}],
            "responses": [],
        }
    again = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 510)
    assert counts(again.stdout.splitlines()[0]) == [510, 10, 500, 0]
    assert len(argilla.records(name)) == 510


def test_the_page_sorts_by_loss(argilla: Argilla, name: str, run: RunDirectory, lossrank: Lossrank) -> None:
    lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 50)
    by_loss = {"scope": {"entity": "metadata", "metadata_property": "loss"}, "order": "desc"}
    path = f"/me/datasets/{argilla.dataset(name)}/records/search"
    found = argilla.request("POST", path, params={"limit": 50}, json={"sort": [by_loss]})["items"]
    assert [one["record"]["metadata"]["row"] for one in found] == [row.row for row in rank(run, 50)]


def test_what_people_answered_comes_back_and_a_second_log_leaves_it(
    argilla: Argilla, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 30)
    rows = [row.row for row in rank(run, 30)]
    ana = argilla.sign_up()
    argilla.answer(name, run, {rows[0]: given(rows[0]), rows[1]: other(rows[1]), rows[2]: None})
    argilla.answer(name, run, {rows[3]: other(rows[3]), rows[4]: given(rows[4])})
    argilla.answer(name, run, {rows[3]: other(rows[3]), rows[4]: None}, ana.key)
    argilla.answer(name, run, {rows[5]: other(rows[5])}, ana.key, status="draft")
    argilla.change_mind(name, run, rows[1], given(rows[1]))
    before = argilla.read_back(name, "submitted")
    assert [record["id"] for record in before] == sorted(id_of(run, row) for row in (*rows[:2], *rows[3:5]))

    again = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 40)
    assert counts(again.stdout.splitlines()[0]) == [40, 10, 30, 0]
    assert argilla.read_back(name, "submitted") == before

    result = lossrank("pull", run.path)
    assert result.exit_code == 0, result.output
    assert counts(result.stdout) == [7, 2, 1, 1, 4]  # answers, kept, relabelled, discarded, new
    assert counts(result.stderr.splitlines()[1]) == [1, rows[4]]
    assert decisions(run) == {
        rows[0]: ("kept", None, OWNER),
        rows[1]: ("kept", None, OWNER),
        rows[2]: ("discarded", None, OWNER),
        rows[3]: ("relabelled", other(rows[3]), TOGETHER.join(sorted([OWNER, ana.name]))),
    }
    assert counts(lossrank("pull", run.path).stdout)[-1] == 0
    lossrank("pull", run.path, "--policy", f"user={ana.name}", "--from", "argilla", "--name", name)
    assert decisions(run)[rows[4]] == ("discarded", None, ana.name)


def test_an_admin_pulls_with_everybodys_names_and_an_annotator_is_told(
    argilla: Argilla, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 5)
    row = rank(run, 1)[0].row
    ana, boss = argilla.sign_up(), argilla.sign_up("admin")
    argilla.answer(name, run, {row: None}, ana.key)
    refused = refusal(lossrank("pull", run.path, "--api-key", ana.key))
    assert all(fact in refused for fact in (f"Argilla at {argilla.url}", "403: Operation not allowed"))
    assert counts(lossrank("pull", run.path, "--api-key", boss.key).stdout)[-2:] == [1, 1]  # discarded, new
    assert decisions(run) == {row: ("discarded", None, ana.name)}


def test_what_screening_lets_slip_is_refused_by_the_server_alone(argilla: Argilla, name: str) -> None:
    server, place = connected(argilla, name, Form(("World", "Business"), ("text",)))
    bad = {
        3: make_record(3, predicted=("Odd", 0.5)),
        70: make_record(70, metadata={"loss": "none"}),
        71: make_record(71, predicted=("Business", 0.5), predicted_by="a" * 500),
        99: make_record(99, inputs={}),
    }
    with server:
        sending = server.sending(place, 500, [])
        assert list(sending.log([bad.get(row) or make_record(row) for row in range(100)])) == [100]
    assert {refusal.row for refusal in sending.refused} == {3, 70, 99}
    assert all(refusal.reason and "Oil prices" not in refusal.reason for refusal in sending.refused)
    assert sending.logged == len(argilla.records(name)) == 97


def test_texts_and_names_of_every_kind_arrive_unchanged(
    argilla: Argilla, name: str, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    texts = [
        "x" * 200_000,
        "😀 👩‍👩‍👧 Zażółć 世界 مرحبا",
        "zero \x00 byte",
        "two\nlines\r\nthree\u2028four\x85five\x0bsix",
        'quotes " and \\ and {"id": 1}',
        "<script>alert(1)</script> <b>x</b>",
        "\ufeffbom \ufffd \U0010ffff",
    ]
    table = pa.table({"text": texts, "label": [CLASSES[i % 4] for i in range(len(texts))]})
    pq.write_table(table, tmp_path / "odd.parquet")
    score_dataset(tiny_bundle, tmp_path / "odd.parquet", tmp_path / "run", ScoreOptions(threads=1))
    run = RunDirectory.open(tmp_path / "run")
    result = lossrank("log", run.path, "--to", "argilla", "--name", name)
    assert counts(result.stdout.splitlines()[0])[:2] == [len(texts), len(texts)], result.output
    arrived = {record["id"]: record["fields"]["text"] for record in argilla.read_back(name)}
    assert arrived == {id_of(run, row): text for row, text in enumerate(texts)}

    classes = ('A & B <"x"\'>', "Sci/Tech", " padded ", "Ünïcode 😀", "x" * 200)
    server, place = connected(argilla, f"{name} names", Form(classes, ("text", "the_Question?")))
    try:
        records = [
            make_record(i, inputs={"text": "a", "the_Question?": "b"}, predicted=(label, 0.5), predicted_by="/a b/m(é)")
            for i, label in enumerate(classes)
        ]
        with server:
            sending = server.sending(place, 500, [])
            assert list(sending.log(records)) == [5]
        assert (sending.logged, sending.refused) == (5, [])
        back = argilla.read_back(place.name)
        assert [record["suggestions"][0]["value"] for record in back] == list(classes)
    finally:
        argilla.request("DELETE", f"/datasets/{argilla.dataset(place.name)}")


def add(argilla: Argilla, dataset: str, kind: str, name: str, settings: dict[str, Any]) -> None:
    """Give a draft a field or a question, as whoever makes it does."""
    body = {"name": name, "title": name, "required": True, "settings": settings}
    argilla.request("POST", f"/datasets/{dataset}/{kind}", json=body)


def draft(argilla: Argilla, name: str) -> str:
    (workspace,) = argilla.request("GET", "/me/workspaces")["items"]
    return str(argilla.request("POST", "/datasets", json={"name": name, "workspace_id": workspace["id"]})["id"])


def choice(*classes: str) -> dict[str, Any]:
    return {"type": "label_selection", "options": [{"value": one, "text": one} for one in classes]}


@pytest.mark.parametrize("asks", [False, True])
def test_a_draft_that_a_killed_log_left_is_finished(
    argilla: Argilla, name: str, run: RunDirectory, lossrank: Lossrank, asks: bool
) -> None:
    dataset = draft(argilla, name)
    add(argilla, dataset, "fields", "text", {"type": "text", "use_markdown": False})
    if asks:
        add(argilla, dataset, "questions", "label", choice(*CLASSES))
    result = lossrank("log", run.path, "--to", "argilla", "--name", name, "--top", 5)
    assert counts(result.stdout.splitlines()[0]) == [5, 5, 0, 0], result.output
    assert argilla.dataset(name) == dataset
    assert len(argilla.records(name)) == 5
    made = argilla.request("GET", f"/me/datasets/{dataset}/metadata-properties")["items"]
    assert {"given", "loss", "rank"} < {one["name"] for one in made}
    assert argilla.request("GET", f"/datasets/{dataset}")["guidelines"]
    row = rank(run, 1)[0].row
    argilla.answer(name, run, {row: other(row)})
    assert counts(lossrank("pull", run.path).stdout)[-3:] == [1, 0, 1]  # relabelled, discarded, new


def test_a_data_set_that_asks_something_else_is_not_used(
    argilla: Argilla, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    dataset = draft(argilla, name)
    add(argilla, dataset, "fields", "text", {"type": "text"})
    add(argilla, dataset, "questions", "label", choice("World", "Weather"))
    refused = lossrank("log", run.path, "--to", "argilla", "--name", name)
    assert tells(refused.stderr, "Error", f"'{name}'", "draft", "--name")
    argilla.request("PUT", f"/datasets/{dataset}/publish")
    lacking = lossrank("log", run.path, "--to", "argilla", "--name", name)
    assert tells(lacking.stderr, "Error", f"'{name}'", "'Sports'", "--name")
    assert argilla.records(name) == []


def test_an_id_that_is_there_is_refused_by_the_server_itself(argilla: Argilla, name: str) -> None:
    server, place = connected(argilla, name, Form(("World", "Business"), ("text",)))
    with server:
        list(server.sending(place, 500, []).log([make_record(1)]))
        body = {"items": [{"fields": {"text": "other"}, "external_id": "abc-000000001"}]}
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            argilla.request("POST", f"/datasets/{argilla.dataset(name)}/records/bulk", json=body)
    (record,) = argilla.records(name)
    assert record["fields"] == {"text": "Oil prices rose, says source number 1"}
