"""A real Argilla 2.8 server, and the people who use it as their browsers do."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from scorer import RunDirectory
from tests.servers.news import id_of
from tests.servers.process import HERE, RealServer

KEY = "argilla.apikey"
OWNER = "argilla"


@dataclass(frozen=True)
class Person:
    """Somebody with an account, in the workspace."""

    name: str
    key: str


@dataclass(frozen=True)
class Argilla(RealServer):
    """Argilla 2.8, with the real client in its environment."""

    def request(self, method: str, path: str, key: str = KEY, **options: Any) -> Any:
        """Send one request as any client would, and return what the answer holds."""
        headers = {"X-Argilla-Api-Key": key}
        response = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, **options)
        response.raise_for_status()
        return response.json() if response.content else None

    def dataset(self, name: str) -> str | None:
        """Return a data set's id, None where there is no such data set."""
        found = self.request("GET", "/me/datasets")["items"]
        return next((str(one["id"]) for one in found if one["name"] == name), None)

    def has(self, name: str) -> bool:
        return self.dataset(name) is not None

    def rows(self, name: str) -> list[int]:
        return [record["metadata"]["row"] for record in self.records(name)]

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return a data set's records with the responses, none where there is no data set yet."""
        if (dataset := self.dataset(name)) is None:
            return []
        query = {"limit": 1000, "include": "responses"}
        records: list[dict[str, Any]] = self.request("GET", f"/datasets/{dataset}/records", params=query)["items"]
        return records

    def answer(
        self, name: str, run: RunDirectory, labels: Mapping[int, str | None], key: str = KEY, status: str = "submitted"
    ) -> None:
        """Submit a class for rows of a run, or discard them (None), as the page does."""
        records = {record["external_id"]: record["id"] for record in self.records(name)}
        for row, label in labels.items():
            body: dict[str, Any] = {"values": {"label": {"value": label}}, "status": status}
            if label is None:
                body = {"values": {}, "status": "discarded"}
            self.request("POST", f"/records/{records[id_of(run, row)]}/responses", key, json=body)

    def change_mind(self, name: str, run: RunDirectory, row: int, label: str) -> None:
        """Submit another class for a row that the owner has answered before."""
        (record,) = (one for one in self.records(name) if one["external_id"] == id_of(run, row))
        body = {"values": {"label": {"value": label}}, "status": "submitted"}
        self.request("PUT", f"/responses/{record['responses'][0]['id']}", json=body)

    def sign_up(self, role: str = "annotator") -> Person:
        """Make an account in the workspace, as the owner does."""
        name = f"u{uuid.uuid4().hex[:8]}"
        body = {"username": name, "first_name": name, "password": "lossrank-test", "role": role}
        user = self.request("POST", "/users", json=body)
        (workspace,) = self.request("GET", "/me/workspaces")["items"]
        self.request("POST", f"/workspaces/{workspace['id']}/users", json={"user_id": user["id"]})
        return Person(name, user["api_key"])

    def read_back(self, name: str, status: str | None = None) -> list[dict[str, Any]]:
        """Load a data set with the real client, sorted by id; with a status, those with such a response."""
        command = [str(self.directory / "argilla/bin/python"), str(HERE / "witness_argilla.py"), self.url, name]
        environment = {"PATH": os.environ["PATH"], "ARGILLA_API_KEY": KEY}
        done = subprocess.run(
            command + ([status] if status else []), env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        records: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return sorted(records, key=lambda record: record["id"])

    def names(self) -> Iterator[str]:
        name = f"test {uuid.uuid4().hex[:12]}"
        yield name
        if (dataset := self.dataset(name)) is not None:
            self.request("DELETE", f"/datasets/{dataset}")
