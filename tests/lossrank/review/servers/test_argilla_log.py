"""Logging to Argilla 2.x, against a server in memory that fails on demand; tests/servers has the real one."""

import httpx
import pytest

from lossrank.review.decision import ServerDataset
from lossrank.review.servers.argilla.record import accept, agent_name
from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.server import ReviewError
from tests.support.facts import facts
from tests.support.fake_argilla import ANA, FORM, URL, FakeArgilla, client, opened, talk_to
from tests.support.fake_rubrix import make_record


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeArgilla:
    server = FakeArgilla()
    talk_to(server, monkeypatch)
    return server


def log_all(count: int, chunk_size: int = 500) -> ChunkedLog:
    sending = opened().sending(ServerDataset("argilla", URL, "team", "d"), chunk_size, [])
    assert sum(sending.log([make_record(row) for row in range(count)])) == count
    return sending


def ids(*rows: int) -> list[str]:
    return [f"abc-{row:09d}" for row in rows]


def test_a_record_has_a_suggestion_and_no_response(server: FakeArgilla) -> None:
    log_all(1)
    (record,) = server.records
    assert record["external_id"] == "abc-000000000"
    assert record["fields"] == {"text": "Oil prices rose, says source number 0"}
    assert record["metadata"] == {"rank": 1, "row": 0, "loss": 2.5}
    (suggestion,) = record["suggestions"]
    said = {key: suggestion[key] for key in ("value", "score", "agent", "type")}
    assert said == {"value": "Business", "score": 0.75, "agent": "some/model", "type": "model"}
    assert record["responses"] == []


@pytest.mark.parametrize(("count", "chunk_size", "most"), [(1201, 1000, 500), (7, 1, 1), (10, 10, 10)])
def test_all_records_are_logged_once_in_chunks_that_the_server_takes(
    server: FakeArgilla, count: int, chunk_size: int, most: int
) -> None:
    sending = log_all(count, chunk_size)
    assert (sending.logged, sending.already_there, sending.refused) == (count, 0, [])
    assert [record["external_id"] for record in server.records] == ids(*range(count))
    assert max(map(len, server.bulks)) == most
    server.respond(ids(3)[0], ANA, "World")
    again = log_all(count + 5, chunk_size)
    assert (again.logged, again.already_there) == (5, count)
    assert server.records[3]["responses"][0]["values"] == {"label": {"value": "World"}}
    assert len(server.records) == count + 5


@pytest.mark.parametrize("refusal", ["words", "places", "crash"])
def test_refused_records_cost_only_themselves(server: FakeArgilla, refusal: str) -> None:
    server.bad = set(ids(4, 33))
    server.refusal = refusal
    sending = log_all(40, 25)
    assert {one.row for one in sending.refused} == {4, 33}
    assert (sending.logged, len(server.records)) == (38, 38)
    reasons = {one.reason for one in sending.refused}
    assert (
        reasons
        == {
            "words": {"metadata is not valid: 'loss' metadata property validation failed because 'x' is not a float."},
            "places": {"suggestions.score: score must be in 0 to 1"},
            "crash": {"something broke"},
        }[refusal]
    )


def test_a_refusal_that_names_its_record_takes_few_requests(server: FakeArgilla) -> None:
    server.bad = set(ids(123))
    log_all(500)
    assert [len(bulk) for bulk in server.bulks] == [500, 499, 1]


def test_a_bulk_whose_answer_is_lost_is_not_sent_again(server: FakeArgilla) -> None:
    server.bad = set(ids(2))
    server.refusal = "half"
    sending = log_all(10)
    assert (sending.logged, sending.refused, len(server.records)) == (10, [], 10)


def test_records_that_another_logs_meanwhile_are_left_as_they_are(server: FakeArgilla) -> None:
    sending = opened().sending(ServerDataset("argilla", URL, "team", "d"), 5, [])
    done = sending.log([make_record(row) for row in range(10)])
    next(done)
    mine, server.records = server.records, []
    server.store([{"external_id": id, "fields": {}, "metadata": {"by": "another"}} for id in ids(5, 6)])
    server.records += mine  # listed before what was there, so that only a listing anew finds them
    assert list(done) == [5]
    assert (sending.logged, sending.refused) == (8, [])
    assert [record["metadata"] for record in server.records[:2]] == [{"by": "another"}] * 2


def test_a_bulk_refused_for_what_another_logged_meanwhile_counts_that_as_there(server: FakeArgilla) -> None:
    def before(request: httpx.Request) -> None:
        if request.url.path.endswith("/records/bulk") and not server.records:
            server.store([{"external_id": id, "fields": {}, "metadata": {}} for id in ids(1, 2)])

    server.before = before
    sending = log_all(5)
    assert (sending.logged, sending.already_there, sending.refused) == (3, 2, [])


def test_a_short_failure_costs_nothing_and_a_long_one_ends_it_with_one_line(server: FakeArgilla) -> None:
    left = [3]

    def before(request: httpx.Request) -> httpx.Response | None:
        if "/records" in request.url.path and left[0]:
            left[0] -= 1
            if left[0] == 2:
                return httpx.Response(503)
            raise httpx.ConnectError("[Errno 111] Connection refused", request=request)
        return None

    server.before = before
    assert log_all(20, 10).logged == 20
    left[0] = 10**9
    made = client()
    made.open("d", FORM)
    made._api._max_wait = 0.05
    with pytest.raises(ReviewError, match=facts("Argilla", URL, "[Errno 111] Connection refused")):
        list(made.sending(ServerDataset("argilla", URL, "team", "d"), 10, []).log([make_record(90)]))


def test_what_argilla_would_refuse_is_named_before() -> None:
    good = make_record(1)
    bad = [
        make_record(2, predicted=("x" * 201, 0.5)),
        make_record(3, predicted=("World", float("nan"))),
        make_record(4, inputs={"text": "\ud800"}),
        make_record(5, metadata={"loss": float("inf")}),
    ]
    taken, refused = accept([good, *bad])
    assert taken == [good]
    assert [one.row for one in refused] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("org/model-1.5", "org/model-1.5"),
        ("/home/somebody/models/mine", "mine"),
        ("mé (v2)", "m_ _v2_"),
        ("---", "unknown"),
        ("", "unknown"),
        ("x" * 300, "x" * 200),
    ],
)
def test_agents_names(name: str, agent: str) -> None:
    assert agent_name(name) == agent
