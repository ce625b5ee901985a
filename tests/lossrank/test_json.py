"""For each command, what ``--json`` prints is the result of the Python API."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossrank as lr
from cli.commands import COMMANDS
from cli.commands.demo import BUNDLE, DATA
from scorer import ModelBundle
from tests.support.commands import Lossrank, document
from tests.support.fake_rubrix import FakeRubrix, talk_to

CHANGES = {3: lr.KEEP, 5: lr.DISCARD, 8: "Sports"}


def plain(result: Any) -> dict[str, Any]:
    """Return a result as a JSON document, checking that it has nothing that JSON can't hold."""
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert isinstance(found, dict)
    return found


@pytest.fixture
def twice(run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of the scored run with the same decisions, one for the API and one for the command."""
    both = tmp_path / "api" / "run", tmp_path / "command" / "run"
    for copy in both:
        shutil.copytree(run, copy)
        for file in copy.glob("review.sqlite*"):
            file.unlink()
        lr.open_run(copy).decide(CHANGES, annotator="ann")
    return both


def same(found: dict[str, Any], expected: dict[str, Any], *paths: tuple[Path, Path]) -> None:
    """Check that two documents are equal when the paths of the first are those of the second."""
    text = json.dumps(expected)
    for api, command in paths:
        text = text.replace(str(api), str(command))
    assert found == json.loads(text)


def test_score(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    by_api = lr.score(tiny_bundle, data, tmp_path / "a", label_column="label", progress=False).to_dict()
    found = document(
        lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "c", "--label-column", "label", "--json")
    )
    assert found.keys() == {*by_api, "failed_gates"}
    for measured in ("seconds", "rows_per_second", "model_share", "peak_memory_bytes", "run", "failed_gates"):
        del found[measured]
        by_api.pop(measured, None)
    assert found == by_api
    again = document(
        lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "c", "--label-column", "label", "--json")
    )
    del again["failed_gates"]
    assert again == lr.open_run(tmp_path / "c").to_dict() | {
        key: again[key] for key in ("kept_rows", "rows_per_second")
    }


def test_demo(lossrank: Lossrank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    from cli.commands import demo
    from tests.lossrank.test_workflow import ROWS

    pq.write_table(pq.read_table(DATA).slice(0, ROWS), tmp_path / "news.parquet")
    monkeypatch.setattr(demo, "DATA", tmp_path / "news.parquet")
    found = document(lossrank("demo", "-o", tmp_path / "run", "--top", 5, "--json"))
    run = lr.open_run(tmp_path / "run")
    assert found.pop("worst") == plain(run.worst(5))["rows"]
    assert found.pop("failed_gates") == []
    assert found == run.to_dict()
    assert lr.load_bundle(BUNDLE).sha256 == run.directory.manifest.bundle.sha256


def test_rank(lossrank: Lossrank, run: Path, tmp_path: Path) -> None:
    found = document(lossrank("rank", run, "--top", 7, "--by", "margin", "--json"))
    assert found.pop("output") is None
    assert found == plain(lr.open_run(run).worst(7, by="margin"))


def test_review(lossrank: Lossrank, twice: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from lossrank.page.review import Review

    def stopped(self: Review) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Review, "serve", stopped)
    result = lossrank("review", twice[1], "--port", 0, "--no-browser", "--top", 30, "--json")
    found = json.loads(result.stdout)
    with lr.open_run(twice[0]).review(top=30, user="ann") as review:
        counts = lr.open_run(twice[0]).decisions().counts()
        assert found.pop("rows") == len(review.rows) == 30
    del found["run"], counts["unreviewed"]
    assert found == counts


def test_report(lossrank: Lossrank, twice: tuple[Path, Path]) -> None:
    by_api = lr.open_run(twice[0]).report(twice[0].parent / "report.md", top=5)
    found = document(lossrank("report", twice[1], "-o", twice[1].parent / "report.md", "--top", 5, "--json"))
    expected = plain(by_api)
    assert abs(found.pop("bytes") - expected.pop("bytes")) < 10  # the time of writing is in it
    same(found, expected, (twice[0].parent, twice[1].parent))


def test_log_and_pull(lossrank: Lossrank, twice: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for copy in twice:
        server = FakeRubrix()
        talk_to(server, monkeypatch)
        if copy == twice[0]:
            run = lr.open_run(copy)
            logged = plain(run.log(name="d", top=9, progress=False))
        else:
            logged = document(lossrank("log", copy, "--name", "d", "--top", 9, "--json"))
        server.answer(next(iter(server.records)), "World", agent="cy")
        pulled = plain(run.pull(progress=False)) if copy == twice[0] else document(lossrank("pull", copy, "--json"))
        results.append((logged, pulled))
    for expected, found in zip(*results, strict=True):
        same(found, expected, (twice[0], twice[1]))
    assert results[0][0]["written"] == 9
    assert results[0][1]["added"] == 1


def test_apply(lossrank: Lossrank, twice: tuple[Path, Path]) -> None:
    by_api = lr.open_run(twice[0]).apply(twice[0].parent / "out", diff=twice[0].parent / "diff.csv")
    arguments = ("-o", twice[1].parent / "out", "--diff", twice[1].parent / "diff.csv")
    found = document(lossrank("apply", twice[1], *arguments, "--json"))
    same(found, plain(by_api), (twice[0].parent, twice[1].parent))
    assert found["changed"] == 2


def test_diff(lossrank: Lossrank, twice: tuple[Path, Path]) -> None:
    found = document(lossrank("diff", *twice, "--top", 12, "--json"))
    assert found.pop("output") is None
    assert found == plain(lr.diff(*twice, top=12))


def test_status_and_verify(lossrank: Lossrank, run: Path) -> None:
    for command, result in (("status", lr.status(run)), ("verify", lr.verify(run))):
        found = document(lossrank(command, run, "--json"))
        assert found.pop("failed_gates") is not None
        assert found == plain(result)


def test_bench(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path) -> None:
    by_api = plain(lr.bench(tiny_bundle, data, rows=50, threads=1, progress=False))
    found = document(lossrank("bench", tiny_bundle.path, data, "--rows", 50, "--threads", 1, "--json"))
    assert found.keys() == by_api.keys()
    measured = {"rows_per_second", "tokens_per_second", "seconds", "model_share", "peak_memory_bytes", "roofline_share"}
    for key in found.keys() - measured - {"matrix_peak_flops", "hardware"}:
        assert found[key] == by_api[key], key


def test_import_probs(lossrank: Lossrank, data: Path, tmp_path: Path) -> None:
    classes = ("World", "Sports", "Business", "Sci/Tech")
    np.save(tmp_path / "p.npy", np.random.default_rng(5).dirichlet(np.ones(4), 1000))
    by_api = plain(lr.import_probs(data, tmp_path / "p.npy", tmp_path / "a", classes=classes, progress=False))
    arguments = ("-o", tmp_path / "c", "--classes", ",".join(classes), "--json")
    found = document(lossrank("import-probs", data, tmp_path / "p.npy", *arguments))
    assert found.keys() == {*by_api, "failed_gates"}
    for key in found.keys() - {"seconds", "rows_per_second", "peak_memory_bytes", "run", "failed_gates"}:
        assert found[key] == by_api[key], key


def test_every_command_is_compared() -> None:
    compared = {
        "demo",
        "score",
        "import-probs",
        "rank",
        "review",
        "report",
        "log",
        "pull",
        "apply",
        "diff",
        "status",
        "verify",
        "bench",
    }
    assert compared | {"export"} == set(COMMANDS)  # export: tests/exporter/test_loaded.py
