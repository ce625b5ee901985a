"""The four requests that logging to a Rubrix 0.18 server needs, over httpx."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from cli.review.http import FIRST_WAIT, Fault, Refused, ReviewClient, Unavailable, broken
from cli.review.rubrix_answers import (
    RubrixError,
    detail_in,
    object_in,
    raise_for_answer,
    raise_for_bulk,
    reason_in,
)

_TASK = "TextClassification"
_DATASET_NAME = re.compile(r"(?![-_])[a-z0-9_-]{1,200}")  # the index that holds the name may have 255 bytes
_WORKSPACE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")


class RubrixApi(ReviewClient):
    """A Rubrix server, seen with one key in one workspace.

    Raises:
        RubrixError: the URL is no http(s) address, the key can't stand in a header, or no workspace has that name.
    """

    title = "Rubrix"
    variables = "RUBRIX"
    example = "http://localhost:6900"
    error = RubrixError

    def __init__(
        self,
        url: str,
        api_key: str,
        workspace: str | None = None,
        *,
        max_wait: float = 120.0,
        timeout: float = 60.0,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, api_key, max_wait, on_wait)
        self.workspace = workspace
        headers = {"X-Rubrix-Api-Key": self._key}
        if workspace is not None:
            if not _WORKSPACE_NAME.fullmatch(workspace):
                raise RubrixError(f"no workspace can be called {workspace!r}; letters, digits, - and _ are allowed")
            headers["X-Rubrix-Workspace"] = workspace
        self._client = httpx.Client(
            base_url=self._address,
            auth=self._auth,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_keepalive_connections=0),  # after a 422 the server may reset a kept connection
            transport=transport,
        )

    def open_dataset(self, name: str) -> str:
        """Check the key, the workspace and the data set, which is made where it is missing; return the workspace.

        Making it before the first bulk matters: a bulk that makes it, cut off and sent again, can empty it.

        Raises:
            RubrixError: no server or not Rubrix, the key refused, no such workspace, or the data set has another task.
        """
        check_name(name)
        return self.persist(lambda: self._open_dataset(name), FIRST_WAIT)

    def existing_ids(self, name: str, ids: list[str]) -> set[str]:
        """Find which of at most 1,000 ids the data set holds.

        Raises:
            Unavailable: ask again later.
            RubrixError: the data set can't be read.
        """
        found = set()
        for line in self._lines(f"/api/datasets/{name}/{_TASK}/data", {"ids": ids}):
            record = self._object(line)
            if "detail" in record:  # an error in the middle of a good answer
                if "ClosedIndexError" in str(detail_in(line)[1].get("type")):
                    raise RubrixError(f"the data set {name!r} is closed; open it on the server and run this again")
                raise Unavailable(reason_in(line))
            found.add(str(record.get("id")))
        return found

    def bulk(self, name: str, records: list[bytes]) -> None:
        """Store encoded records; one that has the id of an earlier one replaces it, and what a person did to it.

        Raises:
            Refused: the server turned at least one record down.
            Fault: it failed without a word on why; any part may be stored.
            Unavailable: ask again later; any part may be stored.
            RubrixError: the key, the workspace or the data set is gone.
        """
        body = b'{"tags":{},"metadata":{},"records":[' + b",".join(records) + b"]}"
        try:
            response = self._client.post(
                f"/api/datasets/{name}/{_TASK}:bulk", content=body, headers={"Content-Type": "application/json"}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unavailable(broken(error)) from None
        except httpx.RequestError as error:
            raise Fault(broken(error)) from None
        try:
            raise_for_bulk(response)
        except Refused as error:
            raise Refused(self._safe(error), error.positions) from None
        except Fault as error:
            raise Fault(self._safe(error)) from None
        answer = self._object(self._good(response).content)
        processed, failed = answer.get("processed"), answer.get("failed", 0)
        if processed != len(records) or failed:
            raise Fault(f"of {len(records)} records the server took {processed}, of which {failed} failed")

    def _open_dataset(self, name: str) -> str:
        me = self._object(self._good(self._send("GET", "/api/me")).content)
        user = me.get("username")
        if not isinstance(user, str):
            raise self._stranger("no user name at /api/me")
        response = self._send("GET", f"/api/datasets/{name}")
        if response.status_code == 404 and detail_in(response.content)[1].get("type") == "Workspace":
            allowed = sorted({user, *(str(other) for other in me.get("workspaces") or [])} - {""})
            raise RubrixError(
                f"Rubrix at {self.url} has no workspace {self.workspace!r} for this key, only {', '.join(allowed)}; "
                "set --workspace or RUBRIX_WORKSPACE to one of them"
            )
        if response.status_code == 404 and detail_in(response.content)[0] == "EntityNotFoundError":
            response = self._send("POST", "/api/datasets", {"name": name, "task": _TASK})
            if response.status_code == 409:  # somebody else was quicker, or the first answer was lost
                response = self._send("GET", f"/api/datasets/{name}")
        task = self._object(self._good(response).content).get("task")
        if task != _TASK:
            raise RubrixError(f"the data set {name!r} on the server is for {task}, not {_TASK}; choose another --name")
        return self.workspace or user

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.RequestError as error:
            raise Unavailable(broken(error)) from None

    def _lines(self, path: str, body: dict[str, Any]) -> Iterator[bytes]:
        """Stream the lines of an answer; only a line feed ends one, since texts may hold other line ends."""
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
            raise_for_answer(response)
        except RubrixError as error:
            raise RubrixError(f"Rubrix at {self.url}: {self._safe(error)}") from None
        return response

    def _object(self, content: bytes) -> dict[str, Any]:
        try:
            return object_in(content)
        except ValueError:
            raise self._stranger("no JSON object") from None

    def _stranger(self, what: str) -> RubrixError:
        return RubrixError(f"{self.url} answers, but not as Rubrix 0.18 does ({what}); check --url or RUBRIX_API_URL")


def check_name(name: str) -> None:
    """Pass a data set name that Rubrix takes.

    Raises:
        RubrixError: it doesn't; the message suggests one that it does.
    """
    if not _DATASET_NAME.fullmatch(name):
        fixed = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("-_")[:200]
        fix = f"; for example {fixed!r}" if fixed else ""
        raise RubrixError(
            f"Rubrix takes no data set name {name!r}: 1 to 200 of the characters a-z, 0-9, - and _, "
            f"the first a letter or digit{fix}"
        )
