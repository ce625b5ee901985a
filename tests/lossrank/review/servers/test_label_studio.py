"""`log` to Label Studio's API against a server in memory that fails on demand; tests/servers has the real one."""

import json
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.label_studio.record import answers, encode, label_config
from lossrank.review.servers.server import Form, ReviewError
from tests.support.facts import facts, tells
from tests.support.fake_label_studio import KEY, FakeLabelStudio, connect, error
from tests.support.fake_rubrix import make_record

FORM = Form(("World", "Sports", "Business"), ("text",))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)


def log_of(server: FakeLabelStudio, rows: range, **options: Any) -> ChunkedLog:
    """Log records of these rows."""
    with connect(server) as api:
        sending = ChunkedLog(api, "1", encode, **options)
        list(sending.log([make_record(row) for row in rows]))
    return sending


def test_names_are_escaped_and_no_name_is_taken_for_a_variable() -> None:
    classes = ('<b> & "x"', "US$5m", *(f"class {i}" for i in range(10)))
    config = ElementTree.fromstring(label_config(Form(classes, ("text", "$hypothesis"))))
    choices = list(config.iter("Choice"))
    assert [choice.get("alias") or choice.get("value") for choice in choices] == list(classes)
    assert [choice.get("hotkey") for choice in choices] == [*map(str, range(1, 10)), None, None, None]
    assert [text.get("value") for text in config.iter("Text")] == ["$text", "$text_pair"]
    shown = [one.get("value") or "" for one in (*choices, *config.iter("Header"))]
    assert [value for value in shown if "$" in value] == ["given label: $given"]


def test_a_name_that_xml_cannot_hold_is_refused() -> None:
    with pytest.raises(ReviewError, match=facts(r"'a\x00b'", "character")):
        label_config(Form(("a\0b", "c"), ("text",)))


def test_a_project_is_made_once_and_found_by_its_whole_title() -> None:
    server = FakeLabelStudio()
    assert connect(server).open_project("News", FORM) == 1
    assert connect(server).open_project("News 2", FORM) == 2
    assert connect(server).open_project("News", FORM) == 1
    assert connect(server).open_project("News", None) == 1
    assert [title for title, _ in server.projects] == ["News", "News 2"]


def test_a_project_whose_first_answer_is_lost_is_not_made_twice() -> None:
    server = FakeLabelStudio()

    def before(request: httpx.Request) -> None:
        if request.method == "POST" and not server.projects:
            server.projects.append(("News", label_config(FORM)))
            raise httpx.ReadError("cut off", request=request)

    server.before = before
    assert connect(server).open_project("News", FORM) == 1
    assert len(server.projects) == 1


@pytest.mark.parametrize(
    ("title", "config", "named"),
    [
        (
            "News",
            '<View><Choices name="label"><Choice value="World"/></Choices></View>',
            ["'Sports'", "'News'"],
        ),
        (
            "News",
            '<View><Choices name="mood"><Choice value="World"/></Choices></View>',
            ["'label'", "'News'"],
        ),
        ("news", "<View/>", None),
    ],
)
def test_a_project_that_asks_something_else_is_not_used(title: str, config: str, named: list[str] | None) -> None:
    server = FakeLabelStudio()
    server.projects.append((title, config))
    if named is None:
        assert connect(server).open_project("News", FORM) == 2
    else:
        with pytest.raises(ReviewError, match=facts(*named)):
            connect(server).open_project("News", FORM)


def test_two_projects_of_one_title_are_named() -> None:
    server = FakeLabelStudio()
    server.projects += [("News", "<View/>")] * 2
    with pytest.raises(ReviewError, match=facts(2, "'News'", "1, 2")):
        connect(server).open_project("News", None)


def test_what_is_there_is_found_by_its_id_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossrank.review.servers.label_studio.api._PAGE", 7)
    server = FakeLabelStudio()
    assert log_of(server, range(50), chunk_size=20).logged == 50
    server.store([{"data": {"text": "somebody's own"}}])
    sending = log_of(server, range(60), chunk_size=20)
    assert (sending.logged, sending.already_there) == (10, 50)
    assert [task["data"].get("row") for task in server.tasks] == [*range(50), None, *range(50, 60)]


def test_what_another_log_adds_meanwhile_is_not_added_again() -> None:
    server = FakeLabelStudio()

    def before(request: httpx.Request) -> None:
        if request.url.path.endswith("/import") and len(server.imports) == 1 and len(server.tasks) == 10:
            server.store([json.loads(encode(make_record(row))) for row in range(20, 30)])

    server.before = before
    sending = log_of(server, range(30), chunk_size=10)
    assert sorted(server.rows()) == list(range(30))
    assert (sending.logged, sending.already_there) == (20, 10)


@pytest.mark.parametrize("refusal", ["positions", "plain"])
def test_a_task_that_is_turned_down_costs_only_itself(refusal: str) -> None:
    server = FakeLabelStudio()
    server.bad, server.refusal = {3, 17}, refusal
    sending = log_of(server, range(20))
    assert sorted(server.rows()) == [row for row in range(20) if row not in (3, 17)]
    assert sending.logged == 18
    reason = {"positions": '"x" key is expected in task data', "plain": "400: no good"}[refusal]
    assert sorted(one.row for one in sending.refused) == [3, 17]
    assert all(tells(one.reason, reason) for one in sending.refused)


@pytest.mark.parametrize("refusal", ["crash", "half"])
def test_a_task_that_breaks_the_server_costs_only_itself_and_doubles_none(refusal: str) -> None:
    server = FakeLabelStudio()
    server.bad, server.refusal = {11}, refusal
    sending = log_of(server, range(20))
    assert sorted(server.rows()) == [row for row in range(20) if row != 11]
    ((row, reason),) = [(one.row, one.reason) for one in sending.refused]
    assert (row, tells(reason, 500)) == (11, True)


def test_an_answer_that_is_lost_doubles_nothing() -> None:
    server = FakeLabelStudio()

    def before(request: httpx.Request) -> None:
        if request.url.path.endswith("/import") and not server.tasks:
            server.store(json.loads(request.content))
            raise httpx.ReadTimeout("late", request=request)

    server.before = before
    assert log_of(server, range(20)).logged == 20
    assert server.rows() == list(range(20))


def test_an_import_in_the_background_is_the_enterprise_editions() -> None:
    server = FakeLabelStudio()
    server.before = lambda request: (
        httpx.Response(201, json={"import": 5}) if request.url.path.endswith("/import") else None
    )
    with pytest.raises(ReviewError, match=facts("Enterprise", "to", "output")):
        log_of(server, range(3))


def test_a_page_that_can_not_be_had_at_once_costs_no_answer_and_doubles_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossrank.review.servers.label_studio.api._PAGE", 3)
    server = FakeLabelStudio()
    log_of(server, range(10))
    for row in range(8):
        server.annotate(row, "World")
    answered = iter([None, error(502, "later"), None, error(429, "later"), error(500, "later")])
    server.before = lambda request: next(answered, None)
    with connect(server) as api:
        assert [task["data"]["row"] for task in api.annotated(1)] == list(range(8))


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (httpx.Response(200, text="<html>"), ["Label Studio", "JSON"]),
        (httpx.Response(200, json={"results": [], "tasks": 5}), ["Label Studio", "/api/tasks/"]),
        (httpx.Response(302, headers={"Location": "/login"}), ["302", "url"]),
        (error(403, "not yours"), ["403: not yours"]),
        (error(404, f"no\nsuch {KEY}"), ["404: no such ***"]),
    ],
)
def test_a_server_that_is_not_label_studio_or_not_ours(answer: httpx.Response, named: list[str]) -> None:
    server = FakeLabelStudio()
    server.before = lambda request: answer
    with pytest.raises(ReviewError, match=facts(*named)) as caught:
        log_of(server, range(3))
    assert KEY not in str(caught.value)


def test_a_server_that_goes_away_is_waited_for_and_then_given_up() -> None:
    server = FakeLabelStudio()

    def before(request: httpx.Request) -> None:
        raise httpx.ConnectError("refused", request=request)

    server.before = before
    heard: list[str] = []
    with pytest.raises(ReviewError, match=facts("Label Studio", "refused", "LABEL_STUDIO_API_URL")):
        connect(server, max_wait=0.2, on_wait=lambda reason, seconds: heard.append(reason)).users()
    assert "refused" in heard


def test_several_choices_an_empty_annotation_and_an_unknown_user() -> None:
    def annotation(choices: list[list[str]], **changes: Any) -> dict[str, Any]:
        result = [{"from_name": "label", "value": {"choices": each}} for each in choices]
        moment = {"created_at": "2026-01-01T00:00:00Z"}
        return {"result": result, "was_cancelled": False, "completed_by": 9, **moment, **changes}

    task = {
        "data": {"record_id": "abcdefabcdef-000000005"},
        "annotations": [
            annotation([]),
            annotation([["World", "Sports"]]),
            annotation([["World"]], completed_by={"id": 4, "email": "ana@example.com"}),
            annotation([["World"]], completed_by=None),
        ],
    }
    found = answers(task, "abcdefabcdef0123", {})
    assert found is not None
    assert [(one.row, one.annotator, one.label) for one in found] == [
        (5, "user-9", "World, Sports"),
        (5, "ana@example.com", "World"),
        (5, "unknown", "World"),
    ]
