"""The Rubrix client against a server in memory that fails on demand; tests/servers has the real one."""

import logging
from collections.abc import Iterator

import httpx
import pytest

from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.rubrix.api import check_name
from lossrank.review.servers.rubrix.http_errors import reason_in
from lossrank.review.servers.rubrix.record import encode
from lossrank.review.servers.server import ReviewError
from tests.support.facts import facts
from tests.support.fake_rubrix import KEY, URL, FakeRubrix, connect, error, index_message, make_record


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
        yield


# The data set


def test_a_new_data_set_is_made_once_and_an_old_one_is_used() -> None:
    server = FakeRubrix()
    assert connect(server).open_dataset("d") == "rubrix"
    assert connect(server, workspace="team").open_dataset("d") == "team"
    assert server.datasets == {"d": "TextClassification"}
    assert [request.method for request in server.requests] == ["GET", "GET", "GET", "POST", "GET", "GET", "GET"]


def test_a_data_set_that_another_made_meanwhile_is_used() -> None:
    server = FakeRubrix()

    def before(request: httpx.Request) -> None:
        if request.method == "POST":
            server.datasets["d"] = "TextClassification"

    server.before = before
    assert connect(server).open_dataset("d") == "rubrix"


def test_a_data_set_of_another_task_is_refused() -> None:
    with pytest.raises(ReviewError, match=facts("'d'", "TokenClassification", "TextClassification")):
        connect(FakeRubrix("d", "TokenClassification")).open_dataset("d")


@pytest.mark.parametrize("name", ["a", "ag_news-2", "0", "x" * 200])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("AG News", "'ag_news'"),
        ("_ag", "'ag'"),
        ("-ag", "'ag'"),
        ("ag/news", "'ag_news'"),
        ("ag\n", "'ag'"),
        ("x" * 201, "1 to 200"),
        ("", "letter"),
        ("新闻", "letter"),
    ],
)
def test_bad_names_are_refused_without_a_request(name: str, fixed: str) -> None:
    server = FakeRubrix()
    with pytest.raises(ReviewError, match=facts("Rubrix", "data set name", fixed)):
        connect(server).open_dataset(name)
    assert server.requests == []


# What goes wrong at the start


@pytest.mark.parametrize(
    ("response", "named"),
    [
        (error(401, "UnauthorizedError"), (401, "`api_key`", "RUBRIX_API_KEY")),
        (error(403, "ForbiddenOperationError", detail="No"), ("403: No", "API key")),
        (httpx.Response(307, headers={"Location": "http://elsewhere/"}), (307, "redirects", "`url`")),
        (httpx.Response(200, text="<html>hello</html>"), ("Rubrix", "/api/_info", "`url`", "RUBRIX_API_URL")),
        (httpx.Response(200, json=["hello"]), ("Rubrix", "/api/_info", "`url`", "RUBRIX_API_URL")),
        (httpx.Response(200, json={"hello": 1}), ("Rubrix", "/api/_info", "`url`", "RUBRIX_API_URL")),
        (httpx.Response(404, json={"detail": "Not Found"}), ("404: Not Found", "Rubrix", "`url`")),
        (httpx.Response(418, text="<html>"), (418, "Rubrix", "`url`")),
    ],
)
def test_a_server_that_is_not_rubrix_or_not_ours(response: httpx.Response, named: tuple[object, ...]) -> None:
    with pytest.raises(ReviewError, match=facts(URL, *named)):
        connect(httpx.MockTransport(lambda request: response)).open_dataset("d")


def test_an_unknown_workspace_names_the_known_ones() -> None:
    with pytest.raises(ReviewError, match=facts("'nowhere'", "rubrix, team", "workspace")):
        connect(FakeRubrix(), workspace="nowhere").open_dataset("d")
    with pytest.raises(ReviewError, match=facts("workspace", "'no where'")):
        connect(FakeRubrix(), workspace="no where")


@pytest.mark.parametrize("url", ["localhost:6900", "ftp://host", "", "http://", "http://[::1", "6900"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ReviewError, match=facts("url", "http://localhost:6900")):
        connect(FakeRubrix(), url)


@pytest.mark.parametrize("key", ["", " ", "schlüssel", "two words", "line\nfeed"])
def test_a_key_that_no_header_carries_is_not_shown(key: str) -> None:
    with pytest.raises(ReviewError, match=facts("API key")) as caught:
        connect(FakeRubrix(), key=key)
    assert not key.strip() or key not in str(caught.value)


def test_a_path_in_the_address_and_a_line_end_after_the_key_are_kept_out_of_trouble() -> None:
    server = FakeRubrix("d")
    api = connect(server, URL + "/behind/a/proxy/?x=1", KEY + "\n")
    assert api.open_dataset("d") == "rubrix"
    assert api.url == URL + "/behind/a/proxy"
    assert [request.url.path for request in server.requests[:2]] == [
        "/behind/a/proxy/api/_info",
        "/behind/a/proxy/api/me",
    ]


# Secrets


@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 409, 422, 429, 500, 503])
def test_no_message_tells_the_key_or_a_password(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def echo(request: httpx.Request) -> httpx.Response:
        told = f"{request.headers['X-Rubrix-Api-Key']} {request.headers['Authorization']} pass-word"
        if request.url.path.endswith("/data"):
            return httpx.Response(200)
        return error(status, "SomeError", message=told)

    url = "http://some%40one:pass-word@rubrix.test"
    api = connect(httpx.MockTransport(echo), url, max_wait=0.01, on_wait=lambda reason, seconds: said.append(reason))
    with pytest.raises(ReviewError) as caught:
        api.open_dataset("d")
    sending = ChunkedLog(api, "d", encode)
    try:
        list(sending.log([make_record(1)]))
    except ReviewError as failed:
        said.append(str(failed))
    said += [str(caught.value), repr(api), api.url, caplog.text, str(sending.refused)]
    assert not [text for text in said if KEY in text or "pass-word" in text]
    assert caught.value.__cause__ is None


def test_a_header_that_cannot_be_sent_is_not_in_the_message() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"Illegal header value {KEY}")

    with pytest.raises(ReviewError, match=facts("request", "sent")) as caught:
        connect(httpx.MockTransport(refuse), max_wait=0.01).open_dataset("d")
    assert KEY not in str(caught.value)


def test_an_address_with_a_password_that_is_no_address_is_not_shown() -> None:
    with pytest.raises(ReviewError) as caught:
        connect(FakeRubrix(), "htp://someone:pass-word@host")
    assert "pass-word" not in str(caught.value)


def test_the_key_does_not_follow_a_redirect() -> None:
    hosts = []

    def redirect(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(308, headers={"Location": "http://elsewhere.test/api/me"})

    with pytest.raises(ReviewError):
        connect(httpx.MockTransport(redirect)).open_dataset("d")
    assert hosts == ["rubrix.test"]


def test_a_refused_documents_text_is_not_in_the_reason() -> None:
    record = {"id": "abc", "inputs": {"text": "a private matter 'reason': 'x'}"}}
    message = index_message(record)
    reason = reason_in(error(500, "GenericRubrixServerError", message=message).content)
    assert reason == "failed to parse field [metadata.loss] of type [float]"
    other = message.replace(". Preview of field's value: 'abc'", "")
    assert other != message
    assert reason_in(error(500, "GenericRubrixServerError", message=other).content) == reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            error(422, "V", errors=[{"loc": ["body", "records", 3, "inputs"], "msg": "No inputs"}]).content,
            "inputs: No inputs",
        ),
        (error(422, "V", errors=[{"loc": ["body", "records", 3, "__root__"], "msg": "No agent"}]).content, "No agent"),
        (error(400, "ClosedDatasetError", name="d").content, "ClosedDatasetError"),
        (error(400, "B", message="two\n lines\x1b[31m").content, "two lines [31m"),
        (error(500, "G", message="x" * 400).content, "x" * 297 + "..."),
        (b'{"detail": [1]}', ""),
        (b"<html>", ""),
        (b"[]", ""),
    ],
)
def test_reasons_are_one_short_line(content: bytes, reason: str) -> None:
    assert reason_in(content) == reason
