"""LabelStudioApi: the HTTP requests to a Label Studio server that `log` and `pull` need."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from lossrank.review.flat_record import RECORD_ID
from lossrank.review.servers.http import (
    FIRST_WAIT,
    LATER,
    Fault,
    Refused,
    ReviewClient,
    Unavailable,
    broken,
    one_line,
    storing,
    wished_pause,
)
from lossrank.review.servers.label_studio.auth import TokenAuth
from lossrank.review.servers.label_studio.record import CONTROL, label_config
from lossrank.review.servers.server import Form, ReviewError

_PAGE = 500
_LONGEST_IMPORT = 300.0  # seconds; after too short a timeout, the tasks would be imported twice


class LabelStudioApi(ReviewClient):
    """A Label Studio server, used with one token.

    Raises:
        ReviewError: the URL is not an http(s) address, or has a password.
        ReviewError: the token can't be sent in a header.
    """

    title = _product = "Label Studio"
    variables = "LABEL_STUDIO"
    example = "http://localhost:8080"

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        max_wait: float = 120.0,
        timeout: float = 60.0,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, api_key, max_wait, on_wait)
        if self._auth:
            raise ReviewError(
                "the address has a password, but Label Studio needs only the token; leave the password out of `url`"
            )
        self._client = httpx.Client(
            base_url=self._address,
            auth=TokenAuth(self._key, self.url),
            timeout=httpx.Timeout(timeout, connect=10.0),
            transport=transport,
        )
        self._there: set[str] = set()
        self._newest = 0  # the id of the newest task in ``_there``

    def close(self) -> None:
        self._client.close()

    def open_project(self, name: str, form: Form | None) -> int:
        """Check the token and return the id of the project with this title.

        If ``form`` is given, a missing project is created, and an existing one must fit the form.

        Raises:
            ReviewError: no Label Studio responds, or the server refuses the token.
            ReviewError: no project has this title, or several have it.
            ReviewError: the project's labelling interface lacks the choices or a class.
        """
        return self.persist(lambda: self._open_project(name, form), FIRST_WAIT)

    def existing_ids(self, name: str, ids: list[str]) -> set[str]:
        for task in self._tasks(int(name), {"include": "id,data"}, self._newest):
            self._there.add(str(task["data"].get(RECORD_ID)))
            self._newest = task["id"]
        return self._there & set(ids)

    def bulk(self, name: str, records: list[bytes]) -> None:
        with storing():
            response = self._client.post(
                f"/api/projects/{name}/import",
                content=b"[" + b",".join(records) + b"]",
                headers={"Content-Type": "application/json"},
                timeout=httpx.Timeout(_LONGEST_IMPORT, connect=10.0),
            )
        if response.status_code in (400, 413):
            reason, positions = _refusal(response)
            raise Refused(self._safe(Exception(reason)), positions)
        if response.status_code == 500:
            raise Fault("the server responds 500")
        imported = self._read(response, dict)
        if "import" in imported:
            raise self._broken_off(
                "the server imports in the background, as the Enterprise edition does, which lossrank does not "
                "support; log to a file with `to='label-studio'` and `output`, and import the file there"
            )
        stored = imported.get("task_count")
        if stored != len(records):
            raise Fault(f"the server stored {stored} of {len(records)} tasks")

    def annotated(self, project: int) -> Iterator[dict[str, Any]]:
        """Yield the tasks that somebody has annotated or skipped, with their annotations.

        Raises:
            ReviewError: the project is gone or can't be read.
        """
        somebody = {"filter": "filter:tasks:annotators", "operator": "empty", "type": "List", "value": False}
        tasks = self._tasks(project, {"fields": "all"}, 0, somebody)
        while (task := self.persist(lambda: next(tasks, None))) is not None:
            yield task

    def users(self) -> dict[int, str]:
        """Return the users' e-mail addresses by user id.

        Raises:
            ReviewError: the users can't be read.
        """
        found = self.persist(lambda: self._get("/api/users/", {}, list))
        return {user["id"]: str(user["email"]) for user in found if user.get("email")}

    def _open_project(self, name: str, form: Form | None) -> int:
        pages = self._get("/api/projects/", {"title": name, "page_size": 1000, "include": "id,title"}, dict)
        ids = [found["id"] for found in pages.get("results") or [] if found.get("title") == name]
        if len(ids) > 1:
            some = ", ".join(map(str, sorted(ids)))
            raise ReviewError(
                f"Label Studio at {self.url} has {len(ids)} projects {name!r} (ids {some}); rename all but one of them"
            )
        if not ids and form is None:
            raise ReviewError(f"Label Studio at {self.url} has no project {name!r}; check `name` and `url`")
        if form is None:
            return int(ids[0])
        project = self._get(f"/api/projects/{ids[0]}/", {}, dict) if ids else self._make(name, form)
        asked = (project.get("parsed_label_config") or {}).get(CONTROL) or {}
        missing = [label for label in form.class_names if label not in (asked.get("labels") or [])]
        if asked.get("type") != "Choices" or missing:
            lacks = f"choice {missing[0]!r}" if asked.get("type") == "Choices" else f"choices named {CONTROL!r}"
            raise ReviewError(
                f"the project {name!r} has no {lacks} in its labelling interface; add it, or give another `name`"
            )
        return int(project["id"])

    def _make(self, name: str, form: Form) -> dict[str, Any]:
        body = {"title": name, "label_config": label_config(form)}
        try:
            response = self._client.post("/api/projects/", json=body)
        except httpx.RequestError as error:
            raise Unavailable(broken(error)) from None
        made: dict[str, Any] = self._read(response, dict)
        return made

    def _tasks(self, project: int, fields: dict[str, str], after: int, *filters: object) -> Iterator[dict[str, Any]]:
        """Return an iterator over a project's tasks by ascending id; it can go on after ``Unavailable``."""
        return _Tasks(lambda last: self._page(project, fields, last, *filters), after)

    def _page(self, project: int, fields: dict[str, str], after: int, *filters: object) -> list[dict[str, Any]]:
        newer = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}
        query = {"filters": {"conjunction": "and", "items": [newer, *filters]}, "ordering": ["tasks:id"]}
        page = {"project": project, "page_size": _PAGE, "query": json.dumps(query)}
        tasks = self._get("/api/tasks/", {**page, **fields}, dict).get("tasks")
        if not isinstance(tasks, list) or not all(_is_task(task) for task in tasks):
            raise self._stranger("no tasks at /api/tasks/")
        return tasks

    def _get(self, path: str, query: dict[str, Any], kind: type[Any]) -> Any:
        try:
            return self._read(self._client.get(path, params=query), kind)
        except httpx.RequestError as error:
            raise Unavailable(broken(error)) from None

    def _read(self, response: httpx.Response, kind: type[Any]) -> Any:
        """Return the JSON value, of type ``kind``, in a successful response; raise for any other response."""
        status = response.status_code
        if status in LATER:
            raise Unavailable(f"the server responds {status}", wished_pause(response))
        if response.is_redirect:
            raise self._broken_off(f"the server redirects ({status}); set `url` to the address to which it redirects")
        reason = _reason(response)
        if status == 401:
            raise self._broken_off(
                f"the server refuses the token (401{reason}); set `api_key` or LABEL_STUDIO_API_KEY to a token from "
                "Account & Settings on that server"
            )
        if status == 403:
            raise self._broken_off(
                f"the server denies access to the token's user (403{reason}); use the token of a user with access"
            )
        if not response.is_success:
            raise self._broken_off(
                f"the server responds {status}{reason}, which is not a response of Label Studio 1.23; check `url`"
            )
        try:
            value = response.json()
        except ValueError:
            value = None
        if not isinstance(value, kind):
            raise self._stranger("no JSON as expected")
        return value

    def _broken_off(self, what: str) -> ReviewError:
        return ReviewError(f"Label Studio at {self.url}: {self._safe(Exception(what))}")


class _Tasks(Iterator[dict[str, Any]]):
    """Iterates over tasks, read page by page; after a failed request, ``next`` asks for the same page again."""

    def __init__(self, page: Callable[[int], list[dict[str, Any]]], after: int) -> None:
        self._page = page
        self._last = after
        self._waiting: list[dict[str, Any]] = []

    def __next__(self) -> dict[str, Any]:
        if not self._waiting:
            self._waiting = self._page(self._last)[::-1]
        if not self._waiting:
            raise StopIteration
        task = self._waiting.pop()
        self._last = task["id"]
        return task


def _is_task(task: Any) -> bool:
    return isinstance(task, dict) and isinstance(task.get("id"), int) and isinstance(task.get("data"), dict)


def _refusal(response: httpx.Response) -> tuple[str, frozenset[int]]:
    """Return why the server refused an import, without the texts, and the positions of the refused tasks."""
    try:
        errors = response.json()["validation_errors"]["non_field_errors"]
    except (ValueError, KeyError, TypeError):
        return f"the server responds {response.status_code}{_reason(response)}", frozenset()
    named = {index: error for index, error in enumerate(errors) if error} if isinstance(errors, list) else {}
    reason = str(next(iter(named.values()), "the server gives no reason"))
    # "Error at item 3: ... [assume: ...] :: {the task}"
    reason = re.sub(r"^Error at item \d+: ", "", reason).partition("[assume:")[0].partition("::")[0]
    return one_line(reason), frozenset(named)


def _reason(response: httpx.Response) -> str:
    """Return the reason in an error response, to append to its status; empty if the response has no reason."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {one_line(detail)}" if isinstance(detail, str) and detail else ""
