"""The real servers that tests/servers/run has started."""

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
KEY = "rubrix.apikey"


@dataclass(frozen=True)
class Rubrix:
    """A real Rubrix server, and the real client in an environment of its own."""

    directory: Path
    url: str

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """Send one request as any client would."""
        return self.request("POST", path, body)

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers={"X-Rubrix-Api-Key": KEY}, timeout=60)

    def bulk(self, name: str, records: list[dict[str, Any]]) -> None:
        """Store records, as a person's browser does."""
        body = {"tags": {}, "metadata": {}, "records": records}
        self.post(f"/api/datasets/{name}/TextClassification:bulk", body).raise_for_status()

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

    def kill(self) -> None:
        """End the server as a crash does."""
        os.kill(int((self.directory / "rubrix.pid").read_text()), signal.SIGKILL)

    def start(self) -> None:
        subprocess.run([HERE / "up", self.directory, "rubrix"], check=True, timeout=120, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def rubrix() -> Rubrix:
    if "LOSSRANK_SERVERS" not in os.environ:
        pytest.skip("no servers: make test-servers starts them")
    port = os.environ.get("LOSSRANK_RUBRIX_PORT", "16900")
    return Rubrix(Path(os.environ["LOSSRANK_SERVERS"]), f"http://127.0.0.1:{port}")


@pytest.fixture
def name(rubrix: Rubrix, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A data set name of the test's own, on the server that the command line finds in its environment."""
    monkeypatch.setenv("RUBRIX_API_URL", rubrix.url)
    for variable in ("RUBRIX_API_KEY", "RUBRIX_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    rubrix.request("DELETE", f"/api/datasets/{name}")
