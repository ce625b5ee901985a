"""A Label Studio 1.23 server in memory, behind httpx.MockTransport, with the ways to fail that the real one has.

tests/servers has the real one; this one fails on demand.
"""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import httpx

from lossrank.review.servers.label_studio.api import LabelStudioApi

URL = "http://label.test:8080"
KEY = "a-legacy-token"
PERSONAL = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiMSJ9.c2lnbmF0dXJl"
USERS = {1: "ana@example.com", 2: "ben@example.com"}
Task = dict[str, Any]


class FakeLabelStudio(httpx.MockTransport):
    """``projects`` are titles and label configs, ``tasks`` those of every project; ``imports`` the rows of each import.

    ``before`` is called with each request: it may return an answer of its own, raise, or change what is stored.
    ``bad`` names rows that are turned down, the way ``refusal`` says: ``positions`` and ``plain`` are 400 with and
    without their places, ``crash`` a 500 that stores none, ``half`` a 500 that stores those before it.
    ``access`` is the token that the personal one has bought last; setting it None lets it expire.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.projects: list[tuple[str, str]] = []
        self.tasks: list[Task] = []
        self.requests: list[httpx.Request] = []
        self.imports: list[list[int]] = []
        self.bad: set[int] = set()
        self.refusal = "positions"
        self.access: str | None = None
        self.refreshed = 0
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def rows(self) -> list[int]:
        return [task["data"]["row"] for task in self.tasks]

    def annotate(self, row: int, label: str | None, user: int = 1, at: str = "2026-01-01T10:00:00.5Z") -> None:
        """Add an annotation as the real server has them."""
        (task,) = (task for task in self.tasks if task["data"]["row"] == row)
        choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
        task["annotations"].append(
            {
                "id": 1,
                "completed_by": user,
                "result": [] if label is None else [choice],
                "was_cancelled": label is None,
                "created_at": "2020-01-01T00:00:00Z",
                "updated_at": at,
            }
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.before(request)
        if answer is not None:
            return answer
        path = request.url.path
        if path == "/api/token/refresh/":
            if json.loads(request.content) != {"refresh": PERSONAL}:
                return error(401, "Token is invalid")
            self.refreshed += 1
            self.access = f"access-{self.refreshed}"
            return httpx.Response(200, json={"access": self.access})
        if request.headers.get("Authorization") not in (f"Token {KEY}", f"Bearer {self.access}"):
            return error(401, "Invalid token.")
        if path.endswith("/import"):
            return self._import(json.loads(request.content))
        if path == "/api/projects/" and request.method == "POST":
            body = json.loads(request.content)
            self.projects.append((body["title"], body["label_config"]))
            return httpx.Response(201, json=self._project(len(self.projects)))
        if path == "/api/projects/":
            wanted = request.url.params["title"].lower()
            found = [{"id": i, "title": title} for i, (title, _) in enumerate(self.projects, 1)]
            return httpx.Response(200, json={"results": [one for one in found if wanted in one["title"].lower()]})
        if path.startswith("/api/projects/"):
            return httpx.Response(200, json=self._project(int(path.split("/")[3])))
        if path == "/api/users/":
            return httpx.Response(200, json=[{"id": id, "email": email} for id, email in USERS.items()])
        return self._page(request.url.params)

    def _page(self, params: httpx.QueryParams) -> httpx.Response:
        newer, *others = json.loads(params["query"])["filters"]["items"]
        found = [task for task in self.tasks if task["id"] > newer["value"] and (task["annotations"] or not others)]
        return httpx.Response(200, json={"tasks": found[: int(params["page_size"])], "total": len(found)})

    def _project(self, number: int) -> dict[str, Any]:
        config = ElementTree.fromstring(self.projects[number - 1][1])
        labels = [one.get("alias") or one.get("value") for one in config.iter("Choice")]
        asked = {one.get("name"): {"type": "Choices", "labels": labels} for one in config.iter("Choices")}
        return {"id": number, "title": self.projects[number - 1][0], "parsed_label_config": asked}

    def _import(self, tasks: list[Task]) -> httpx.Response:
        rows = [task["data"]["row"] for task in tasks]
        self.imports.append(rows)
        bad = [row in self.bad for row in rows]
        if any(bad) and self.refusal == "positions":
            reason = 'Error at item {}: "x" key is expected in task data [assume: item["data"] = root] :: {}'
            places = [reason.format(i, tasks[i]) if is_bad else {} for i, is_bad in enumerate(bad)]
            return httpx.Response(400, json={"validation_errors": {"non_field_errors": places}})
        if any(bad) and self.refusal == "plain":
            return error(400, "no good")
        if any(bad) and self.refusal == "half":
            self.store(tasks[: bad.index(True)])
        if any(bad):
            return error(500, f"database error at {tasks[0]['data']['text']}")
        self.store(tasks)
        return httpx.Response(201, json={"task_count": len(tasks)})

    def store(self, tasks: list[Task]) -> None:
        for task in tasks:
            self.tasks.append({"id": len(self.tasks) + 1, "annotations": [], **task})


def error(status: int, detail: str) -> httpx.Response:
    """An error as the real server words it."""
    return httpx.Response(status, json={"status_code": status, "version": "1.23.2", "detail": detail})


def connect(server: httpx.BaseTransport, url: str = URL, key: str = KEY, **options: Any) -> LabelStudioApi:
    """A client of the server in memory."""
    return LabelStudioApi(url, key, transport=server, **options)
