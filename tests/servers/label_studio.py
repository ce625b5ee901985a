"""A real Label Studio server, and the people who use it as their browsers do."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from lossrank.review.records import record_id
from scorer import RunDirectory
from tests.servers.process import RealServer

KEY = "labelstudio.apikey"  # of lossrank@example.com
ADMIN = "lossrank@example.com"


@dataclass(frozen=True)
class Person:
    """Somebody with an account: both kinds of tokens."""

    email: str
    token: str
    personal_token: str


@dataclass(frozen=True)
class LabelStudio(RealServer):
    """Label Studio 1.23."""

    def request(self, method: str, path: str, token: str = KEY, **options: Any) -> Any:
        """Send one request as any client would, and return what the answer holds."""
        headers = {"Authorization": f"Token {token}"}
        response = httpx.request(method, self.url + path, headers=headers, timeout=60, **options)
        response.raise_for_status()
        return response.json() if response.content else None

    def project(self, name: str) -> int:
        found = self.request("GET", "/api/projects/", params={"title": name})["results"]
        (project,) = (int(each["id"]) for each in found if each["title"] == name)
        return project

    def has(self, name: str) -> bool:
        return any(each["title"] == name for each in self.request("GET", "/api/projects/")["results"])

    def rows(self, name: str) -> list[int]:
        return [task["data"]["row"] for task in self.tasks(name)]

    def tasks(self, name: str, ordering: str = "tasks:id") -> list[dict[str, Any]]:
        """Return a project's tasks with all that is in them, none where there is no project yet."""
        if not self.has(name):
            return []
        query = f'{{"ordering": ["{ordering}"]}}'
        params = {"project": self.project(name), "page_size": 2000, "fields": "all", "query": query}
        tasks: list[dict[str, Any]] = self.request("GET", "/api/tasks/", params=params)["tasks"]
        return tasks

    def export(self, name: str) -> bytes:
        """Return the project's export as JSON, as the Export button does."""
        path = f"{self.url}/api/projects/{self.project(name)}/export"
        response = httpx.get(path, params={"exportType": "JSON"}, headers={"Authorization": f"Token {KEY}"})
        response.raise_for_status()
        return response.content

    def answer(self, name: str, run: RunDirectory, labels: Mapping[int, str | None], token: str = KEY) -> None:
        """Submit a class for rows of a run, or skip them (None), as the page does."""
        tasks = {task["data"]["record_id"]: task["id"] for task in self.tasks(name)}
        for row, label in labels.items():
            choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
            body = {"result": [choice] if label is not None else [], "was_cancelled": label is None}
            task = tasks[record_id(run.data_fingerprint, row)]
            self.request("POST", f"/api/tasks/{task}/annotations/", token, json=body)

    def sign_up(self) -> Person:
        """Make an account through the page, and its tokens."""
        email = f"{uuid.uuid4().hex[:8]}@example.com"
        with httpx.Client(base_url=self.url, timeout=60) as browser:
            browser.get("/user/signup/")
            form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "email": email, "password": "lossrank-test"}
            assert browser.post("/user/signup/", data=form, headers={"Referer": self.url}).is_redirect
            token = browser.get("/api/current-user/token").json()["token"]
        return Person(email, token, self.request("POST", "/api/token/", token)["token"])

    def names(self) -> Iterator[str]:
        name = f"test {uuid.uuid4().hex[:12]}"
        yield name
        for each in self.request("GET", "/api/projects/", params={"title": name})["results"]:
            self.request("DELETE", f"/api/projects/{each['id']}/")
