"""The review page in this process, behind a real server, and a client that asks as a browser would."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path

import httpx

from lossrank.page.app import make_app, new_token
from lossrank.page.rows import page_rows
from lossrank.page.serve import HOST, listen, make_server
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, join_source, rank


class Client:
    """A page's reader: ``get`` and ``post`` by the path below the token, ``token`` and ``port`` to ask otherwise."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self.origin = f"http://{HOST}:{port}"
        self.address = f"{self.origin}/{token}/"
        self.http = httpx.Client(base_url=self.address, follow_redirects=True)

    def get(self, path: str = "./") -> httpx.Response:
        return self.http.get(path)

    def post(self, path: str, **fields: object) -> httpx.Response:
        return self.http.post(path, data={name: str(value) for name, value in fields.items()}, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Origin": self.origin}


@contextlib.contextmanager
def page_of(run: Path, user: str = "ann", top: int = 20, by: str = "loss") -> Iterator[Client]:
    """Serve the worst rows of a run until the block ends."""
    opened = RunDirectory.open(run)
    ranked = rank(opened, top, by=by)
    rows, _ = page_rows(opened, ranked, join_source(opened, ranked))
    token, listening = new_token(), listen(0)
    with DecisionStore(opened) as store:
        server = make_server(make_app(opened, rows, store, user, token=token, by=by))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        client = Client(listening.getsockname()[1], token)
        try:
            with client.http:
                yield client
        finally:
            server.should_exit = True  # it takes 0.2 s to do so, which nobody has to wait for


def shown(response: httpx.Response) -> list[int]:
    """Return the numbers of the rows on a page."""
    return [int(number) for number in re.findall(r'data-row="(\d+)"', response.text)]


def words(response: httpx.Response) -> str:
    """Return what a page says, without its marks, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


def worst(run: Path, top: int = 20) -> Sequence[int]:
    """Return the worst rows' numbers."""
    return [row.row for row in rank(run, top)]
