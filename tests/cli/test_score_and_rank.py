"""`lossrank score` and `lossrank rank`: what they print and write."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from cli.commands import COMMANDS
from scorer import ModelBundle, rank
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells


def test_score_says_what_it_guessed_and_what_it_found(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    result = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--threads", 1, "--shard-rows", 300)
    assert result.exit_code == 0, result.output
    assert tells(result.stderr, "news.parquet", "1,000")
    assert re.search(r"^\s*text +text\b", result.stderr, flags=re.MULTILINE)
    assert re.search(r"^\s*label +label\b", result.stderr, flags=re.MULTILINE)
    assert re.search(r"^\s*device +cpu, 1 thread", result.stderr, flags=re.MULTILINE)
    summary = json.loads((tmp_path / "run" / "run.json").read_text())["summary"]
    assert re.search(rf"mean loss +{summary['mean_loss']:.4f} nats", result.stdout)
    assert re.search(rf"accuracy +{summary['accuracy']:.2%}", result.stdout)
    assert re.search(r"rows +1,000", result.stdout)
    assert "peak memory" in result.stdout
    assert "padding" in result.stdout
    assert f"lossrank rank {tmp_path / 'run'} --top 20" in result.stdout
    # No text of the data is printed.
    assert "w1 " not in result.output

    again = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--threads", 1, "--shard-rows", 300)
    assert re.search(r"rows +1,000 \(1,000 ", again.stdout)


def test_rank_prints_as_many_rows_as_asked_for(lossrank: Lossrank, run: Path) -> None:
    result = lossrank("rank", run, "--top", 500)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["rank", "row", "loss", "given", "predicted", "text"]
    assert len(lines) == 501
    for line, row in zip(lines[1:], rank(run, 500), strict=True):
        assert line.split()[:3] == [str(row.rank), str(row.row), f"{row.loss:.3f}"]
        assert max(len(line) for line in lines) <= 120
    assert len(lossrank("rank", run).stdout.splitlines()) == 21


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_rank_writes_every_source_column(
    lossrank: Lossrank, run: Path, rows: pa.Table, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"worst.{ending}"
    result = lossrank("rank", run, "--top", 500, "-o", file)
    assert result.exit_code == 0, result.output
    assert tells(result.stdout, 500, file)
    readers = {
        "parquet": lambda: pq.read_table(file).to_pylist(),
        "csv": lambda: pyarrow.csv.read_csv(file).to_pylist(),
        "jsonl": lambda: [json.loads(line) for line in file.read_text().splitlines()],
    }
    written = readers[ending]()
    texts = rows["text"].to_pylist()
    assert len(written) == 500
    for record, row in zip(written, rank(run, 500), strict=True):
        assert record["row"] == row.row
        assert record["rank"] == row.rank
        assert record["loss"] == pytest.approx(row.loss)
        assert record["text"] == texts[row.row]
        assert record["note"] == f"note {row.row}"
        assert record["label"] == row.label

    refused = lossrank("rank", run, "--top", 5, "-o", file)
    assert refused.exit_code == 1
    assert tells(error_line(refused), file, "--force")
    assert lossrank("rank", run, "--top", 5, "-o", file, "--force").exit_code == 0
    assert len(readers[ending]()) == 5


def test_a_source_column_named_like_a_score_keeps_both(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,label,loss,rank\nw1,World,mine,first\nw2,Sports,mine too,second\n")
    assert lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run").exit_code == 0
    assert lossrank("rank", tmp_path / "run", "-o", tmp_path / "out.jsonl").exit_code == 0
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {record["source_loss"] for record in records} == {"mine", "mine too"}
    assert all(isinstance(record["loss"], float) for record in records)


def test_the_text_shown_is_the_one_that_was_scored(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text,source_text,row,source_row,label\nw1,other,7,8,World\n")
    assert lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run").exit_code == 0
    shown = lossrank("rank", tmp_path / "run").stdout
    assert shown.splitlines()[1].rstrip().endswith("w1")
    assert lossrank("rank", tmp_path / "run", "-o", tmp_path / "out.jsonl").exit_code == 0
    record = json.loads((tmp_path / "out.jsonl").read_text())
    assert (record["row"], record["source_source_row"], record["source_row"]) == (0, "7", "8")


def test_what_json_and_csv_have_no_word_for_is_written_so_that_all_can_read_it(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    table = pa.table({"text": ["w1"], "label": ["World"], "nan": [float("nan")], "raw": [b"\xff"], "list": [[1, 2]]})
    pq.write_table(table.append_column("day", pa.array([1], pa.date32())), tmp_path / "data.parquet")
    assert lossrank("score", tiny_bundle.path, tmp_path / "data.parquet", "-o", tmp_path / "run").exit_code == 0
    for ending in ("jsonl", "csv"):
        result = lossrank("rank", tmp_path / "run", "-o", tmp_path / f"out.{ending}")
        assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out.jsonl").read_text(), parse_constant=pytest.fail)
    assert (record["nan"], record["raw"], record["list"], record["day"]) == (None, "/w==", [1, 2], "1970-01-02")
    assert pyarrow.csv.read_csv(tmp_path / "out.csv")["list"].to_pylist() == ["[1, 2]"]


def test_control_codes_in_names_stay_off_the_terminal(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    evil = "\x1b]0;pwned\x07"
    pq.write_table(
        pa.table({f"{evil}col": ["w1"] * 30, "label": ["World"] * 29 + [f"{evil}x"]}), tmp_path / "d.parquet"
    )
    score = ["score", tiny_bundle.path, tmp_path / "d.parquet", "-o", tmp_path / "run"]
    results = [lossrank(*score), lossrank(*score, "--text-column", "nope")]
    assert [result.exit_code for result in results] == [0, 1]
    assert tells(results[0].stderr, "label", 1)
    assert not any("\x1b" in result.output or "\x07" in result.output for result in results)


def test_control_codes_and_markup_in_a_text_stay_text(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"text": "w1 \x1b[31mred\x07 [bold]b[/bold]\nsecond line", "label": "World"}) + "\n")
    lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run")
    shown = lossrank("rank", tmp_path / "run").stdout
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[bold]b[/bold] second line" in shown


def test_a_run_without_labels_says_so_and_what_ranks_it(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("text,note\nw1,a\nw2,b\n")
    result = lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run")
    assert re.search(r"^\s*label +NONE", result.stderr, flags=re.MULTILINE)
    assert f"lossrank rank {tmp_path / 'run'} --top 20 --by entropy" in result.stdout
    assert lossrank("rank", tmp_path / "run", "--top", 20, "--by", "entropy").exit_code == 0


def test_both_texts_of_a_pair_are_shown(lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(f"premise,hypothesis,label\n{'w1 ' * 200},w2 w3,World\n")
    lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run")
    heading, row = lossrank("rank", tmp_path / "run").stdout.splitlines()
    assert heading.split()[-2:] == ["premise", "hypothesis"]
    assert "w1 w1" in row
    assert "w2 w3" in row


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(lossrank: Lossrank, command: str) -> None:
    result = lossrank(command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"lossrank {command}" in result.stdout
