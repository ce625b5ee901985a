"""A run of data in memory goes on with files, and a run of a file with data in memory."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from lossrank.publish.apply import apply
from lossrank.report.report import report
from lossrank.review.decision import DISCARDED, KEPT
from lossrank.review.log import log
from lossrank.review.pull import pull
from lossrank.review.store import read_decisions
from scorer import ModelBundle, RunDirectory, ScoreOptions, join_source, rank, score_dataset
from tests.support.commands import Lossrank, document, error_line, json_lines
from tests.support.facts import tells
from tests.support.publishing import decide
from tests.support.tiny import CLASSES, make_texts

N = 60
TABLE = pa.table(
    {"text": make_texts(N), "label": [CLASSES[i % 4] for i in range(N)], "note": [f"note {i}" for i in range(N)]}
)


def parquet(file: Path, table: pa.Table = TABLE) -> Path:
    pq.write_table(table, file.with_suffix(".parquet"))
    return file.with_suffix(".parquet")


def csv(file: Path, table: pa.Table = TABLE) -> Path:
    pa_csv.write_csv(table, file.with_suffix(".csv"))
    return file.with_suffix(".csv")


def jsonl(file: Path, table: pa.Table = TABLE) -> Path:
    file.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return file.with_suffix(".jsonl")


FILES = pytest.mark.parametrize("write", [parquet, csv, jsonl])


@pytest.fixture
def run(tiny_bundle: ModelBundle, tmp_path: Path) -> Path:
    """A run of a table, with three decisions."""
    score_dataset(tiny_bundle, TABLE, tmp_path / "run", ScoreOptions(threads=1, shard_rows=25))
    decide(tmp_path / "run", {3: "World", 4: KEPT, 5: DISCARDED})
    return tmp_path / "run"


@FILES
def test_every_command_goes_on_with_a_file(
    run: Path, tmp_path: Path, lossrank: Lossrank, write: Callable[[Path], Path]
) -> None:
    file = write(tmp_path / "rows")
    worst = [row.row for row in rank(run, 5)]
    texts = [TABLE["text"][row].as_py() for row in worst]
    ranked = document(lossrank("rank", run, "--top", 5, "--data", file, "--json"))
    assert [row["source"]["text"] for row in ranked["rows"]] == texts
    logged = tmp_path / "log.jsonl"
    assert lossrank("log", run, "--to", "jsonl", "-o", logged, "--top", 5, "--data", file).exit_code == 0
    assert [line["text"] for line in json_lines(logged)] == texts
    found = json.loads(lossrank("report", run, "--format", "json", "--data", file).stdout)
    assert [row["source"]["text"] for row in found["worst"]["rows"][:5]] == texts
    assert lossrank("apply", run, "-o", tmp_path / "new.parquet", "--data", file).exit_code == 0
    corrected = pq.read_table(tmp_path / "new.parquet")
    assert corrected["label"].to_pylist() == [*TABLE["label"].to_pylist()[:3], "World", *TABLE["label"].to_pylist()[4:]]
    assert corrected["note"].equals(TABLE["note"])
    checked = lossrank("verify", run, "--data", file)
    assert checked.exit_code == 0, checked.output
    assert tells(checked.stdout, file.name, "what was scored")


@FILES
def test_other_rows_are_refused_by_every_command(
    run: Path, tmp_path: Path, lossrank: Lossrank, write: Callable[[Path, pa.Table], Path]
) -> None:
    file = write(tmp_path / "rows", TABLE.take([*range(30), 31, 30, *range(32, N)]))
    for command in (
        ["rank", run],
        ["log", run, "--to", "jsonl", "-o", tmp_path / "log.jsonl"],
        ["report", run, "-o", tmp_path / "report.html"],
        ["apply", run, "-o", tmp_path / "new.parquet"],
    ):
        result = lossrank(*command, "--data", file)
        assert result.exit_code == 1
        assert tells(error_line(result), file.name, "not what was scored", "rows 25 to 49")
        assert error_line(lossrank(*command)).count("--data") == 1
    assert not any((tmp_path / name).exists() for name in ("log.jsonl", "report.html", "new.parquet"))
    checked = lossrank("verify", run, "--data", file)
    assert checked.exit_code == 1
    assert tells(checked.stdout, "wrong", "rows 25 to 49")


def test_a_run_of_a_file_goes_on_with_data_in_memory(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    options = ScoreOptions(threads=1, shard_rows=25)
    score_dataset(tiny_bundle, csv(tmp_path / "rows"), tmp_path / "run", options)
    (tmp_path / "rows.csv").unlink()
    run = RunDirectory.open(tmp_path / "run")
    decide(run.path, {3: "World", 4: KEPT, 5: DISCARDED})
    worst = rank(run, 5)
    texts = [TABLE["text"][row.row].as_py() for row in worst]
    assert join_source(run, worst, TABLE)["text"].to_pylist() == texts
    assert log(run, to="jsonl", output=tmp_path / "log.jsonl", top=5, data=TABLE).written == 5
    assert [line["text"] for line in json_lines(tmp_path / "log.jsonl")] == texts
    assert all(text in report(run, format="md", top=5, data=TABLE).content for text in texts)
    done = apply(run, tmp_path / "new.parquet", data=TABLE)
    assert done.by_status == {"kept": 1, "relabelled": 1, "discarded": 1, "unreviewed": N - 3}
    assert pq.read_table(tmp_path / "new.parquet")["note"].equals(TABLE["note"])


def test_decisions_go_over_to_a_run_of_the_same_rows_as_another_kind(
    run: Path, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    score_dataset(tiny_bundle, jsonl(tmp_path / "rows"), tmp_path / "next", ScoreOptions(threads=1))
    assert pull(tmp_path / "next", [run]).added == 3
    held = read_decisions(RunDirectory.open(tmp_path / "next")) or {}
    assert {row: one.verdict for row, one in held.items()} == {3: "relabelled", 4: KEPT, 5: DISCARDED}
    notes = document(lossrank("diff", run, tmp_path / "next", "--json"))["notes"]
    assert notes == ["the runs are over the same data"]
