"""`lossrank report`: its formats and errors, and that it overwrites files only with --force."""

import json
from pathlib import Path

import pytest

from benchmarks.synthetic.make_run import make_run
from scorer import RunDirectory
from tests.support.commands import Lossrank, read_only
from tests.support.facts import tells


@pytest.mark.parametrize(
    ("name", "form", "begins"),
    [
        ("a.html", None, "<!doctype html>"),
        ("a.HTM", None, "<!doctype html>"),
        ("a.md", None, "# Label report"),
        ("a.json", None, "{"),
        ("a.txt", "md", "# Label report"),
    ],
)
def test_the_format_is_asked_for_or_the_names_ending(
    own: Path, lossrank: Lossrank, tmp_path: Path, name: str, form: str | None, begins: str
) -> None:
    result = lossrank("report", own, "-o", tmp_path / name, *(["--format", form] if form else []))
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_text().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        ([], 2, ["HTML", "-o"]),
        (["--format", "html"], 2, ["HTML", "-o"]),
        (["-o", "report.pdf"], 2, ["report.pdf", ".html, .htm, .md, .markdown, .json", "--format"]),
        (["--format", "md", "--json"], 2, ["--json"]),
        (["-o", "there.html"], 1, ["there.html", "--force"]),
        (["-o", "nowhere/report.html"], 1, ["nowhere", "folder"]),
        (["-o", "new.html", "--pair", "World:Sport"], 1, ["'Sport'", "'Sports'"]),
        (["-o", "new.html", "--top", "5", "--per-class", "5"], 1, ["top", "per_class"]),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    own: Path,
    lossrank: Lossrank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    named: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.html").write_text("mine")
    result = lossrank("report", own, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert tells(result.stderr.splitlines()[-1] if code == 1 else result.stderr, "Error", *named)
    assert [file.name for file in tmp_path.iterdir()] == ["there.html"]
    assert Path("there.html").read_text() == "mine"


def test_force_replaces_a_file(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old")
    assert lossrank("report", own, "-o", tmp_path / "report.md", "--force").exit_code == 0
    assert (tmp_path / "report.md").read_text().startswith("# Label report")


def test_a_place_that_cannot_be_written_is_one_line(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    result = lossrank("report", own, "-o", read_only(tmp_path) / "report.md")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_json_prints_a_summary_of_what_was_written(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    printed = json.loads(lossrank("report", own, "-o", file, "--top", 5, "--json").stdout)
    summary = RunDirectory.open(own).manifest.to_dict()["summary"]
    assert printed == {
        "run": str(own),
        "output": str(file),
        "format": "html",
        "bytes": file.stat().st_size,
        "rows": 1000,
        "mean_loss": summary["mean_loss"],
        "accuracy": summary["accuracy"],
        "by": "loss",
        "count": 5,
    }


@pytest.mark.parametrize("place", ["run.json", "scores/part-00000.parquet", "review.sqlite"])
def test_no_file_of_a_run_is_replaced_whatever_is_forced(tmp_path: Path, lossrank: Lossrank, place: str) -> None:
    run = make_run(tmp_path / "run", 100, 100)
    (run.path / "review.sqlite").touch()
    before = (run.path / place).read_bytes()
    for command in (["report", run.path, "--format", "md"], ["rank", run.path], ["log", run.path, "--to", "csv"]):
        result = lossrank(*command, "-o", run.path / place, "--force")
        assert result.exit_code == 1
        assert tells(result.stderr, "Error", run.path / place)
        assert command[0] != "report" or tells(result.stderr, "--force")
    assert (run.path / place).read_bytes() == before
