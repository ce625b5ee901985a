"""The same ten decisions, made through each server's own API, come back as the same ones and give the same data set."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from cli.review.store import DecisionStore
from scorer import RunDirectory, rank
from tests.servers.argilla_people import Argilla, datasets
from tests.servers.conftest import Rubrix
from tests.servers.label_studio import KEY as LABEL_STUDIO_KEY
from tests.servers.label_studio import LabelStudio, projects
from tests.servers.news import decisions, given, other

pytestmark = pytest.mark.servers
Lossrank = Callable[..., Result]
Labels = dict[int, str | None]


def ten_decisions(run: RunDirectory) -> Labels:
    """Keep the three worst rows, give the next four another class, discard the last three."""
    rows = [row.row for row in rank(run, 10)]
    return {
        **{row: given(row) for row in rows[:3]},
        **{row: other(row) for row in rows[3:7]},
        **dict.fromkeys(rows[7:]),
    }


@pytest.fixture(params=["rubrix", "argilla 1.29", "argilla 2.8", "label-studio"])
def person(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str, Callable[[RunDirectory, Labels], None]]]:
    """What `log` calls a server, a name there, and how a person who uses it answers."""
    for variable in ("RUBRIX_API_KEY", "ARGILLA_API_KEY", "RUBRIX_WORKSPACE", "ARGILLA_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LABEL_STUDIO_KEY)
    if request.param in ("rubrix", "argilla 1.29"):
        old: Rubrix = request.getfixturevalue("rubrix" if request.param == "rubrix" else "argilla1")
        tool = request.param.partition(" ")[0]
        monkeypatch.setenv(f"{tool.upper()}_API_URL", old.url)
        name = f"test-{uuid.uuid4().hex[:12]}"
        yield tool, name, lambda run, labels: old.answer(name, run, labels)
        old.request("DELETE", f"/api/datasets/{name}")
    elif request.param == "argilla 2.8":
        argilla: Argilla = request.getfixturevalue("argilla")
        monkeypatch.setenv("ARGILLA_API_URL", argilla.url)
        for name in datasets(argilla):
            yield "argilla", name, lambda run, labels: argilla.respond(name, run, labels)  # noqa: B023
    else:
        label_studio: LabelStudio = request.getfixturevalue("label_studio")
        monkeypatch.setenv("LABEL_STUDIO_API_URL", label_studio.url)
        for name in projects(label_studio):
            yield "label-studio", name, lambda run, labels: label_studio.annotate(name, run, labels)  # noqa: B023


def corrected(run: RunDirectory, lossrank: Lossrank, out: Path) -> str:
    """Return the hash of the data set that `apply` writes."""
    result = lossrank("apply", run.path, "-o", out)
    assert result.exit_code == 0, result.output
    return hashlib.sha256(out.read_bytes()).hexdigest()


def test_ten_decisions_are_the_same_wherever_they_were_made(
    person: tuple[str, str, Callable[[RunDirectory, Labels], None]],
    run: RunDirectory,
    lossrank: Lossrank,
    tmp_path: Path,
) -> None:
    tool, name, answer = person
    labels = ten_decisions(run)
    assert lossrank("log", run.path, "--to", tool, "--name", name, "--top", 20).exit_code == 0
    answer(run, labels)
    result = lossrank("pull", run.path)
    assert result.stdout == "10 answers: 3 rows kept, 4 relabelled, 3 discarded; 10 decisions are new\n"
    pulled = {row: (verdict, label) for row, (verdict, label, _) in decisions(run).items()}
    output = corrected(run, lossrank, tmp_path / "pulled.parquet")

    for file in run.path.glob("review.sqlite*"):
        file.unlink()
    with DecisionStore(run) as store:  # the same ten, as the page of `review` makes them
        for row, label in labels.items():
            verdict = "discarded" if label is None else "kept" if label == given(row) else "relabelled"
            store.decide(row, verdict, label if verdict == "relabelled" else None, annotator="me")
    assert pulled == {row: (verdict, label) for row, (verdict, label, _) in decisions(run).items()}
    assert output == corrected(run, lossrank, tmp_path / "here.parquet")
