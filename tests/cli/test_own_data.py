"""No command replaces the data that a run scored, whatever is forced."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells
from tests.support.publishing import decide

COMMANDS = [
    ["rank", "RUN", "-o"],
    ["report", "RUN", "--format", "md", "-o"],
    ["log", "RUN", "--to", "csv", "-o"],
    ["log", "RUN", "--to", "jsonl", "-o"],
    ["diff", "RUN", "RUN", "-o"],
    ["pull", "RUN", "PULLED", "--disagreements"],
    ["apply", "RUN", "--diff"],
]

LOGGING = ["pull", "RUN", "PULLED", "--log-file"]


@pytest.fixture
def scored(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Path:
    """A run over 50 rows of a CSV file, and a file of decisions beside it."""
    (tmp_path / "in").mkdir()
    pa.csv.write_csv(rows.slice(0, 50), tmp_path / "in" / "news.csv")
    score_dataset(tiny_bundle, tmp_path / "in" / "news.csv", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World"})
    return tmp_path / "run"


def given(command: Sequence[object], run: Path) -> list[object]:
    pulled = run.parent / "pulled.csv"
    pulled.write_text("row,decision\n")
    places: dict[object, Path] = {"RUN": run, "PULLED": pulled}
    return [places.get(word, word) for word in command]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_data_that_were_scored_are_not_replaced(scored: Path, lossrank: Lossrank, command: list[str]) -> None:
    data = scored.parent / "in" / "news.csv"
    before = data.read_bytes()
    said = error_line(lossrank(*given(command, scored), data, "--force"))
    assert tells(said, data, "scored")
    assert data.read_bytes() == before
    link = scored.parent / "link.csv"
    link.symlink_to(data)
    assert tells(error_line(lossrank(*given(command, scored), link, "--force")), link, "scored")
    assert link.is_symlink()


@pytest.mark.parametrize("command", [["rank"], ["report", "--format", "md"], ["log", "--to", "csv"], ["apply"]])
def test_the_data_are_not_replaced_where_they_lie_now(scored: Path, lossrank: Lossrank, command: list[str]) -> None:
    moved = scored.parent / "moved.csv"
    shutil.move(scored.parent / "in" / "news.csv", moved)
    before = moved.read_bytes()
    option = "--diff" if command == ["apply"] else "-o"
    said = error_line(lossrank(*command, scored, "--data", moved, option, moved, "--force"))
    assert tells(said, moved, "scored")
    assert moved.read_bytes() == before


def test_a_file_that_is_no_data_may_lie_in_the_datas_folder(
    tiny_bundle: ModelBundle, scored: Path, lossrank: Lossrank
) -> None:
    folder, run = scored.parent / "in", scored.parent / "of-a-folder"
    score_dataset(tiny_bundle, folder, run, ScoreOptions(threads=1))
    assert lossrank("report", run, "-o", folder / "report.md").exit_code == 0
    assert lossrank("report", run, "-o", folder / "report.md", "--force").exit_code == 0
    said = error_line(lossrank("report", run, "-o", folder / "report.json"))
    assert tells(said, folder / "report.json", "scored", f"{folder})")


def test_the_file_that_is_pulled_is_not_replaced_by_what_it_leaves_open(scored: Path, lossrank: Lossrank) -> None:
    pulled, other = scored.parent / "pulled.csv", scored.parent / "other.csv"
    other.write_text("row,decision\n")
    said = error_line(lossrank(*given(["pull", "RUN", other, "PULLED", "--disagreements"], scored), pulled, "--force"))
    assert tells(said, "--disagreements", pulled)
    assert pulled.read_text() == "row,decision\n"


def test_a_folder_that_the_data_have_moved_to_is_not_replaced(
    tiny_bundle: ModelBundle, rows: pa.Table, lossrank: Lossrank, tmp_path: Path
) -> None:
    pq.write_table(rows.slice(0, 50), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World"})
    out = tmp_path / "out"
    assert lossrank("apply", tmp_path / "run", "-o", out).exit_code == 0
    moved = out / "data" / "train-00001-of-00002.parquet"  # as apply names its own
    shutil.move(tmp_path / "news.parquet", moved)
    pattern = tmp_path / "o*" / "data" / "*-00001-*.parquet"
    said = error_line(lossrank("apply", tmp_path / "run", "--data", pattern, "-o", out, "--force"))
    assert tells(said, f"{out} ", moved, "scored")
    assert moved.is_file()


@pytest.mark.parametrize("command", [*COMMANDS, ["apply", "RUN", "-o"], LOGGING], ids=" ".join)
@pytest.mark.parametrize("name", ["worst.parquet", "part-worst.parquet", "more/x.parquet", "link.parquet"])
def test_nothing_is_written_among_the_scores(scored: Path, lossrank: Lossrank, command: list[str], name: str) -> None:
    place = scored / "scores" / name
    place.parent.mkdir(exist_ok=True)
    if name == "link.parquet":
        place.symlink_to(scored.parent / "elsewhere.parquet")
    before = sorted(scored.rglob("*"))
    said = error_line(lossrank(*given(command, scored), place, *([] if command == LOGGING else ["--force"])))
    assert tells(said, f"{place} is among the scores of {scored}") or tells(said, f"{place} is a link to")
    assert sorted(scored.rglob("*")) == before


def test_a_file_among_the_scores_that_is_no_shard_is_not_deleted(
    tiny_bundle: ModelBundle, scored: Path, lossrank: Lossrank
) -> None:
    others = [scored / "scores" / name for name in ("part-worst.parquet", "part-1.parquet")]
    stale = scored / "scores" / "part-00001.parquet"
    for file in (*others, stale):
        file.write_text("x")
    assert lossrank("score", tiny_bundle.path, scored.parent / "in" / "news.csv", "-o", scored).exit_code == 0
    assert [file.exists() for file in (*others, stale)] == [True, True, False]
    assert "part-worst.parquet" in lossrank("verify", scored).output  # which it was before, too


@pytest.mark.parametrize(
    "command",
    [
        ["log", "RUN", "--to", "csv", "-o", "OUT"],
        ["log", "RUN", "--name", "n"],
        ["pull", "RUN", "PULLED", "--disagreements", "OUT"],
        ["pull", "RUN", "OTHER"],
    ],
    ids=" ".join,
)
def test_a_log_file_is_no_file_that_the_command_or_the_run_has_another_use_for(
    scored: Path, lossrank: Lossrank, command: list[str]
) -> None:
    data, out, pulled = scored.parent / "in" / "news.csv", scored.parent / "out.csv", scored.parent / "pulled.csv"
    shutil.copytree(scored, scored.parent / "other")
    words = [{"OUT": out, "OTHER": scored.parent / "other"}.get(word, word) for word in given(command, scored)]
    before = data.read_bytes()
    said = error_line(lossrank(*words, "--log-file", data))
    assert tells(said, data, "scored")
    for used in (out, pulled):
        if used in words:
            link = scored.parent / f"link-to-{used.name}"
            link.symlink_to(used)
            for log_file in (used, link):
                said = error_line(lossrank(*words, "--log-file", log_file))
                assert tells(said, "--log-file", log_file)
    assert (data.read_bytes(), pulled.read_text(), out.exists()) == (before, "row,decision\n", False)


def test_a_log_file_of_a_run_that_can_not_be_read_says_so(scored: Path, lossrank: Lossrank) -> None:
    (scored / "run.json").write_text("{")
    log_file = scored.parent / "log.jsonl"
    said = error_line(lossrank("log", scored, "--to", "csv", "-o", scored.parent / "out.csv", "--log-file", log_file))
    assert "run.json" in said
    assert json.loads(log_file.read_text().splitlines()[-1])["event"] == "error"
