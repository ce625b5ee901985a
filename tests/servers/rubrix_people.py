"""A real Rubrix 0.18 or Argilla 1.29 server, and the people who use it as their browsers do."""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from scorer import RunDirectory
from tests.servers.news import id_of
from tests.servers.process import HERE, RealServer

KEY = "rubrix.apikey"


@dataclass(frozen=True)
class Rubrix(RealServer):
    """Rubrix 0.18, with its real client in an environment of its own, or Argilla 1.29."""

    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Rubrix-Api-Key": KEY})

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """Send one request as any client would."""
        return self.request("POST", path, body)

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers=dict(self.headers), timeout=60)

    def has(self, name: str) -> bool:
        return self.request("GET", f"/api/datasets/{name}").status_code != 404

    def rows(self, name: str) -> list[int]:
        answer = self.post(f"/api/datasets/{name}/TextClassification:search?limit=1000", {})
        return [record["metadata"]["row"] for record in answer.json()["records"]] if answer.is_success else []

    def bulk(self, name: str, records: list[dict[str, Any]]) -> None:
        """Store records, as a person's browser does."""
        body = {"tags": {}, "metadata": {}, "records": records}
        self.post(f"/api/datasets/{name}/TextClassification:bulk", body).raise_for_status()

    def answer(self, name: str, run: RunDirectory, labels: Mapping[int, str | None], who: str = "ana") -> None:
        """Validate rows of a run with a class, or discard them (None), as the page does."""
        by_id = {id_of(run, row): label for row, label in labels.items()}
        query = {"query": {"ids": list(by_id)}}
        found = self.post(f"/api/datasets/{name}/TextClassification:search?limit=1000", query).json()["records"]
        assert len(found) == len(by_id)
        for record in found:
            label = by_id[record["id"]]
            record["status"] = "Discarded" if label is None else "Validated"
            if label is not None:
                record["annotation"] = {"agent": who, "labels": [{"class": label, "score": 1.0}]}
        kept = ("id", "inputs", "prediction", "annotation", "status", "metadata")
        self.bulk(name, [{key: record.get(key) for key in kept} for record in found])

    def read_back(self, name: str, query: str | None = None) -> list[dict[str, Any]]:
        """Load a data set with the real client, sorted by id."""
        command = [str(self.directory / "rubrix/bin/python"), str(HERE / "witness.py"), self.url, name]
        environment = {"PATH": os.environ["PATH"], "RUBRIX_API_KEY": KEY, "RUBRIX_ENABLE_TELEMETRY": "0"}
        done = subprocess.run(
            command + ([query] if query else []), env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        records: list[dict[str, Any]] = json.loads(done.stdout)
        return sorted(records, key=lambda record: record["id"])

    def count(self, name: str) -> int:
        answer = self.post(f"/api/datasets/{name}/TextClassification:search?limit=1", {})
        return int(answer.json()["total"]) if answer.is_success else 0

    def set_labels(self, name: str, labels: list[str]) -> None:
        """Give a data set a label schema; the path has the task as the server's Python happens to spell it."""
        paths = self.request("GET", "/api/docs/spec.json").json()["paths"]
        path = next(path for path in paths if re.search(r"/\w*\.?text_?classification/\{name\}/settings", path, re.I))
        body = {"label_schema": {"labels": labels}}
        self.request("PUT", path.replace("{name}", name), body).raise_for_status()

    def names(self) -> Iterator[str]:
        name = f"test-{uuid.uuid4().hex[:12]}"
        yield name
        self.request("DELETE", f"/api/datasets/{name}")
