"""An Argilla 2.8 server in memory, which the real SDK talks to, with the ways to fail that the real one has.

tests/servers has the real one; this one fails on demand.
"""

import functools
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lossrank.review.servers.argilla.server import Argilla2Server, connect
from lossrank.review.servers.rubrix.api import RubrixApi
from lossrank.review.servers.server import Account, Form

URL = "http://argilla.test:6900"
KEY = "a-secret-key"
FORM = Form(("World", "Sports", "Business"), ("text",))
OWNER, ANA, BEN = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
USERS = {OWNER: "owner", ANA: "ana", BEN: "ben"}
Item = dict[str, Any]
_AT = "2026-01-01T10:00:00.5"


class FakeArgilla(httpx.MockTransport):
    """``datasets`` are what was made, with its ``records`` in order; ``bulks`` the external ids of each bulk that came.

    ``before`` is called with each request: it may return an answer of its own, raise, or change what is stored.
    ``bad`` names external ids that are refused, the way ``refusal`` says: ``words`` and ``places`` are 422 in the
    server's two ways, ``crash`` a 500 that stores none, ``half`` one that stores all. ``role`` is the key's user's.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.workspaces = ["team"]
        self.datasets: list[Item] = []
        self.records: list[Item] = []
        self.requests: list[httpx.Request] = []
        self.bulks: list[list[str]] = []
        self.bad: set[str] = set()
        self.refusal = "words"
        self.role = "owner"
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def respond(self, external_id: str, user: str, label: str | None, status: str = "submitted", at: str = _AT) -> None:
        """Answer a record as the page does; no label discards it."""
        (record,) = (record for record in self.records if record["external_id"] == external_id)
        values = {} if label is None else {"label": {"value": label}}
        status = "discarded" if label is None else status
        said = {"values": values, "status": status, "user_id": user, "inserted_at": _AT, "updated_at": at}
        others = [response for response in record["responses"] if response["user_id"] != user]
        record["responses"] = [*others, said]

    def store(self, items: list[Item]) -> None:
        self.records += [{**item, **_stamp(), "responses": []} for item in items]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.before(request)
        if answer is not None:
            return answer
        path = request.url.path.removeprefix("/api/v1/")
        if path == "version":
            return httpx.Response(200, json={"version": "2.8.0"})
        if path.startswith("/"):
            return httpx.Response(200, text="<!doctype html><title>Argilla</title>")
        if request.headers.get("X-Argilla-Api-Key") != KEY:
            return httpx.Response(401, json={"detail": {"code": "unauthorized", "message": "no such key"}})
        parts = path.removeprefix("me/").split("/") if path != "me" else ["me"]
        body = json.loads(request.content) if request.content else {}
        if parts[0] == "datasets" and len(parts) > 1:
            return self._of_dataset(request, parts[1], parts[2:], body)
        if parts[0] == "datasets" and request.method == "POST":
            if any(one["name"] == body["name"] for one in self.datasets):
                return httpx.Response(409, json={"detail": f"Dataset with name `{body['name']}` already exists"})
            self.datasets.append({**body, **_stamp(), "status": "draft", "guidelines": None})
            return httpx.Response(201, json=self.datasets[-1])
        if parts[0] in ("fields", "questions", "metadata-properties"):
            found = (one for dataset in self.datasets for one in dataset.get(parts[0], []) if one["id"] == parts[1])
            return httpx.Response(200, json=next(found))
        if parts[0] == "users" and self.role != "owner":
            return httpx.Response(403, json={"detail": "Operation not allowed"})
        if parts[0] == "users" or parts[-1] == "users":
            return _items(_user(user, self.role) for user in USERS)
        if parts[0] == "me":
            return httpx.Response(200, json=_user(OWNER, self.role))
        if parts[0] == "workspaces" and len(parts) == 1:
            return _items(_workspace(name) for name in self.workspaces)
        if parts[0] == "workspaces":
            return httpx.Response(200, json=next(_workspace(n) for n in self.workspaces if _id(n) == parts[1]))
        return _items(self.datasets)

    def _of_dataset(self, request: httpx.Request, id: str, parts: list[str], body: Item) -> httpx.Response:
        dataset = next((one for one in self.datasets if one["id"] == id), None)
        if dataset is None:
            return httpx.Response(404, json={"detail": f"Dataset with id `{id}` not found"})
        if parts == ["records", "bulk"]:
            return self._bulk(body["items"])
        if parts == ["records"]:
            offset, limit = (int(request.url.params[key]) for key in ("offset", "limit"))
            page = self.records[offset : offset + limit]
            if "responses" not in request.url.params.get_list("include"):
                page = [{key: value for key, value in record.items() if key != "responses"} for record in page]
            return httpx.Response(200, json={"items": page, "total": len(self.records)})
        if parts == ["publish"]:
            dataset["status"] = "ready"
        elif parts and request.method == "POST":
            dataset.setdefault(parts[0], []).append({**body, **_stamp()})
            return httpx.Response(201, json=dataset[parts[0]][-1])
        elif parts:
            return _items(dataset.get(parts[0], []))
        elif request.method == "PATCH":
            dataset |= {key: value for key, value in body.items() if value is not None}
        return httpx.Response(200, json=dataset)

    def _bulk(self, items: list[Item]) -> httpx.Response:
        ids = [item["external_id"] for item in items]
        self.bulks.append(ids)
        there = {record["external_id"] for record in self.records}
        if found := [id for id in ids if id in there]:
            return httpx.Response(422, json={"detail": f"found records with same external ids: {', '.join(found)}"})
        bad = [place for place, id in enumerate(ids) if id in self.bad]
        if bad and self.refusal == "words":
            why = "metadata is not valid: 'loss' metadata property validation failed because 'x' is not a float."
            return httpx.Response(422, json={"detail": f"Record at position {bad[0]} is not valid because {why}"})
        if bad and self.refusal == "places":
            error = {"loc": ["body", "items", bad[0], "suggestions", 0, "score"], "msg": "score must be in 0 to 1"}
            detail = {"code": "argilla.api.errors::ValidationError", "params": {"errors": [error]}}
            return httpx.Response(422, json={"detail": detail})
        if not bad or self.refusal == "half":
            self.store(items)
        if bad:
            params = {"type": "x.Error", "message": "something broke"}
            return httpx.Response(
                500, json={"detail": {"code": "argilla.api.errors::GenericServerError", "params": params}}
            )
        return httpx.Response(201, json={"items": self.records[-len(items) :]})


def talk_to(server: httpx.BaseTransport, patch: pytest.MonkeyPatch) -> None:
    """Put a server in memory behind every client that is made, the SDK's as well; pauses take no time."""
    patch.setattr("httpx.HTTPTransport", lambda **options: server)
    patch.setattr("lossrank.review.servers.argilla.server.RubrixApi", functools.partial(RubrixApi, transport=server))
    patch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    patch.delenv("ARGILLA_WORKSPACE", raising=False)
    patch.setenv("ARGILLA_API_URL", URL)
    patch.setenv("ARGILLA_API_KEY", KEY)


def client(**options: Any) -> Argilla2Server:
    """A client of the server in memory."""
    made = connect(Account(URL, options.pop("key", KEY), options.pop("workspace", None)), lambda reason, seconds: None)
    assert isinstance(made, Argilla2Server)
    return made


def opened(name: str = "d", form: Form = FORM) -> Argilla2Server:
    """A client with an open data set."""
    made = client()
    made.open(name, form)
    return made


def _stamp() -> Item:
    return {"id": str(uuid.uuid4()), "inserted_at": _AT, "updated_at": _AT}


def _id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def _workspace(name: str) -> Item:
    return {**_stamp(), "id": _id(name), "name": name}


def _user(id: str, role: str) -> Item:
    return {**_stamp(), "id": id, "username": USERS[id], "first_name": "", "role": role, "api_key": f"key-of-{id}"}


def _items(items: Any) -> httpx.Response:
    return httpx.Response(200, json={"items": list(items)})
