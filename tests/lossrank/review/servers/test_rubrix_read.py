"""Reading people's answers from Rubrix and Argilla 1.x in memory, and what each record says."""

from typing import Any

import httpx
import pytest

from lossrank.review.servers.rubrix.record import answer
from lossrank.review.servers.server import ReviewError
from tests.support.facts import facts
from tests.support.fake_rubrix import FakeRubrix, connect, error


@pytest.mark.parametrize("argilla", [False, True])
def test_more_than_a_page_is_read_and_after_a_short_failure_goes_on(
    argilla: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    monkeypatch.setattr("lossrank.review.servers.rubrix.api._PAGE", 4)
    server = FakeRubrix("d", argilla=argilla)
    server.store({"id": f"abc-{row:09d}", "status": "Default"} for row in range(30))
    wanted = [f"abc-{row:09d}" for row in range(0, 30, 3)]
    for id in wanted:
        server.answer(id, "World")
    failures = [httpx.Response(503), httpx.Response(503)]
    if not argilla:  # which can fail in the middle of a good answer
        failures.append(httpx.Response(200, content=error(500, "G", message="no shard").content))

    def before(request: httpx.Request) -> httpx.Response | None:
        return failures.pop() if failures and len(server.requests) % 2 else None

    with connect(server) as api:
        api.open_dataset("d", make=False)
        server.before = before
        assert [record["id"] for record in api.reviewed("d")] == wanted
        assert failures == []


@pytest.mark.parametrize(
    "changes", [{"last_updated": None}, {"last_updated": "yesterday"}, {"annotation": {"labels": 3, "agent": "a"}}]
)
def test_a_record_that_is_none_is_an_error(changes: dict[str, Any]) -> None:
    good = {"id": "abc-000000007", "status": "Discarded", "annotation": None, "last_updated": "2026-01-01"}
    found = answer(good, "abc", "news")
    assert found is not None
    assert (found.row, found.label, found.annotator) == (7, None, "unknown")
    with pytest.raises(ValueError):  # noqa: PT011
        answer({**good, **changes}, "abc", "news")


def test_validated_without_an_annotation_says_nothing_and_two_labels_are_no_class() -> None:
    validated = {"id": "abc-000000007", "status": "Validated", "last_updated": "2026-01-01"}
    assert answer(validated, "abc", "news") is None
    both = {"agent": "ana", "labels": [{"class": "World"}, {"class": "Sports"}]}
    found = answer({**validated, "annotation": both}, "abc", "news")
    assert found is not None
    assert found.label == "World, Sports"


def test_a_closed_data_set_of_argilla_1_is_no_server_to_wait_for() -> None:
    server = FakeRubrix("d", argilla=True)
    closed = error(500, "GenericServerError", message="RequestError(400, 'index_closed_exception', 'closed')")
    server.before = lambda request: closed if request.url.path.endswith("/:search") else None
    with connect(server, workspace="team") as api:
        api.open_dataset("d")
        with pytest.raises(ReviewError, match=facts("'d'", "closed")):
            api.existing_ids("d", ["a"])
