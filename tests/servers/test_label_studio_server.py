"""`lossrank log` and `pull` against a real Label Studio 1.23 server, annotated through its own API."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from lossrank.review.decision import TOGETHER
from lossrank.review.records import record_id
from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.label_studio.api import LabelStudioApi
from lossrank.review.servers.label_studio.record import encode
from lossrank.review.servers.server import Form
from scorer import RunDirectory, join_source, rank
from tests.servers.label_studio import ADMIN, KEY, LabelStudio
from tests.servers.news import Decisions, decisions, given, other, refusal
from tests.servers.process import on
from tests.support.facts import counts, tells
from tests.support.fake_rubrix import make_record
from tests.support.tiny import CLASSES

pytestmark = [pytest.mark.servers, on("label_studio")]
Lossrank = Callable[..., Result]


def test_the_worst_500_arrive_whole_sort_by_loss_and_are_there_once(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    started = time.perf_counter()
    result = lossrank("log", run.path, "--to", "label-studio", "--name", name, "--top", 500)
    print(f"{500 / (time.perf_counter() - started):.0f} records/s")
    assert (result.exit_code, result.stderr) == (0, "")
    done, where, order, following = result.stdout.splitlines()
    assert counts(done) == [500, 500, 0, 0]  # rows, logged, there already, refused
    assert tells(where, f"{server.url}/projects/{server.project(name)}/data")
    assert tells(order, "loss", "descending")
    assert tells(following, f"lossrank pull {run.path}")
    ranked = rank(run, 500)
    texts = join_source(run, ranked)["text"].to_pylist()
    tasks = server.tasks(name, "-tasks:data.loss")
    assert [task["data"]["row"] for task in tasks] == [row.row for row in ranked]
    for task, row, text in zip(tasks, ranked, texts, strict=True):
        predicted = run.class_names[row.predicted]
        assert task["data"] == {
            "text": text,
            "rank": row.rank,
            "row": row.row,
            "record_id": record_id(run.data_fingerprint, row.row),
            "given": given(row.row),
            "predicted": predicted,
            "probability": row.top_prob,
            "loss": row.loss,
            "margin": row.margin,
            "entropy": row.entropy,
        }
        (prediction,) = task["predictions"]
        assert prediction["result"][0]["value"] == {"choices": [predicted]}
        assert prediction["score"] == pytest.approx(row.top_prob)
        assert prediction["model_version"] == "tiny"
        assert task["annotations"] == []

    again = lossrank("log", run.path, "--to", "label-studio", "--name", name, "--top", 510)
    assert counts(again.stdout.splitlines()[0]) == [510, 10, 500, 0]
    assert len(server.tasks(name)) == 510


def test_what_people_annotated_and_skipped_comes_back_and_a_second_log_leaves_it(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    lossrank("log", run.path, "--to", "label-studio", "--name", name, "--top", 30)
    rows = [row.row for row in rank(run, 30)]
    ana = server.sign_up()
    server.answer(name, run, {rows[0]: given(rows[0]), rows[1]: other(rows[1]), rows[2]: None})
    server.answer(name, run, {rows[3]: other(rows[3]), rows[4]: given(rows[4])})
    server.answer(name, run, {rows[3]: other(rows[3]), rows[4]: None}, ana.token)
    server.answer(name, run, {rows[1]: given(rows[1])})  # of one person the latest holds
    lossrank("log", run.path, "--to", "label-studio", "--name", name, "--top", 40)

    result = lossrank("pull", run.path)
    assert result.exit_code == 0, result.output
    assert counts(result.stdout) == [8, 2, 1, 1, 4]  # answers, kept, relabelled, discarded, new
    assert counts(result.stderr.splitlines()[1]) == [1, rows[4]]
    both = TOGETHER.join(sorted([ADMIN, ana.email]))
    expected: Decisions = {
        rows[0]: ("kept", None, ADMIN),
        rows[1]: ("kept", None, ADMIN),
        rows[2]: ("discarded", None, ADMIN),
        rows[3]: ("relabelled", other(rows[3]), both),
    }
    assert decisions(run) == expected
    assert counts(lossrank("pull", run.path).stdout)[-1] == 0

    one = lossrank("pull", run.path, "--policy", f"user={ana.email}", "--from", "label-studio", "--name", name)
    assert counts(one.stdout)[1:4] == [0, 1, 1]  # kept, relabelled, discarded
    assert decisions(run)[rows[4]] == ("discarded", None, ana.email)

    file = tmp_path / "export.json"
    file.write_bytes(server.export(name))
    exported = lossrank("pull", run.path, file)
    assert counts(exported.stdout)[:4] == [8, 2, 1, 1]
    # The file names people by number, so that what ana decided by her name is not theirs to take back.
    verdicts = {row: one[:2] for row, one in decisions(run).items()}
    assert verdicts == {**{row: one[:2] for row, one in expected.items()}, rows[4]: ("discarded", None)}


def test_the_import_file_gives_the_tasks_that_logging_gives(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    lossrank("log", run.path, "--to", "label-studio", "--name", name, "--top", 50)
    logged = [(task["data"], task["predictions"][0]["result"]) for task in server.tasks(name)]
    result = lossrank("log", run.path, "--to", "label-studio", "-o", tmp_path / "tasks.json", "--top", 50)
    config = result.stdout.splitlines()[1].partition("interface: ")[2]
    project = server.request("POST", "/api/projects/", json={"title": f"{name} file", "label_config": config})["id"]
    with (tmp_path / "tasks.json").open("rb") as stream:
        server.request("POST", f"/api/projects/{project}/import", files={"file": ("tasks.json", stream)})
    assert [(task["data"], task["predictions"][0]["result"]) for task in server.tasks(f"{name} file")] == logged


def test_a_personal_access_token_does_as_a_legacy_one(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    ana = server.sign_up()
    key = ("--api-key", ana.personal_token)
    result = lossrank("log", run.path, "--to", "label-studio", "--name", name, "--top", 10, *key)
    assert counts(result.stdout.splitlines()[0])[:3] == [10, 10, 0], result.stderr
    row = rank(run, 1)[0].row
    server.answer(name, run, {row: None}, ana.token)
    assert counts(lossrank("pull", run.path, *key).stdout)[-2:] == [1, 1]  # discarded, new
    assert decisions(run) == {row: ("discarded", None, ana.email)}


@pytest.mark.parametrize("token", ["wrong", "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ.c2lnbmF0dXJl"])
def test_a_wrong_token_is_one_line_without_it(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank, token: str
) -> None:
    for command in (("log", run.path, "--to"), ("pull", run.path, "--from")):
        result = lossrank(*command, "label-studio", "--name", name, "--api-key", token)
        wrong = refusal(result)
        assert f"Label Studio at {server.url}" in wrong
        assert "LABEL_STUDIO_API_KEY" in wrong
        assert token not in wrong


def test_projects_that_are_missing_double_or_ask_something_else(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    to = ("--to", "label-studio", "--name", name)
    missing = lossrank("pull", run.path, "--from", "label-studio", "--name", name)
    assert tells(missing.stderr.splitlines()[-1], "Error", server.url, f"'{name}'", "--name")
    config = '<View><Text name="text" value="$text"/><Choices name="label" toName="text">{}</Choices></View>'
    body = {"title": name, "label_config": config.format('<Choice value="World"/><Choice value="Sports"/>')}
    server.request("POST", "/api/projects/", json=body)
    lacking = lossrank("log", run.path, *to)
    assert tells(lacking.stderr, "Error", f"'{name}'", "'Business'", "--name")
    server.request("POST", "/api/projects/", json=body)
    double = lossrank("log", run.path, *to)
    assert tells(double.stderr, "Error", 2, f"'{name}'")
    assert double.exit_code == 1


def test_names_that_xml_and_the_labelling_interface_read_otherwise(server: LabelStudio, name: str) -> None:
    classes = ('A & B <"x"\'>', "US$5m", "$text", " padded ", "Ünïcode 😀", *(f"class {i}" for i in range(7)))
    form = Form(classes, ("text", "the $question & <answer>"))
    inputs = {"text": "w1", "the $question & <answer>": "w2"}
    records = [make_record(i, inputs=inputs, predicted=(label, 0.5), given=label) for i, label in enumerate(classes)]
    with LabelStudioApi(server.url, KEY) as api:
        project = api.open_project(name, form)
        assert api.open_project(name, form) == project
        sending = ChunkedLog(api, str(project), encode)
        assert list(sending.log(records)) == [12]
        assert sending.refused == []
    tasks = server.tasks(name)
    assert [task["predictions"][0]["result"][0]["value"]["choices"] for task in tasks] == [[one] for one in classes]
    assert {(task["data"]["text"], task["data"]["text_pair"]) for task in tasks} == {("w1", "w2")}
    shown = server.request("GET", f"/api/projects/{project}/")["parsed_label_config"]["label"]
    assert shown["labels"] == list(classes)


def test_a_task_that_the_server_turns_down_costs_only_itself(
    server: LabelStudio, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    config = (
        '<View><Text name="text" value="$text"/><Text name="more" value="$margin"/><Choices name="label" '
        f'toName="text">{"".join(f"""<Choice value="{one}"/>""" for one in CLASSES)}</Choices></View>'
    )
    project = server.request("POST", "/api/projects/", json={"title": name, "label_config": config})["id"]
    lines = [make_record(row, metadata={"row": row, "margin": 0.5}, given="World") for row in range(10)]
    lines[3] = make_record(3)  # without what the project's interface shows
    with LabelStudioApi(server.url, KEY) as api:
        sending = ChunkedLog(api, str(project), encode)
        assert list(sending.log(lines)) == [10]
    assert [(refusal.row, refusal.reason) for refusal in sending.refused] == [
        (3, '"margin" key is expected in task data')
    ]
    assert sending.logged == len(server.tasks(name)) == 9
