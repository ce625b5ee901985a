"""The review page's guard: nobody without its address can read it, and no other page can write to it."""

import http.client
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lossrank.page.serve import HOST, listen
from lossrank.review.decision import KEPT
from lossrank.review.store import DecisionStore
from scorer import RunDirectory
from tests.support.pages import Client, page_of, shown, worst


@pytest.fixture(scope="module")
def own(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("own") / "run"
    return Path(shutil.copytree(run, copy, ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture(scope="module")
def page(own: Path) -> Iterator[Client]:
    with page_of(own) as client:
        yield client


def decide(page: Client, own: Path, headers: dict[str, str]) -> httpx.Response:
    form = {"row": worst(own)[0], "seen": 0, "verdict": KEPT}
    return httpx.post(f"{page.origin}/{page.token}/decide", data=form, headers=headers)


def decisions(own: Path) -> int:
    with DecisionStore(RunDirectory.open(own)) as store:
        return len(store.current())


@pytest.mark.parametrize(
    "path", ["", "/", "/wrong/", "/{short}/", "/{token}x/", "/wrong/static/page.js", "/static/page.js"]
)
def test_without_the_token_there_is_nothing(page: Client, path: str) -> None:
    response = httpx.get(page.origin + path.format(token=page.token, short=page.token[:-1]))
    assert response.status_code == 403
    assert "data-row" not in response.text
    assert page.token not in response.text


def test_a_token_is_long_and_another_one_each_time(own: Path, page: Client) -> None:
    assert len(page.token) >= 32
    with page_of(own) as other:
        assert other.token != page.token


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "0.0.0.0:{port}", ""]
)
def test_a_name_that_points_here_is_not_this_machine(page: Client, host: str) -> None:
    connection = http.client.HTTPConnection(HOST, page.port)
    connection.putrequest("GET", f"/{page.token}/", skip_host=True)
    connection.putheader("Host", host.format(port=page.port))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 400
    assert b"data-row" not in response.read()
    connection.close()


@pytest.mark.parametrize("port", ["{port}", "9000"])
def test_a_tunnels_end_may_have_another_name_and_port(page: Client, own: Path, port: str) -> None:
    host = f"localhost:{port.format(port=page.port)}"
    response = httpx.get(f"{page.address}?at={worst(own)[0]}", headers={"Host": host})
    assert response.status_code == 200
    assert len(shown(response)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
    ],
)
def test_another_origin_cannot_write_even_with_the_address(page: Client, own: Path, headers: dict[str, str]) -> None:
    response = decide(page, own, {name: value.format(port=page.port) for name, value in headers.items()})
    assert response.status_code == 403
    for path in ("undo", "decide", ""):
        sent = httpx.post(f"{page.origin}/{page.token}/{path}", headers={"Origin": "http://evil.example"})
        assert sent.status_code == 403
    assert httpx.put(page.address).status_code == httpx.options(page.address).status_code == 403
    assert decisions(own) == 0


def test_no_answer_may_be_read_framed_or_kept_by_anyone_else(page: Client) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    responses = [
        httpx.get(page.address, headers=asked),
        httpx.get(page.address, headers=asked, follow_redirects=True),
        httpx.get(f"{page.origin}/{page.token}/static/page.js", headers=asked),
        httpx.options(f"{page.origin}/{page.token}/decide", headers=asked),
        httpx.get(f"{page.origin}/{page.token}/nowhere"),
        httpx.get(f"{page.origin}/"),
        httpx.get(f"{page.origin}/", headers={"Host": "evil.example"}),
    ]
    for response in responses:
        found = response.headers
        assert not [name for name in found if name.startswith("access-control")]
        assert found["cache-control"] == "no-store"
        assert found["x-content-type-options"] == "nosniff"
        assert found["x-frame-options"] == "DENY"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert found["referrer-policy"] == "same-origin"
        assert "server" not in found
        policy = found["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_the_page_asks_no_other_machine_for_anything_and_has_no_script_or_style_in_it(page: Client) -> None:
    for path in ("./", "./?view=list", "./?search=zzz"):
        text = page.get(path).text
        assert "//" not in text
        assert "<style" not in text
        assert " style=" not in text
        assert text.count("<script") == 1
        assert '<script src="static/page.js" defer></script>' in text
        assert not [part for part in text.split() if part.startswith("on") and "=" in part]


def test_only_files_of_the_page_are_served(page: Client) -> None:
    for path in ("static/../app.py", "static/%2e%2e/app.py", "static/..%2fapp.py", "templates/base.html"):
        connection = http.client.HTTPConnection(HOST, page.port)
        connection.request("GET", f"/{page.token}/{path}")
        assert connection.getresponse().status == 404
        connection.close()


def test_a_form_is_never_answered_to_a_get(page: Client, own: Path) -> None:
    row = worst(own)[0]
    assert page.get(f"decide?row={row}&seen=0&verdict=kept").status_code == 405
    assert page.get("undo?seen=0").status_code == 405
    assert decisions(own) == 0


def test_the_socket_is_of_the_loopback_address() -> None:
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_no_piece_of_an_answer_waits_for_the_one_before() -> None:
    with listen(0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
