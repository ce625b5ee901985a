"""Logging to Rubrix: nothing lost, nothing overwritten, whatever the server in memory does."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.http import Fault, Refused, Unavailable
from lossrank.review.servers.rubrix.record import encode
from lossrank.review.servers.server import ReviewError
from tests.support.facts import facts
from tests.support.fake_rubrix import FakeRubrix, connect, error, make_record


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
        yield


def log_all(server: FakeRubrix, count: int, chunk_size: int = 500, **options: Any) -> ChunkedLog:
    sending = ChunkedLog(connect(server, **options), "d", encode, chunk_size)
    assert sum(sending.log([make_record(row) for row in range(count)])) == count
    return sending


def failing(times: int, answer: Callable[[], httpx.Response | None], path: str = ":bulk") -> Any:
    """Make a ``before`` that fails the first requests to a path."""
    left = [times]

    def before(request: httpx.Request) -> httpx.Response | None:
        if path in request.url.path and left[0]:
            left[0] -= 1
            return answer()
        return None

    return before


def drop() -> httpx.Response:
    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")


def refuse_connection() -> httpx.Response:
    raise httpx.ConnectError("[Errno 111] Connection refused")


@pytest.mark.parametrize(("count", "chunk_size"), [(1, 500), (1201, 500), (7, 1), (10, 10)])
def test_all_records_are_logged_in_chunks_and_in_order(count: int, chunk_size: int) -> None:
    server = FakeRubrix("d")
    sending = log_all(server, count, chunk_size)
    assert (sending.logged, sending.already_there, sending.refused) == (count, 0, [])
    assert list(server.records) == [f"abc-{row:09d}" for row in range(count)]
    assert {len(bulk) for bulk in server.bulks[:-1]} <= {chunk_size}


def test_long_texts_make_smaller_chunks() -> None:
    server = FakeRubrix("d")
    records = [make_record(row, inputs={"text": "x" * 3_000_000}) for row in range(5)]
    assert list(ChunkedLog(connect(server), "d", encode).log(records)) == [2, 2, 1]
    huge = [make_record(row, inputs={"text": "x" * 9_000_000}) for row in (8, 9)]
    assert list(ChunkedLog(connect(server), "d", encode).log(huge)) == [1, 1]


def test_what_is_there_is_left_alone_and_what_is_missing_comes() -> None:
    server = FakeRubrix("d")
    log_all(server, 10)
    server.records["abc-000000003"]["status"] = "Validated"
    again = log_all(server, 25, 10)
    assert (again.logged, again.already_there) == (15, 10)
    assert server.overwritten == []
    assert server.records["abc-000000003"]["status"] == "Validated"


def test_ids_are_read_whatever_the_pieces_and_the_line_ends_in_texts() -> None:
    lines = "".join(json.dumps({"id": f"é{i}", "t": "a\u2028b\x85c"}, ensure_ascii=False) + "\n" for i in range(50))
    pieces = [lines.encode()[i : i + 7] for i in range(0, len(lines.encode()), 7)]
    server = httpx.MockTransport(lambda request: httpx.Response(200, content=iter(pieces)))
    assert connect(server).existing_ids("d", []) == {f"é{i}" for i in range(50)}


# A server that fails


@pytest.mark.parametrize(
    "answer",
    [
        drop,
        refuse_connection,
        lambda: httpx.Response(429, headers={"Retry-After": "0"}),
        lambda: httpx.Response(503),
        lambda: httpx.Response(502, text="<html>bad gateway</html>"),
    ],
)
@pytest.mark.parametrize("path", [":bulk", "/data"])
def test_a_short_failure_costs_nothing(answer: Callable[[], httpx.Response], path: str) -> None:
    server = FakeRubrix("d")
    server.before = failing(3, answer, path)
    waits: list[tuple[str, float]] = []
    sending = log_all(server, 20, 10, on_wait=lambda *wait: waits.append(wait))
    assert (sending.logged, sending.already_there, sending.refused) == (20, 0, [])
    assert server.overwritten == []
    assert path == ":bulk" or [seconds for _, seconds in waits] == sorted(seconds for _, seconds in waits)


def test_the_server_says_how_long_to_wait() -> None:
    server = FakeRubrix("d")
    server.before = failing(1, lambda: httpx.Response(503, headers={"Retry-After": "17"}))
    waits: list[float] = []
    log_all(server, 1, on_wait=lambda reason, seconds: waits.append(seconds))
    assert waits == [17.0]


@pytest.mark.parametrize("stored", [0, 4, 10])
def test_after_a_lost_answer_only_the_missing_is_sent_again(stored: int) -> None:
    server = FakeRubrix("d")

    def before(request: httpx.Request) -> None:
        if ":bulk" in request.url.path and not server.records:
            server.store(json.loads(request.content)["records"][:stored])
            server.before = lambda request: None
            raise httpx.ReadError("connection reset")

    server.before = before
    sending = log_all(server, 10)
    assert (sending.logged, sending.already_there) == (10, 0)
    assert server.overwritten == []
    assert server.bulks == ([[f"abc-{row:09d}" for row in range(stored, 10)]] if stored < 10 else [])


def test_a_person_who_was_quick_is_not_overwritten_by_the_second_send() -> None:
    server = FakeRubrix("d")

    def before(request: httpx.Request) -> None:
        if ":bulk" in request.url.path:
            server.store(json.loads(request.content)["records"])
            for record in server.records.values():
                record["status"] = "Validated"
            server.before = lambda request: None
            raise httpx.ReadTimeout("timed out")

    server.before = before
    log_all(server, 10)
    assert {record["status"] for record in server.records.values()} == {"Validated"}
    assert server.overwritten == []


def test_a_record_stored_by_a_send_that_seemed_to_fail_to_the_last_is_logged() -> None:
    server = FakeRubrix("d")
    sends = []

    def before(request: httpx.Request) -> None:
        if ":bulk" in request.url.path:
            sends.append(1)
            if len(sends) == 5:
                server.store(json.loads(request.content)["records"])
            drop()

    server.before = before
    sending = log_all(server, 1)
    assert (len(sends), sending.logged, sending.refused) == (5, 1, [])


def test_a_server_that_takes_long_to_start_is_no_fault_of_the_record() -> None:
    server = FakeRubrix("d")
    server.before = failing(30, refuse_connection)
    assert log_all(server, 1).logged == 1


def test_a_server_that_stays_away_ends_it_with_one_line_and_the_next_run_goes_on() -> None:
    server = FakeRubrix("d")
    sending = ChunkedLog(connect(server, max_wait=0.05), "d", encode, 10)
    done = sending.log([make_record(row) for row in range(30)])
    next(done)
    server.before = failing(10**9, refuse_connection, "")
    with pytest.raises(ReviewError, match=facts("[Errno 111] Connection refused")):
        next(done)
    assert sending.logged == 10
    server.before = lambda request: None
    again = log_all(server, 30, 10)
    assert (again.logged, again.already_there) == (20, 10)


def test_a_server_that_reads_but_stores_nothing_is_not_taken_for_bad_records() -> None:
    server = FakeRubrix("d")
    server.before = failing(10**9, lambda: error(500, "G", message="cluster_block_exception, index read-only"))
    sending = ChunkedLog(connect(server), "d", encode)
    with pytest.raises(ReviewError, match=facts("cluster_block_exception, index read-only")):
        list(sending.log([make_record(row) for row in range(40)]))
    assert sending.refused == []


@pytest.mark.parametrize("answer", [{"processed": 9, "failed": 0}, {"processed": 10, "failed": 1}, {}])
def test_an_answer_that_owns_up_to_failures_is_not_taken_for_success(answer: dict[str, int]) -> None:
    server = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    with pytest.raises(Fault, match=facts(10, "records")):
        connect(server).bulk("d", [b"{}"] * 10)


def test_an_error_in_the_middle_of_a_good_answer() -> None:
    server = FakeRubrix("d")
    lost = error(500, "GenericRubrixServerError", type="x.GenericSearchError", message="no shard").content
    server.before = failing(2, lambda: httpx.Response(200, content=b'{"id": "a"}\n' + lost), "/data")
    assert log_all(server, 3).logged == 3
    closed = error(500, "GenericRubrixServerError", type="x.ClosedIndexError", message="d").content
    server.before = failing(1, lambda: httpx.Response(200, content=closed), "/data")
    with pytest.raises(ReviewError, match=facts("'d'", "closed")):
        log_all(server, 3)


# Records that the server refuses


@given(
    count=st.integers(1, 60),
    chunk_size=st.integers(1, 30),
    bad=st.sets(st.integers(0, 59), max_size=4),
    there=st.sets(st.integers(0, 59), max_size=20),
    refusal=st.sampled_from(["positions", "plain", "schema", "index", "crash"]),
)
def test_refused_records_cost_only_themselves(
    count: int, chunk_size: int, bad: set[int], there: set[int], refusal: str
) -> None:
    server = FakeRubrix("d")
    server.store({"id": f"abc-{row:09d}", "mine": True} for row in there)
    server.bad = {f"abc-{row:09d}" for row in bad}
    server.refusal = refusal
    sending = log_all(server, count, chunk_size)
    rows = set(range(count))
    assert {refusal.row for refusal in sending.refused} == (bad & rows) - there
    assert len(sending.refused) == len((bad & rows) - there)
    assert sending.already_there == len(rows & there)
    assert sending.logged == len(rows - there - bad)
    assert set(server.records) == {f"abc-{row:09d}" for row in (rows - bad) | there}
    assert server.overwritten == []


@pytest.mark.parametrize(("refusal", "logged", "there"), [("plain", 2, 1), ("schema", 2, 1), ("index", 3, 0)])
def test_what_another_logs_after_a_refusal_that_stores_nothing_is_not_counted_as_logged(
    refusal: str, logged: int, there: int
) -> None:
    server = FakeRubrix("d")
    server.bad, server.refusal = {"abc-000000000"}, refusal

    def before(request: httpx.Request) -> None:
        if request.url.path.endswith("/data") and server.bulks and "abc-000000003" not in server.records:
            server.store([{"id": "abc-000000003"}])

    server.before = before
    sending = log_all(server, 4)
    assert [one.row for one in sending.refused] == [0]
    assert (sending.logged, sending.already_there) == (logged, there)


def test_the_reason_is_the_records_own() -> None:
    server = FakeRubrix("d")
    server.bad = {"abc-000000004"}
    server.refusal = "schema"
    (refusal,) = log_all(server, 9).refused
    assert (refusal.row, refusal.reason) == (4, "the label Odd is not included in the labels schema")


def test_a_record_that_the_server_points_at_takes_three_requests_not_eighteen() -> None:
    server = FakeRubrix("d")
    server.bad = {"abc-000000123"}
    server.refusal = "positions"
    log_all(server, 500)
    assert [len(bulk) for bulk in server.bulks] == [500, 499, 1]


def test_many_refused_records_are_not_taken_for_a_sick_server() -> None:
    server = FakeRubrix("d")
    server.bad = {f"abc-{row:09d}" for row in range(30)}
    server.refusal = "index"
    sending = log_all(server, 40)
    assert (sending.logged, len(sending.refused)) == (10, 30)


def test_scattered_records_that_the_server_stumbles_over_are_not_either() -> None:
    server = FakeRubrix("d")
    server.bad = {f"abc-{row:09d}" for row in range(0, 80, 10)}
    server.refusal = "crash"
    sending = log_all(server, 80)
    assert (sending.logged, len(sending.refused)) == (72, 8)


def test_a_bulk_too_large_for_a_proxy_is_split() -> None:
    server = FakeRubrix("d")
    server.before = lambda request: httpx.Response(413) if len(request.content) > 3000 else None
    assert log_all(server, 40).logged == 40


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (413, Refused), (500, Fault), (503, Unavailable)])
def test_what_a_bulks_status_means(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        connect(httpx.MockTransport(lambda request: httpx.Response(status))).bulk("d", [b"{}"])
