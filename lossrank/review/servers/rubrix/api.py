"""RubrixApi: the HTTP requests to Rubrix 0.18 and Argilla 1.x that `log` and `pull` need.

Argilla 1.x is Rubrix under its later name, with other headers, named workspaces and another way to read records. The
client asks the server for its product and version.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx

from lossrank.review.servers.http import FIRST_WAIT, Fault, Refused, ReviewClient, Unavailable, broken, storing
from lossrank.review.servers.rubrix.http_errors import (
    Product,
    detail_in,
    object_in,
    raise_for_bulk,
    raise_for_response,
    reason_in,
)
from lossrank.review.servers.server import TOOLS, ReviewError

_TASK = "TextClassification"
_DATASET_NAME = re.compile(r"(?![-_])[a-z0-9_-]{1,200}")  # the name of the index, which contains it, may have 255 bytes
_WORKSPACE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
_PAGE = 1000  # records
_ANSWERED = {"status": ["Validated", "Discarded"]}
_ANSWER_FIELDS = ("id", "status", "annotation", "last_updated")
_Record = dict[str, Any]


class RubrixApi(ReviewClient):
    """A Rubrix or Argilla 1.x server, used with one key in one workspace; ``tool`` is its name in TOOLS.

    Raises:
        ReviewError: the URL is not an http(s) address.
        ReviewError: the key can't be sent in a header.
        ReviewError: the workspace's name is invalid.
    """

    example = "http://localhost:6900"

    def __init__(
        self,
        url: str,
        api_key: str,
        workspace: str | None = None,
        *,
        tool: str = "rubrix",
        max_wait: float = 120.0,
        timeout: float = 60.0,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.title, self.variables = TOOLS[tool].title, TOOLS[tool].variables
        super().__init__(url, api_key, max_wait, on_wait)
        self.workspace = workspace
        # The version is unknown until the server is asked.
        self._product: Product = Product(self.title, "", self.variables)
        headers = {"X-Rubrix-Api-Key": self._key, "X-Argilla-Api-Key": self._key}
        if workspace is not None:
            if not _WORKSPACE_NAME.fullmatch(workspace):
                raise ReviewError(
                    f"`workspace` is {workspace!r}; it may have letters, digits, - and _, and must start with a letter "
                    "or digit"
                )
            headers |= {"X-Rubrix-Workspace": workspace, "X-Argilla-Workspace": workspace}
        self._client = httpx.Client(
            base_url=self._address,
            auth=self._auth,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_keepalive_connections=0),  # after a 422 the server may reset a kept connection
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    def product(self) -> Product:
        """Return the server's product and version; the server is asked only once.

        Raises:
            ReviewError: no server responds.
            ReviewError: the server is neither Rubrix nor Argilla.
        """
        if not self._product.version:
            self._product = self.persist(self._ask_product, FIRST_WAIT)
            self.title = self._product.title
        return self._product

    def open_dataset(self, name: str, *, make: bool = True) -> str:
        """Check the key, the workspace and the data set, and return the workspace's name.

        If ``make`` is true, a missing data set is created.

        The data set must exist before the first bulk request: a bulk request that creates the data set, is cut off and
        is repeated can empty the data set.

        Raises:
            ReviewError: no Rubrix or Argilla 1.x responds, or the server refuses the key.
            ReviewError: the workspace or the data set does not exist.
            ReviewError: the data set has another task.
        """
        check_name(name)
        product = self.product()
        if product.major > 1:
            raise ReviewError(
                f"the server at {self.url} is {product}; log there with `to='argilla'` and pull with `source='argilla'`"
            )
        return self.persist(lambda: self._open_dataset(name, product, make), FIRST_WAIT)

    def existing_ids(self, name: str, ids: list[str]) -> set[str]:
        return {str(record.get("id")) for record in self._records(name, {"ids": ids}, ("id",), None)}

    def reviewed(self, name: str) -> Iterator[_Record]:
        """Yield id, status, annotation and last_updated of the records that a person validated or discarded.

        Raises:
            ReviewError: the data set can't be read, or the server is away for too long.
        """
        after: str | None = None
        while records := self.persist(partial(self._reviewed_page, name, after)):
            yield from records
            after = str(records[-1]["id"])

    def bulk(self, name: str, records: list[bytes]) -> None:
        """Store encoded records; a record replaces a stored record with its id, and people's answers to that record.

        Raises:
            Refused: the server refused at least one record.
            Fault: the request failed for an unknown reason; any part may be stored.
            Unavailable: the request may succeed later; any part may be stored.
            ReviewError: the key is no longer valid, or the workspace or data set is gone.
        """
        body = b'{"tags":{},"metadata":{},"records":[' + b",".join(records) + b"]}"
        with storing():
            response = self._client.post(
                f"/api/datasets/{name}/{_TASK}:bulk", content=body, headers={"Content-Type": "application/json"}
            )
        try:
            raise_for_bulk(response)
        except Refused as error:
            raise Refused(self._safe(error), error.positions, stored=error.stored) from None
        except Fault as error:
            raise Fault(self._safe(error)) from None
        counts = self._object(self._good(response).content)
        processed, failed = counts.get("processed"), counts.get("failed", 0)
        if processed != len(records) or failed:
            raise Fault(f"the server processed {processed} of {len(records)} records, of which {failed} failed")

    def _ask_product(self) -> Product:
        response = self._send("GET", "/api/_info")
        if response.status_code != 404:
            self._good(response)
        found = _object_or_empty(response)
        if not found:  # Argilla 2 responds with a web page
            found = _object_or_empty(self._send("GET", "/api/v1/version"))
        for title, key in (("Rubrix", "rubrix_version"), ("Argilla", "version")):
            if re.match(r"\d+\.", version := str(found.get(key))):
                return Product(title, version, self.variables)
        self._good(response)
        raise self._stranger("no version at /api/_info")

    def _open_dataset(self, name: str, product: Product, make: bool) -> str:
        me = self._object(self._good(self._send("GET", "/api/me")).content)
        user = me.get("username")
        if not isinstance(user, str):
            raise self._stranger("no user name at /api/me")
        allowed = sorted({str(other) for other in me.get("workspaces") or []} - {""})
        workspace = self.workspace or user
        if product.title == "Argilla":
            workspace = self.workspace or (allowed[0] if len(allowed) == 1 else user)
            if workspace not in allowed:
                raise self._no_workspace(self.workspace, allowed)
            self._client.headers["X-Argilla-Workspace"] = workspace
        response = self._send("GET", f"/api/datasets/{name}")
        if response.status_code == 404 and detail_in(response.content)[1].get("type") == "Workspace":
            raise self._no_workspace(self.workspace, sorted({user, *allowed}))
        if response.status_code == 404 and detail_in(response.content)[0] == "EntityNotFoundError":
            if not make:
                raise ReviewError(
                    f"{self.title} at {self.url} has no data set {name!r} in the workspace {workspace!r}; "
                    "check `name` and `workspace`"
                )
            response = self._send("POST", "/api/datasets", {"name": name, "task": _TASK})
            if response.status_code == 409:  # another process created it, or the first response got lost
                response = self._send("GET", f"/api/datasets/{name}")
        task = self._object(self._good(response).content).get("task")
        if task != _TASK:
            raise ReviewError(f"the data set {name!r} on the server is for {task}, not {_TASK}; give another `name`")
        return workspace

    def _no_workspace(self, workspace: str | None, allowed: list[str]) -> ReviewError:
        wanted = f"workspace {workspace!r} for this key" if workspace else "workspace named like the user"
        return ReviewError(
            f"{self.title} at {self.url} has no {wanted}, only {', '.join(allowed)}; "
            f"set `workspace` or {self.variables}_WORKSPACE to one of them"
        )

    def _reviewed_page(self, name: str, after: str | None) -> list[_Record]:
        records = self._records(name, _ANSWERED, _ANSWER_FIELDS, after)
        return [{key: record.get(key) for key in _ANSWER_FIELDS} for record in records]

    def _records(self, name: str, query: _Record, fields: tuple[str, ...], after: str | None) -> Iterator[_Record]:
        """Yield one page of the records that a query finds, in order of id, starting after the id ``after``."""
        if self._product.title == "Argilla":
            body = {"query": query, "fields": fields, "next_idx": after}
            response = self._send("POST", f"/api/datasets/{name}/records/:search?limit={_PAGE}", body)
            if b"index_closed_exception" in response.content and not response.is_success:
                raise _closed(name)
            records = self._object(self._good(response).content).get("records")
            if not isinstance(records, list):
                raise self._stranger("no records")
            yield from records
            return
        parameters = httpx.QueryParams({"limit": _PAGE, **({"id_from": after} if after else {})})
        for line in self._lines(f"/api/datasets/{name}/{_TASK}/data?{parameters}", query):
            record = self._object(line)
            if "detail" in record:  # an error in the middle of a good response
                if "ClosedIndexError" in str(detail_in(line)[1].get("type")):
                    raise _closed(name)
                raise Unavailable(reason_in(line))
            yield record

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.RequestError as error:
            raise Unavailable(broken(error)) from None

    def _lines(self, path: str, body: dict[str, Any]) -> Iterator[bytes]:
        """Yield the lines of a response; only a line feed ends a line, because texts may contain other line ends."""
        rest = b""
        try:
            with self._client.stream("POST", path, json=body) as response:
                if not response.is_success:
                    response.read()
                    self._good(response)
                for part in response.iter_bytes():
                    *lines, rest = (rest + part).split(b"\n")
                    yield from (line for line in lines if line.strip())
        except httpx.RequestError as error:
            raise Unavailable(broken(error)) from None
        if rest.strip():
            yield rest

    def _good(self, response: httpx.Response) -> httpx.Response:
        try:
            raise_for_response(response, self._product)
        except ReviewError as error:
            raise ReviewError(f"{self.title} at {self.url}: {self._safe(error)}") from None
        return response

    def _object(self, content: bytes) -> dict[str, Any]:
        try:
            return object_in(content)
        except ValueError:
            raise self._stranger("no JSON object") from None


def _closed(name: str) -> ReviewError:
    return ReviewError(f"the data set {name!r} is closed; open it on the server and try again")


def check_name(name: str) -> None:
    """Check that Rubrix accepts a data set name.

    Raises:
        ReviewError: Rubrix doesn't accept the name; the message suggests another one.
    """
    if not _DATASET_NAME.fullmatch(name):
        fixed = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("-_")[:200]
        fix = f", for example {fixed!r}" if fixed else ""
        raise ReviewError(
            f"Rubrix does not accept the data set name {name!r}; give a `name` of 1 to 200 of the characters a-z, "
            f"0-9, - and _ that starts with a letter or digit{fix}"
        )


def _object_or_empty(response: httpx.Response) -> dict[str, Any]:
    try:
        return object_in(response.content) if response.is_success else {}
    except ValueError:
        return {}
