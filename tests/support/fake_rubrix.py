"""A Rubrix 0.18 or Argilla 1.29 server in memory, behind httpx.MockTransport, with the ways to fail of the real ones.

tests/servers has the real ones; this one fails on demand.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lossrank.review.records import ReviewRecord
from lossrank.review.servers.rubrix.api import RubrixApi

URL = "http://rubrix.test:6900"
KEY = "a-secret-key"
Record = dict[str, Any]


class FakeRubrix(httpx.MockTransport):
    """``records`` are what is stored, by id; ``bulks`` the ids of each bulk that came, good or bad.

    ``before`` is called with each request: it may return an answer of its own, raise, or change what is stored.
    ``bad`` names ids that are refused, the way ``refusal`` says: ``positions`` and ``plain`` are 422 with and without
    the record's place, ``schema`` is 400, ``index`` is a 500 that stores the others, ``crash`` one that stores none.
    ``argilla`` says that it is Argilla; its user is called ``rubrix`` all the same.
    """

    def __init__(self, dataset: str | None = None, task: str = "TextClassification", *, argilla: bool = False) -> None:
        super().__init__(self._answer)
        self.argilla = argilla
        self.datasets = {} if dataset is None else {dataset: task}
        self.records: dict[str, Record] = {}
        self.requests: list[httpx.Request] = []
        self.bulks: list[list[str]] = []
        self.overwritten: list[str] = []
        self.bad: set[str] = set()
        self.refusal = "plain"
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.before(request)
        if answer is not None:
            return answer
        if request.url.path.endswith("/api/_info"):
            return httpx.Response(200, json={"version": "1.29.0"} if self.argilla else {"rubrix_version": "0.18.0"})
        if request.url.path.endswith("/api/v1/version"):
            return httpx.Response(404, json={"detail": "Not Found"})
        header = "X-Argilla-" if self.argilla else "X-Rubrix-"
        if request.headers.get(f"{header}Api-Key") != KEY:
            return error(401, "UnauthorizedError", detail="Could not validate credentials")
        if request.url.path.endswith("/api/me"):
            return httpx.Response(200, json={"username": "rubrix", "workspaces": ["", "rubrix", "team"]})
        workspace = request.headers.get(f"{header}Workspace", "" if self.argilla else "rubrix")
        if not workspace:
            return error(400, "MissingInputParamError", message="A workspace must be provided")
        if workspace not in ("rubrix", "team"):
            return error(404, "EntityNotFoundError", name=workspace, type="Workspace")
        if request.url.path.endswith("/api/datasets"):
            wanted = json.loads(request.content)
            if wanted["name"] in self.datasets:
                return error(409, "EntityAlreadyExistsError", name=wanted["name"])
            self.datasets[wanted["name"]] = wanted["task"]
            return httpx.Response(200, json=wanted)
        name = request.url.path.split("/api/datasets/")[1].split("/")[0]
        if name not in self.datasets:
            return error(404, "EntityNotFoundError", name=name, type="ServiceDataset")
        if request.url.path.endswith(":bulk"):
            return self._bulk(json.loads(request.content)["records"])
        if request.url.path.endswith("/data" if not self.argilla else "/records/:search"):
            return self._read(request)
        return httpx.Response(200, json={"name": name, "task": self.datasets[name]})

    def _read(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        query = body["query"] if self.argilla else body
        after = body["next_idx"] if self.argilla else request.url.params.get("id_from")
        found = [
            record
            for id, record in sorted(self.records.items())
            if id in query.get("ids", [id]) and record.get("status") in query.get("status", [record.get("status")])
            if after is None or id > after
        ][: int(request.url.params["limit"])]
        if not self.argilla:
            return httpx.Response(200, text="".join(json.dumps(record) + "\n" for record in found))
        # Argilla returns its index's documents, in which an annotation's class has another key.
        documents = json.dumps([{key: record.get(key) for key in body["fields"]} for record in found])
        return httpx.Response(200, text='{"records": ' + documents.replace('"class":', '"class_label":') + "}")

    def answer(self, id: str, label: str | None, agent: str = "ana", at: str = "2026-01-01T10:00:00.5") -> None:
        """Validate a record with a label, or discard it (None), as the page does."""
        record = self.records[id]
        record |= {"status": "Discarded" if label is None else "Validated", "last_updated": at}
        if label is not None:
            record["annotation"] = {"agent": agent, "labels": [{"class": label, "score": 1.0}]}

    def _bulk(self, records: list[Record]) -> httpx.Response:
        self.bulks.append([record["id"] for record in records])
        bad = [i for i, record in enumerate(records) if record["id"] in self.bad]
        if bad and self.refusal in ("positions", "plain"):
            place = ["body", "records", bad[0]] if self.refusal == "positions" else []
            return error(422, "ValidationError", errors=[{"loc": [*place, "annotation"], "msg": "no good"}])
        if bad and self.refusal == "schema":
            return error(400, "BadRequestError", message="the label Odd is not included in the labels schema")
        if bad and self.refusal == "crash":
            return error(500, "GenericRubrixServerError", message="'utf-8' codec can't encode character")
        self.store(record for i, record in enumerate(records) if i not in bad)
        if bad:
            return error(500, "GenericRubrixServerError", message=index_message(records[bad[0]]))
        return httpx.Response(200, json={"dataset": "d", "processed": len(records), "failed": 0})

    def store(self, records: Any) -> None:
        for record in records:
            if record["id"] in self.records:
                self.overwritten.append(record["id"])
            self.records[record["id"]] = record


def error(status: int, code: str, **params: Any) -> httpx.Response:
    """An error as the real server words it."""
    return httpx.Response(status, json={"detail": {"code": f"rubrix.api.errors::{code}", "params": params}})


def index_message(record: Record) -> str:
    """What the real server says of a document that OpenSearch turned down: all of it, text and all."""
    return (
        "('1 document(s) failed to index.', [{'index': {'_index': '.rubrix.dataset.rubrix.d.records-v0', '_id': "
        f"{record['id']!r}, 'status': 400, 'error': {{'type': 'mapper_parsing_exception', 'reason': \"failed to parse "
        f"field [metadata.loss] of type [float]. Preview of field's value: 'abc'\"}}, 'data': {record!r}}}}}])"
    )


def make_record(row: int, **changes: Any) -> ReviewRecord:
    """A record of the data set ``abc``."""
    return ReviewRecord(
        **{
            "id": f"abc-{row:09d}",
            "row": row,
            "inputs": {"text": f"Oil prices rose, says source number {row}"},
            "predicted": ("Business", 0.75),
            "predicted_by": "some/model",
            "given": "World",
            "given_by": "ag_news",
            "metadata": {"row": row, "loss": 2.5},
            **changes,
        }
    )


def connect(server: httpx.BaseTransport, url: str = URL, key: str = KEY, **options: Any) -> RubrixApi:
    """A client of the server in memory."""
    return RubrixApi(url, key, transport=server, **options)


def talk_to(server: httpx.BaseTransport, patch: pytest.MonkeyPatch) -> None:
    """Put a server in memory behind the commands; pauses take no time."""
    patch.setattr("lossrank.review.servers.rubrix.server.RubrixApi", functools.partial(RubrixApi, transport=server))
    patch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    patch.delenv("RUBRIX_WORKSPACE", raising=False)
    patch.setenv("RUBRIX_API_URL", URL)
    patch.setenv("RUBRIX_API_KEY", KEY)
