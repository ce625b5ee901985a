"""The command line: what it prints, what it refuses, with which exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from cli.main import COMMANDS
from scorer import ModelBundle, RunDirectory, rank
from scorer.model.bundle import FORMAT
from tests.conftest import read_only
from tests.support import ROOT
from tests.support.publishing import decide
from tests.support.tiny import make_bundle

Lossrank = Callable[..., click.testing.Result]


def error_line(result: click.testing.Result) -> str:
    """Return the one line of an error, checking that it is one."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.output
    assert result.stderr.endswith(lines[0] + "\n")
    assert "Traceback" not in result.output
    return lines[0]


def test_score_says_what_it_guessed_and_what_it_found(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    result = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--threads", 1, "--shard-rows", 300)
    assert result.exit_code == 0, result.output
    assert "news.parquet: 1,000 rows" in result.stderr
    assert "text     text (guessed)" in result.stderr
    assert "label    label (guessed)" in result.stderr
    assert "device   cpu, 1 thread(s) (this onnxruntime has no CUDA)" in result.stderr
    summary = json.loads((tmp_path / "run" / "run.json").read_text())["summary"]
    assert f"mean loss        {summary['mean_loss']:.4f} nats" in result.stdout
    assert f"accuracy         {summary['accuracy']:.2%}" in result.stdout
    assert "rows             1,000" in result.stdout
    assert "peak memory" in result.stdout
    assert "padding" in result.stdout
    assert f"Next: lossrank rank {tmp_path / 'run'} --top 20" in result.stdout
    # No text of the data is printed.
    assert "w1 " not in result.output

    again = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--threads", 1, "--shard-rows", 300)
    assert "1,000 (1,000 kept from before)" in again.stdout


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
    assert f"500 rows written to {file}" in result.stdout
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
    assert error_line(refused) == f"Error: {file} exists; choose another name, or replace it with --force"
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
    assert "unknown label" in results[0].stderr
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


def test_data_that_moved_is_found_by_data(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "before.parquet"
    moved.write_bytes(data.read_bytes())
    lossrank("score", tiny_bundle.path, moved, "-o", tmp_path / "run")
    moved.rename(tmp_path / "after.parquet")
    decide(tmp_path / "run", {3: "World"})
    for name, *options in (
        ["rank"],
        ["report", "-o", tmp_path / "report.md"],
        ["log", "--to", "csv", "-o", tmp_path / "worst.csv"],
        ["review", "--port", 0, "--no-browser"],
        ["apply", "-o", tmp_path / "out"],
    ):
        said = error_line(lossrank(name, tmp_path / "run", *options))
        assert said.startswith(f"Error: {moved} does not exist")
        assert said.endswith("; if it has moved, name the place where it lies now with --data")
        assert "--data" in lossrank(name, "--help").output
        said = error_line(lossrank(name, tmp_path / "run", *options, "--data", tmp_path / "nowhere.parquet"))
        assert said.startswith(f"Error: {tmp_path / 'nowhere.parquet'} does not exist")
        assert "--data" not in said
    assert lossrank("rank", tmp_path / "run", "--data", tmp_path / "after.parquet").exit_code == 0


def bad_data(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in ("empty.csv", "header.csv", "ints.parquet", "cats.csv", "plain.csv")}
    files["empty.csv"].write_text("")
    files["header.csv"].write_text("text,label\n")
    pq.write_table(pa.table({"text": [1, 2], "label": [0, 1]}), files["ints.parquet"])
    files["cats.csv"].write_text("text,label\nw1,Cats\nw2,Dogs\n")
    files["plain.csv"].write_text("text,label\nw1,World\nw2,Sports\n")
    return files


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("plane.csv", [], r"plane.csv does not exist (did you mean 'plain.csv'?)"),
        ("empty.csv", [], "empty.csv is empty (0 bytes)"),
        ("header.csv", [], "header.csv is empty: it has columns text, label and no rows"),
        (
            "plain.csv",
            ["--text-column", "txet"],
            "no column 'txet' (did you mean 'text'?); the columns are: text, label",
        ),
        ("ints.parquet", ["--text-column", "text"], "column 'text' holds int64, not text; columns of text: none"),
        ("cats.csv", [], "the data's labels don't match the model's classes: the data has 'Cats', 'Dogs'"),
        ("plain.csv", ["--device", "cuda"], "device cuda was asked for, but the installed onnxruntime has no CUDA"),
        ("plain.csv", ["--max-tokens", "41"], "max_tokens is 41; this model takes 4 to 40 tokens"),
        ("plain.csv", ["--label-map", "missing.json"], "the label map missing.json can't be read"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, file: str, options: list[str], message: str
) -> None:
    bad_data(tmp_path)
    result = lossrank("score", tiny_bundle.path, tmp_path / file, "-o", tmp_path / "run", *options)
    assert result.exit_code == 1
    assert message in error_line(result)
    assert not list((tmp_path / "run").glob("scores/*"))


def test_bundles_that_are_not_right_are_named(lossrank: Lossrank, data: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle").path
    target = ["-o", tmp_path / "run"]
    assert f"{tmp_path / 'missing'} does not exist; a bundle is" in error_line(
        lossrank("score", tmp_path / "missing", data, *target)
    )
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes() + b"\0")
    changed = lossrank("score", bundle, data, *target)
    assert changed.exit_code == 1
    assert "model.onnx has changed since the export: SHA-256" in error_line(changed)
    manifest = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**manifest, "format": FORMAT + 1}))
    newer = lossrank("score", bundle, data, *target)
    assert newer.exit_code == 1
    assert f"is a bundle of format {FORMAT + 1}; this lossrank reads up to {FORMAT}: upgrade" in error_line(newer)
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written_is_one_line(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    taken = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "taken")
    assert taken.exit_code == 1
    assert "taken exists and is not a run directory; choose another place with -o" in error_line(taken)
    locked = lossrank("score", tiny_bundle.path, data, "-o", read_only(tmp_path) / "run")
    assert locked.exit_code == 1
    assert "can't be written" in error_line(locked)
    nowhere = lossrank("rank", run, "-o", tmp_path / "no" / "folder.csv")
    assert nowhere.exit_code == 1
    assert f"{tmp_path / 'no'} is not a folder; make it first" in error_line(nowhere)
    ending = lossrank("rank", run, "-o", tmp_path / "worst.xlsx")
    assert "worst.xlsx must end in .parquet, .csv, .jsonl" in error_line(ending)


def test_a_full_disk_is_one_line(
    lossrank: Lossrank,
    tiny_bundle: ModelBundle,
    data: Path,
    run: Path,
    small_disk: Path,
) -> None:
    full = lossrank("score", tiny_bundle.path, data, "-o", small_disk / "run", "--shard-rows", 50)
    assert full.exit_code == 1
    assert "no space left on the disk" in error_line(full)
    assert not list(small_disk.rglob("*.tmp"))
    ranked = lossrank("rank", run, "--top", 1000, "-o", small_disk / "worst.jsonl")
    assert ranked.exit_code == 1
    assert "no space left on the disk" in error_line(ranked)
    assert not (small_disk / "worst.jsonl").exists()
    new = lossrank("score", tiny_bundle.path, data, "-o", small_disk / "new")
    assert f"no space left on the disk of {small_disk}" in error_line(new)
    kept = listed_shards(small_disk / "run")
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    call = ("score", tiny_bundle.path, data, "--shard-rows", 50, "--json", "-o")
    assert json.loads(lossrank(*call, small_disk / "run").stdout)["kept_rows"] == 50 * kept > 0
    lossrank(*call, small_disk / "whole")
    for file in (small_disk / "whole" / "scores").iterdir():
        assert (small_disk / "run" / "scores" / file.name).read_bytes() == file.read_bytes()


def test_a_run_without_labels_says_so_and_what_ranks_it(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("text,topic\nw1,World\nw2,Sports\n")
    result = lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run")
    assert "label    NONE: there will be predictions and no loss" in result.stderr
    assert f"Next: lossrank rank {tmp_path / 'run'} --top 20 --by entropy" in result.stdout
    assert lossrank("rank", tmp_path / "run", "--top", 20, "--by", "entropy").exit_code == 0


def test_both_texts_of_a_pair_are_shown(lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(f"premise,hypothesis,label\n{'w1 ' * 200},w2 w3,World\n")
    lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run")
    heading, row = lossrank("rank", tmp_path / "run").stdout.splitlines()
    assert heading.split()[-2:] == ["premise", "hypothesis"]
    assert "w1 w1" in row
    assert "w2 w3" in row


def test_output_that_can_not_be_written_is_one_line(run: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command_line("rank", run, "--top", 500),
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Error: the system: No space left on device"]


def test_wrong_usage_exits_with_2(lossrank: Lossrank, run: Path) -> None:
    assert lossrank("rank", run, "--by", "size").exit_code == 2
    assert lossrank("rank", run, "--top", 0).exit_code == 2
    assert lossrank("frobnicate").exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(lossrank: Lossrank, command: str) -> None:
    result = lossrank(command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"lossrank {command}" in result.stdout


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from cli.entry import main; main()", *map(str, arguments)]


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(*arguments), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def listed_shards(run: Path) -> int:
    """Return how many shards a run's manifest says are finished."""
    try:
        return len(json.loads((run / "run.json").read_text())["shards"])
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_sighup_and_sigterm_stop_cleanly_and_say_how_to_go_on(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, rows: pa.Table, sent: signal.Signals, code: int
) -> None:
    data = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 200), data)
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert f"Finished shards are kept in {tmp_path / 'run'}; give the same command again to go on." in stderr
    assert "Traceback" not in stderr
    kept = listed_shards(tmp_path / "run")
    assert 0 < kept < 200
    assert not list((tmp_path / "run").rglob("*.tmp"))
    unfinished = lossrank("rank", tmp_path / "run")
    assert "is not finished" in error_line(unfinished)
    done = lossrank(*arguments)
    assert done.exit_code == 0
    assert f"200,000 ({kept * 1000:,} kept from before)" in done.stdout
    assert RunDirectory.open(tmp_path / "run").missing_shards() == []


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_twice_then_resume_is_byte_for_byte_the_same(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, rows: pa.Table, seed: int
) -> None:
    import random

    moments = random.Random(seed)
    data = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 40), data)
    arguments = ["score", tiny_bundle.path, data, "--shard-rows", 500, "--threads", 1]
    assert lossrank(*arguments, "-o", tmp_path / "whole").exit_code == 0
    for _ in range(2):
        process = start(*arguments, "-o", tmp_path / "run")
        wanted = len(list((tmp_path / "run").glob("scores/part-*"))) + moments.randint(1, 25)
        deadline = time.monotonic() + 60
        while (
            process.poll() is None
            and len(list((tmp_path / "run").glob("scores/part-*"))) < wanted
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)
        time.sleep(moments.random() * 0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    result = lossrank(*arguments, "-o", tmp_path / "run")
    assert result.exit_code == 0
    assert "kept from before" in result.stdout
    for file in sorted((tmp_path / "whole" / "scores").iterdir()):
        assert (tmp_path / "run" / "scores" / file.name).read_bytes() == file.read_bytes()
    assert len(list((tmp_path / "run" / "scores").iterdir())) == 80
