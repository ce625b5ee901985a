"""Argilla 2.x by its SDK: its data sets, and what goes wrong at the start, against a server in memory."""

import json
import logging
from typing import Any

import httpx
import pytest

from lossrank.review.decision import ServerDataset
from lossrank.review.servers.argilla.server import connect
from lossrank.review.servers.rubrix.api import RubrixApi
from lossrank.review.servers.server import Account, Form, ReviewError
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, rank
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, facts, tells
from tests.support.fake_argilla import FORM, KEY, URL, FakeArgilla, client, opened, talk_to
from tests.support.fake_rubrix import FakeRubrix
from tests.support.tiny import CLASSES


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeArgilla:
    server = FakeArgilla()
    talk_to(server, monkeypatch)
    return server


# The data set


def test_a_data_set_asks_for_one_class_and_has_what_is_sorted_and_filtered_by(server: FakeArgilla) -> None:
    made = client()
    place = made.open("AG News", Form(("World", "Sci/Tech"), ("text", "Antwort")))
    assert place == ServerDataset("argilla", URL, "team", "AG News")
    (dataset,) = server.datasets
    assert (dataset["name"], dataset["status"]) == ("AG News", "ready")
    assert [field["name"] for field in dataset["fields"]] == ["text", "Antwort"]
    (question,) = dataset["questions"]
    assert (question["name"], question["settings"]["type"]) == ("label", "label_selection")
    assert [option["value"] for option in question["settings"]["options"]] == ["World", "Sci/Tech"]
    kinds = {one["name"]: one["settings"]["type"] for one in dataset["metadata-properties"]}
    assert kinds == {
        **dict.fromkeys(("loss", "margin", "entropy"), "float"),
        **dict.fromkeys(("rank", "row"), "integer"),
        **dict.fromkeys(("given", "predicted", "precision", "id"), "terms"),
    }
    assert made.page(place) == f"{URL}/dataset/{dataset['id']}/annotation-mode"
    assert client().open("AG News", Form(("World",), ("text",))) == place
    assert len(server.datasets) == 1


def test_a_data_set_that_another_made_meanwhile_is_used(server: FakeArgilla) -> None:
    opened("d")
    theirs = server.datasets.pop()

    def before(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("/datasets"):
            server.datasets[:] = [theirs]

    server.before = before
    assert client().open("d", FORM).name == "d"
    assert server.datasets == [theirs]


@pytest.mark.parametrize(
    ("form", "named"),
    [
        (Form(("World", "Odd"), ("text",)), ["'d'", "label", "'Odd'"]),
        (Form(("World",), ("text", "second")), ["'d'", "field", "'second'"]),
    ],
)
def test_a_data_set_that_asks_something_else_is_not_used(server: FakeArgilla, form: Form, named: list[str]) -> None:
    opened()
    with pytest.raises(ReviewError, match=facts(*named)):
        client().open("d", form)


def test_a_question_of_another_kind_is_not_used(server: FakeArgilla) -> None:
    opened()
    server.datasets[0]["questions"][0]["settings"] = {"type": "text", "use_markdown": False}
    with pytest.raises(ReviewError, match=facts("question", "'label'")):
        opened()


_MAKING = ("POST", "PATCH", "PUT")


@pytest.mark.parametrize("done", range(15))
def test_a_draft_that_a_killed_log_left_is_finished_wherever_it_was(server: FakeArgilla, done: int) -> None:
    class Killed(BaseException):
        """Nothing of the SDK catches it, as nothing does SIGKILL."""

    opened("whole")
    steps = len([request for request in server.requests if request.method in _MAKING])
    assert steps == 14
    server.requests.clear()

    def before(request: httpx.Request) -> None:
        if len([each for each in server.requests if each.method in _MAKING]) > done:
            raise Killed

    server.before = before
    if done < steps:
        with pytest.raises(Killed):
            opened()
    server.before = lambda request: None
    server.requests.clear()
    opened()
    assert not [request for request in server.requests if request.method == "DELETE"]
    whole, made = server.datasets
    for key in ("status", "guidelines", "allow_extra_metadata"):
        assert made[key] == whole[key]
    for kind in ("fields", "questions", "metadata-properties"):
        assert [(one["name"], one["settings"]) for one in made[kind]] == [
            (one["name"], one["settings"]) for one in whole[kind]
        ]


def test_a_draft_that_somebody_is_making_is_left_to_them(server: FakeArgilla) -> None:
    opened()
    (theirs,) = server.datasets
    theirs["status"] = "draft"
    properties, theirs["metadata-properties"] = theirs["metadata-properties"], []

    def before(request: httpx.Request) -> None:
        if request.method == "GET" and request.url.path.endswith("/me/datasets"):
            theirs["metadata-properties"] = properties[: len(theirs["metadata-properties"]) + 4]
            theirs["status"] = "draft" if theirs["metadata-properties"] != properties else "ready"

    server.before = before
    server.requests.clear()
    opened()
    assert {request.method for request in server.requests} == {"GET"}
    assert theirs["status"] == "ready"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("fields", {"name": "mine"}),
        ("questions", {"required": False}),
        ("questions", {"settings": {"type": "label_selection", "options": [{"value": "World", "text": "World"}]}}),
        ("metadata-properties", {"settings": {"type": "terms", "values": None}}),
    ],
)
def test_a_draft_with_other_settings_is_not_used(server: FakeArgilla, kind: str, change: dict[str, Any]) -> None:
    opened()
    server.datasets[0]["status"] = "draft"
    server.datasets[0][kind][0] |= change
    server.requests.clear()
    with pytest.raises(ReviewError, match=facts("'d'", "draft")):
        opened()
    assert {request.method for request in server.requests} == {"GET"}


@pytest.mark.parametrize("classes", [("one",), ("World", "x" * 201)])
def test_classes_that_argilla_cannot_offer(server: FakeArgilla, classes: tuple[str, ...]) -> None:
    with pytest.raises(ReviewError, match=facts("classes", 2, 200)):
        client().open("d", Form(classes, ("text",)))
    assert server.datasets == []


def test_the_workspace_is_the_only_one_or_the_users_own_or_said(server: FakeArgilla) -> None:
    server.workspaces = ["team", "other"]
    with pytest.raises(ReviewError, match=facts("other, team", "workspace", "ARGILLA_WORKSPACE")):
        client().open("d", FORM)
    with pytest.raises(ReviewError, match=facts("'nowhere'", "other, team", "workspace")):
        client(workspace="nowhere").open("d", FORM)
    assert client(workspace="other").open("d", FORM).workspace == "other"
    server.workspaces.append("owner")
    assert client().open("e", FORM).workspace == "owner"


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\nb"])
def test_bad_names_are_refused_before_a_data_set_is_asked_for(server: FakeArgilla, name: str) -> None:
    with pytest.raises(ReviewError, match=facts("Argilla", "data set name")):
        client().check_name(name)


# The other servers, and what goes wrong at the start


def test_argilla_1_is_spoken_to_as_rubrix_was(
    fresh: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeRubrix(argilla=True)
    talk_to(server, monkeypatch)
    result = lossrank("log", fresh.path, "--to", "argilla", "--name", "d", "--top", 20)
    done, where, *_ = result.stdout.splitlines()
    assert counts(done) == [20, 20, 0, 0]  # rows, logged, there already, refused
    assert tells(where, f"{URL}/datasets/rubrix/d")
    assert "workspace" not in json.loads(server.requests[3].content)
    assert server.requests[3].headers["X-Argilla-Workspace"] == "rubrix"
    worst = rank(fresh, 2)
    first, second = (f"{fresh.data_fingerprint[:12]}-{row.row:09d}" for row in worst)
    server.answer(first, CLASSES[worst[0].predicted])
    server.answer(second, None)
    again = lossrank("log", fresh.path, "--to", "argilla", "--name", "d", "--top", 21)
    assert counts(again.stdout.splitlines()[0]) == [21, 1, 20, 0]
    result = lossrank("pull", fresh.path)
    assert counts(result.stdout) == [2, 0, 1, 1, 2]
    with DecisionStore(fresh) as store:
        decisions = store.current()
    assert {(one.source, one.annotator) for one in decisions.values()} == {("argilla", "ana"), ("argilla", "unknown")}


def test_a_rubrix_server_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    talk_to(FakeRubrix(), monkeypatch)
    with pytest.raises(ReviewError, match=facts("Rubrix 0.18.0", URL, "`to='rubrix'`", "`source='rubrix'`")):
        client()


def test_argilla_2_says_so_to_who_takes_it_for_rubrix(server: FakeArgilla) -> None:
    with (
        RubrixApi(URL, KEY, transport=server) as api,
        pytest.raises(ReviewError, match=facts("Argilla 2.8.0", URL, "`to='argilla'`", "`source='argilla'`")),
    ):
        api.open_dataset("d")


def test_without_the_sdk_the_line_says_how_to_install_it(
    server: FakeArgilla, fresh: RunDirectory, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "argilla", None)
    result = lossrank("log", fresh.path, "--to", "argilla", "--name", "d")
    assert result.exit_code == 1
    assert tells(error_line(result), "Argilla 2.8.0", "pip install 'lossrank[argilla]'")


def test_a_wrong_key_is_one_line_without_it(server: FakeArgilla, fresh: RunDirectory, lossrank: Lossrank) -> None:
    result = lossrank("log", fresh.path, "--to", "argilla", "--name", "d", "--api-key", "not-the-key")
    assert result.exit_code == 1
    assert tells(error_line(result), URL, 401, "--api-key", "ARGILLA_API_KEY")
    assert "not-the-key" not in result.output


@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 409, 422, 429, 500, 503])
def test_no_message_tells_the_key_or_a_password(
    server: FakeArgilla, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("lossrank.review.servers.argilla.api.FIRST_WAIT", 0.01)
    said: list[str] = []

    def echo(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith(("/_info", "/version")):
            return None
        told = f"{request.headers['X-Argilla-Api-Key']} {request.headers['Authorization']} pass-word"
        return httpx.Response(status, json={"detail": told})

    server.before = echo
    account = Account("http://some%40one:pass-word@argilla.test:6900", KEY)
    made = connect(account, lambda reason, seconds: said.append(reason))
    with pytest.raises(ReviewError) as caught:
        made.open("d", FORM)
    said += [str(caught.value), repr(made), caplog.text]
    assert not [text for text in said if KEY in text or "pass-word" in text]


def test_the_sdk_prints_nothing_and_leaves_the_root_logger_as_it_was(
    server: FakeArgilla, fresh: RunDirectory, lossrank: Lossrank
) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    result = lossrank("log", fresh.path, "--to", "argilla", "--name", "d", "--top", 30)
    assert result.stderr == ""
    done, _, order, _ = result.stdout.splitlines()
    assert counts(done) == [30, 30, 0, 0]
    assert tells(order, "Sort, Metadata, loss, descending")
    assert root.handlers == before
