"""The four requests that logging to a Rubrix 0.18 server needs, over httpx, with patience by tenacity.

The key, and a password in the URL, stay inside the httpx client: no message, repr or exception chain carries them.
"""

import re
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import tenacity

from cli.review.rubrix_answers import (
    Fault,
    Refused,
    RubrixError,
    Unavailable,
    broken,
    detail_in,
    object_in,
    raise_for_answer,
    raise_for_bulk,
    reason_in,
)

_TASK = "TextClassification"
_DATASET_NAME = re.compile(r"(?![-_])[a-z0-9_-]{1,200}")  # the index that holds the name may have 255 bytes
_WORKSPACE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
_FIRST_WAIT = 3.0  # seconds: at the start, a server that isn't there is a mistake sooner than an outage
_LONGEST_PAUSE = 10.0
_backoff = tenacity.wait_exponential(multiplier=0.25, max=_LONGEST_PAUSE) + tenacity.wait_random(0, 0.25)
_T = TypeVar("_T")


class RubrixApi:
    """A Rubrix server, seen with one key in one workspace.

    ``max_wait`` is how long, in seconds, a server that went away is waited for; ``on_wait`` hears why and how many
    seconds it is to the next try.

    Raises:
        RubrixError: the URL is no http(s) address, the key can't stand in a header, or no workspace has that name.
    """

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
        address, auth = _address(url)
        self.url = str(address).rstrip("/")
        self.workspace = workspace
        self._max_wait = max_wait
        self._on_wait = on_wait
        headers = {"X-Rubrix-Api-Key": _key(api_key)}
        if workspace is not None:
            if not _WORKSPACE_NAME.fullmatch(workspace):
                raise RubrixError(f"no workspace can be called {workspace!r}; letters, digits, - and _ are allowed")
            headers["X-Rubrix-Workspace"] = workspace
        self._secrets = [secret for secret in (api_key.strip(), auth[1] if auth else "") if len(secret) > 5]
        self._client = httpx.Client(
            base_url=address,
            auth=auth,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_keepalive_connections=0),  # after a 422 the server may reset a kept connection
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()

    def persist(self, step: Callable[[], _T], max_wait: float | None = None) -> _T:
        """Run a step, and again after growing pauses for as long as it raises ``Unavailable``.

        Raises:
            RubrixError: it still does after ``max_wait`` seconds.
        """
        limit = self._max_wait if max_wait is None else min(max_wait, self._max_wait)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=tenacity.stop_after_delay(limit),
            wait=_pause,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        started = time.monotonic()
        try:
            return retrying(step)
        except Unavailable as error:
            seconds = time.monotonic() - started
            raise RubrixError(
                f"Rubrix at {self.url} can't be used: {self._safe(error)}; tried for {seconds:.0f} s; "
                "start it, or give its address with --url or RUBRIX_API_URL"
            ) from None

    def insist(self, step: Callable[[], _T], sends: int) -> _T:
        """Run a step that may also raise ``Fault``, at most ``sends`` times, with ``persist``'s patience each time.

        Raises:
            Fault: it still does.
            RubrixError: as for ``persist``.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Fault),
            stop=tenacity.stop_after_attempt(sends),
            wait=_backoff,
            reraise=True,
        )
        return retrying(lambda: self.persist(step))

    def open_dataset(self, name: str) -> str:
        """Check the key, the workspace and the data set, which is made where it is missing; return the workspace.

        Making it before the first bulk matters: a bulk that makes it, cut off and sent again, can empty it.

        Raises:
            RubrixError: no server or not Rubrix, the key refused, no such workspace, or the data set has another task.
        """
        check_name(name)
        return self.persist(lambda: self._open_dataset(name), _FIRST_WAIT)

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

    def _safe(self, error: Exception) -> str:
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _tell_wait(self, state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        error = state.outcome.exception() if state.outcome else None
        self._on_wait(self._safe(error) if isinstance(error, Unavailable) else "", seconds)


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


def _address(url: str) -> tuple[httpx.URL, tuple[str, str] | None]:
    """Part an address from the user and password in it."""
    try:
        address = httpx.URL(url.strip())
    except httpx.InvalidURL:
        address = httpx.URL("")
    if address.scheme not in ("http", "https") or not address.host:
        received = "with a password" if "@" in url else repr(url)
        raise RubrixError(f"the server's address {received} can't be used; write --url like http://localhost:6900")
    auth = (address.username, address.password) if address.userinfo else None
    return address.copy_with(userinfo=b"", query=None, fragment=None), auth


def _key(api_key: str) -> str:
    key = api_key.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise RubrixError("the API key is empty or holds characters that no header can carry; set RUBRIX_API_KEY anew")
    return key


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wish = error.after if isinstance(error, Unavailable) else 0.0
    return max(_backoff(state), min(wish, 60.0))
