"""The real servers that tests/servers/run has started."""

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from scorer import ModelBundle, RunDirectory
from tests.servers.argilla_people import Argilla
from tests.servers.label_studio import LabelStudio
from tests.servers.news import id_of, make_news

HERE = Path(__file__).parent
KEY = "rubrix.apikey"


@dataclass(frozen=True)
class Rubrix:
    """A real Rubrix or Argilla 1.29 server, the first with its real client in an environment of its own."""

    directory: Path
    url: str
    process: str = "rubrix"
    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Rubrix-Api-Key": KEY})

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """Send one request as any client would."""
        return self.request("POST", path, body)

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers=dict(self.headers), timeout=60)

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

    def kill(self) -> None:
        """End the server as a crash does."""
        os.kill(int((self.directory / f"{self.process}.pid").read_text()), signal.SIGKILL)

    def start(self) -> None:
        subprocess.run([HERE / "up", self.directory, self.process], check=True, timeout=120, stdout=subprocess.DEVNULL)


def _up(variable: str, port: int) -> tuple[Path, str]:
    """Return the servers' directory, and the address of the one whose port the variable moves."""
    if "LOSSRANK_SERVERS" not in os.environ:
        pytest.skip("no servers: make test-servers starts them")
    return Path(os.environ["LOSSRANK_SERVERS"]), f"http://127.0.0.1:{os.environ.get(variable, port)}"


@pytest.fixture(scope="session")
def rubrix() -> Rubrix:
    return Rubrix(*_up("LOSSRANK_RUBRIX_PORT", 16900))


@pytest.fixture(scope="session")
def argilla1() -> Rubrix:
    headers = {"X-Argilla-Api-Key": "argilla.apikey", "X-Argilla-Workspace": "argilla"}
    return Rubrix(*_up("LOSSRANK_ARGILLA1_PORT", 16902), "argilla1", headers)


@pytest.fixture(scope="session")
def argilla() -> Argilla:
    return Argilla(*_up("LOSSRANK_ARGILLA_PORT", 16901))


@pytest.fixture(scope="session")
def label_studio() -> LabelStudio:
    return LabelStudio(*_up("LOSSRANK_LABELSTUDIO_PORT", 18080))


@pytest.fixture
def run(tiny_bundle: ModelBundle, tmp_path: Path) -> RunDirectory:
    """A scored run of the test's own."""
    return make_news(tiny_bundle, tmp_path)


@pytest.fixture
def name(rubrix: Rubrix, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A data set name of the test's own, on the server that the command line finds in its environment."""
    monkeypatch.setenv("RUBRIX_API_URL", rubrix.url)
    for variable in ("RUBRIX_API_KEY", "RUBRIX_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    rubrix.request("DELETE", f"/api/datasets/{name}")
