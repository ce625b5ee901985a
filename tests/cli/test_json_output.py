"""Ends that scripts can use: --json, --fail-if and exit codes, the same for every command."""

import re
from pathlib import Path

import pyarrow as pa

from cli.commands import COMMANDS
from cli.exit_codes import EXIT_CODES
from scorer import ModelBundle, RankedRow, RunStats, rank
from tests.support import ROOT
from tests.support.commands import Lossrank, document, error_line, json_lines
from tests.support.facts import tells


def test_every_command_has_json(lossrank: Lossrank) -> None:
    for command in COMMANDS:
        assert "--json" in lossrank(command, "--help").stdout


def test_score_in_json(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--json"]
    found = document(lossrank(*arguments))
    assert set(RunStats.__struct_fields__) <= set(found)
    assert found["by_status"] == {"ok": 1000}
    assert found["run"] == str(tmp_path / "run")
    assert found["failed_gates"] == []
    failed = lossrank(*arguments, "--fail-if", "rows > 10", "--fail-if", "accuracy < 0")
    (gate,) = document(failed, 3)["failed_gates"]
    assert tells(gate, "rows > 10", 1000)
    assert tells(error_line(failed), "rows > 10", 1000)


def test_rank_in_json(lossrank: Lossrank, run: Path, rows: pa.Table, tmp_path: Path) -> None:
    found = document(lossrank("rank", run, "--top", 30, "--json"))
    assert (found["count"], found["by"], found["output"]) == (30, "loss", None)
    texts = rows["text"].to_pylist()
    for record, row in zip(found["rows"], rank(run, 30), strict=True):
        assert set(RankedRow.__dataclass_fields__) <= set(record)
        assert (record["row"], record["loss"], record["probs"]) == (row.row, row.loss, list(row.probs))
        assert record["source"] == {"text": texts[row.row], "label": row.label, "note": f"note {row.row}"}
        assert record["given_name"] != record["predicted_name"]
    written = document(lossrank("rank", run, "--json", "-o", tmp_path / "worst.csv"))
    assert (written["count"], written["rows"], written["output"]) == (20, None, str(tmp_path / "worst.csv"))


def test_log_in_json(lossrank: Lossrank, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "worst.jsonl"
    found = document(lossrank("log", run, "--to", "jsonl", "-o", file, "--top", 9, "--json"))
    assert (found["rows"], found["written"], found["refused"], found["output"]) == (9, 9, [], str(file))


def test_an_error_leaves_stdout_empty(lossrank: Lossrank, tmp_path: Path) -> None:
    for command in ("rank", "status", "verify"):
        result = lossrank(command, tmp_path, "--json")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert error_line(result)


def test_a_gate_that_can_not_be_read_stops_before_the_run(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    result = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--fail-if", "mean_los > 1")
    assert result.exit_code == 2
    assert tells(result.stderr, "mean_los", "mean_loss", "rows")
    assert not (tmp_path / "run").exists()


def test_a_failed_gate_keeps_the_results(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run"]
    result = lossrank(*arguments, "--fail-if", "mean_loss > 0.5", "--log-file", log)
    assert result.exit_code == 3
    assert tells(error_line(result), "mean_loss > 0.5")
    assert "mean loss" in result.stdout
    assert [line["event"] for line in json_lines(log)][-2:] == ["end", "error"]
    assert lossrank("rank", tmp_path / "run").exit_code == 0
    assert lossrank(*arguments, "--fail-if", "mean_loss > 500").exit_code == 0


def test_the_codes_are_documented() -> None:
    documented = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "cli.md").read_text(), flags=re.MULTILINE)
    assert list(map(int, documented)) == list(EXIT_CODES) == [0, 1, 2, 3, 129, 130, 143]
