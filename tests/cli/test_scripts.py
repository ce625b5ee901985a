"""Ends that scripts can use: --json, --log-file, --fail-if and exit codes, the same for every command."""

import json
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.exit_codes import EXIT_CODES
from cli.log_file import ProgressLog, logging_to
from cli.main import COMMANDS
from scorer import LabelError, ModelBundle, Progress, RankedRow, RunError, RunStats, SourceError, rank
from scorer.errors import WITHHELD
from scorer.events import LOG, event
from tests.cli.test_cli import command_line, error_line, listed_shards, start
from tests.support import ROOT
from tests.support.tiny_models import build

Lossrank = Callable[..., click.testing.Result]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def document(result: click.testing.Result, code: int = 0) -> dict[str, Any]:
    """Return a command's only document, checking that stdout has nothing else."""
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return found


def test_every_command_has_json(lossrank: Lossrank) -> None:
    for command in COMMANDS:
        assert "--json" in lossrank(command, "--help").stdout


def test_score_in_json(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--json"]
    found = document(lossrank(*arguments))
    assert set(RunStats.__dataclass_fields__) <= set(found)
    assert found["by_status"] == {"ok": 1000}
    assert found["run"] == str(tmp_path / "run")
    assert found["failed_gates"] == []
    failed = lossrank(*arguments, "--fail-if", "rows > 10", "--fail-if", "accuracy < 0")
    assert document(failed, 3)["failed_gates"] == ["rows > 10: rows is 1000"]
    assert error_line(failed) == "Error: gate failed: rows > 10: rows is 1000 (the results are kept)"


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


def test_export_in_json_and_in_a_log(lossrank: Lossrank, tmp_path: Path) -> None:
    model = build("bert", tmp_path / "in" / "my-model")
    log = tmp_path / "log.jsonl"
    found = document(lossrank("export", model, tmp_path / "bundle", "--no-int8", "--json", "--log-file", log))
    bundle = ModelBundle.load(tmp_path / "bundle")
    assert set(ModelBundle.__dataclass_fields__) <= set(found)
    assert (found["path"], found["sha256"]) == (str(tmp_path / "bundle"), bundle.sha256)
    told = lines(log)
    assert [line["event"] for line in told][:2] == ["start", "step"]
    assert told[-1]["event"] == "end"
    assert {"event": "step", "doing": "converting to ONNX"}.items() <= told[5].items()
    refused = lossrank("export", model, tmp_path / "bundle", "--log-file", log, "--json")
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert lines(log)[-1]["kind"] == "OutputError"


def test_demo_in_json(lossrank: Lossrank, tmp_path: Path) -> None:
    found = document(lossrank("demo", "-o", tmp_path / "run", "--top", 3, "--json"))
    assert found["by_status"] == {"ok": 7600}
    assert [row["rank"] for row in found["worst"]] == [1, 2, 3]
    assert found["worst"][0]["source"]["text"]


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
    assert "(did you mean 'mean_loss'?); names: rows, mean_loss" in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_failed_gate_keeps_the_results(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run"]
    result = lossrank(*arguments, "--fail-if", "mean_loss > 0.5", "--log-file", log)
    assert result.exit_code == 3
    assert re.fullmatch(r"Error: gate failed: mean_loss > 0\.5: mean_loss is [\d.]+ .*", error_line(result))
    assert "mean loss" in result.stdout
    assert [line["event"] for line in lines(log)][-2:] == ["end", "error"]
    assert lossrank("rank", tmp_path / "run").exit_code == 0
    assert lossrank(*arguments, "--fail-if", "mean_loss > 500").exit_code == 0


def test_a_log_file_has_a_line_for_everything_and_no_text(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "from before"}\n')
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--shard-rows", 300, "--log-file", log]
    assert lossrank(*arguments).exit_code == 0
    told = lines(log)
    events = ["from before", "start", "plan", *["shard written"] * 4, "end"]
    assert [line["event"] for line in told] == events
    for line in told[1:]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
        assert line["level"] == "info"
    assert told[1]["pid"] == os.getpid()
    assert told[2]["columns"]["text"] == "text"
    assert [line["first_row"] for line in told[3:7]] == [0, 300, 600, 900]
    assert told[7]["by_status"] == {"ok": 1000}
    assert not re.search(r"\bw\d+ ", log.read_text())
    assert not LOG.handlers
    size = log.stat().st_size
    assert lossrank(*arguments, "--max-tokens", 20).exit_code == 1
    last = lines(log)[-1]
    assert (last["level"], last["event"], last["kind"]) == ("error", "error", "RunError")
    assert "options max_tokens is 40 there, 20 here" in last["message"]
    assert log.stat().st_size > size


def test_labels_that_may_be_texts_stay_out_of_the_log(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("text,label\nw1,a private sentence\nw2,another private one\n")
    log = tmp_path / "log.jsonl"
    result = lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run", "--log-file", log)
    assert "a private sentence" in error_line(result)
    assert "private" not in log.read_text()
    assert lines(log)[-1]["kind"] == "LabelError"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.csv", "w1 private words,private too\nw2,World\nw3,Sports\n"),  # without a header
        ("data.jsonl", '{"w1 private words": "w2", "private too": "World"}\n' * 3),
    ],
)
def test_names_of_columns_that_may_be_texts_stay_out_of_the_log(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    log = tmp_path / "log.jsonl"
    arguments = ["score", tiny_bundle.path, tmp_path / name, "-o", tmp_path / "run", "--log-file", log]
    told = error_line(lossrank(*arguments))
    assert "several columns hold text (w1 private words, private too)" in told
    named = [*arguments, "--text-column", "w1 private words", "--label-column", "private too"]
    assert lossrank(*named).exit_code == 0
    assert "w1 private words" in error_line(lossrank(*named, "--id-column", "nothing"))
    other = lossrank(*arguments, "--text-column", "private too")
    assert "columns text is w1 private words there, private too here" in error_line(other)
    assert "private" not in log.read_text()
    (plan,) = (line for line in lines(log) if line["event"] == "plan")
    assert plan["columns"] == {"text": "column 1 of 2", "text_pair": None, "label": "column 2 of 2", "id": None}
    assert [line["message"] for line in lines(log) if line["event"] == "error"] == [WITHHELD] * 3


def test_labels_that_may_be_texts_stay_out_of_a_runs_history(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("text,label\nw1,a private sentence\nw2,another private one\n")
    assert lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run").exit_code == 1
    kept = (tmp_path / "run" / "run.json").read_text()
    assert json.loads(kept)["history"][0]["why"] == f"LabelError: {WITHHELD}"
    assert "private" not in kept


def test_a_columns_name_stays_out_of_the_log(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "log.jsonl"
    assert lossrank("score", tiny_bundle.path, data, "-o", run).exit_code == 0
    manifest = json.loads((run / "run.json").read_text())
    manifest["columns"]["text"] = "a private sentence"  # the first row of a CSV without a header
    (run / "run.json").write_text(json.dumps(manifest))
    result = lossrank("log", run, "--to", "jsonl", "-o", tmp_path / "worst.jsonl", "--log-file", log)
    assert "it names the text column 'a private sentence'" in error_line(result)
    assert "private" not in log.read_text()
    assert (lines(log)[-1]["kind"], lines(log)[-1]["message"]) == ("RunError", WITHHELD)


def test_progress_and_rescoring_are_told_now_and_then(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log.jsonl", "score"):
        tell = ProgressLog(every=0.0)
        tell(Progress(total_rows=1000, kept=200, rows=300, seconds=3.0))
        tell(Progress(total_rows=1000, kept=200, rows=800, seconds=8.0, rescored=5))
        rare = ProgressLog(every=3600.0)
        rare(Progress(total_rows=1000))
    told = lines(tmp_path / "log.jsonl")[1:]
    assert [line["event"] for line in told] == ["progress", "rescoring"]
    wanted = {"done": 500, "left": 500, "rows_per_second": 100.0, "seconds": 3.0, "rescored": 0}
    assert wanted.items() <= told[0].items()


@pytest.mark.parametrize(
    ("error", "event_name", "message"),
    [
        (KeyboardInterrupt(), "interrupted", None),
        (RunError("a\nb"), "error", "a b"),
        (LabelError("the label 'secret'"), "error", WITHHELD),
        (ValueError("secret"), "error", WITHHELD),
        (SourceError("no column 'secret'", quotes_data=True), "error", WITHHELD),
        (SourceError("https://h/a.csv?sig=secret: no"), "error", "https://h/a.csv: no"),
        (OSError(28, "No space"), "error", "[Errno 28] No space"),
    ],
)
def test_how_it_ended_is_told(tmp_path: Path, error: BaseException, event_name: str, message: str | None) -> None:
    with pytest.raises(type(error)), logging_to(tmp_path / "log.jsonl", "score"):
        raise error
    last = lines(tmp_path / "log.jsonl")[-1]
    assert (last["event"], last.get("message")) == (event_name, message)


def test_a_log_file_that_can_not_be_written_is_said_first(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--log-file"]
    nowhere = lossrank(*arguments, tmp_path / "no" / "log.jsonl")
    assert nowhere.exit_code == 1
    assert "log.jsonl can't be written" in error_line(nowhere)
    model = tiny_bundle.path / "model.onnx"
    before = model.read_bytes()
    assert "is a file that the command reads or writes itself" in error_line(lossrank(*arguments, model))
    assert model.read_bytes() == before
    inside = lossrank(*arguments, tmp_path / "run" / "log.jsonl")
    assert "which is to hold nothing else; put it beside that" in error_line(inside)
    assert not (tmp_path / "run").exists()


def test_a_line_that_a_full_disk_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    for there in ("", '{"event": "start"}\n', '{"event": "st'):
        (tmp_path / "log.jsonl").write_text(there)
        with logging_to(tmp_path / "log.jsonl", "score"):
            pass
        lines = (tmp_path / "log.jsonl").read_text().splitlines()
        assert lines[:-1] == there.splitlines()
        assert json.loads(lines[-1])["event"] == "start"


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--window-rows", "5000", "window_rows is 5000, more than shard_rows (4096)"),
        ("--label-map", "/nope", WITHHELD),
    ],
)
def test_what_is_wrong_with_an_option_is_in_the_log_file(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path, option: str, value: str, says: str
) -> None:
    log = tmp_path / "log.jsonl"
    result = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", option, value, "--log-file", log)
    assert result.exit_code == 1
    assert [line["event"] for line in lines(log)] == ["start", "error"]
    assert lines(log)[1]["message"].startswith(says)


def test_a_label_map_is_no_log_file(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    labels = tmp_path / "map.json"
    labels.write_text('{"0": "World"}')
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--label-map", labels, "--log-file", labels]
    assert "is a file that the command reads or writes itself" in error_line(lossrank(*arguments))
    assert labels.read_text() == '{"0": "World"}'


def test_a_log_file_on_a_full_disk_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(Path("/dev/full"), "score"):
        event("one")
        event("two")
    assert capsys.readouterr().err == "/dev/full can't be written any more; going on without it.\n"


def test_events_without_a_listener_go_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    event("nobody hears")
    assert capsys.readouterr() == ("", "")
    assert LOG.level == logging.NOTSET


def test_the_codes_are_documented() -> None:
    documented = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "cli.md").read_text(), flags=re.MULTILINE)
    assert list(map(int, documented)) == list(EXIT_CODES) == [0, 1, 2, 3, 129, 130, 143]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_a_shell_sees_of_a_stopped_run(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    many = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 200), many)
    arguments = ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    process = subprocess.Popen(command_line(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    # A shell says 128 + n of a process that signal n ended.
    returned = process.wait(60)
    assert (returned if returned >= 0 else 128 - returned) == code
    found = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
    assert found["state"] == "interrupted"
    assert 0 < found["done"] < found["rows"]


def test_a_second_score_is_refused_by_name_while_the_first_goes_on(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    many = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 200), many)
    arguments = ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    first = start(*arguments)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is at it for as long as it takes to look
    try:
        second = start(*arguments)
        _, stderr = second.communicate(timeout=60)
        seen = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
        verified = lossrank("verify", tmp_path / "run")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert second.returncode == 1
    last = stderr.splitlines()[-1]
    assert last == (
        f"Error: {tmp_path / 'run'} is being written by another lossrank process (pid {first.pid}); "
        "wait for it or stop it"
    )
    assert (seen["state"], seen["pid"], seen["doing"]) == ("running", first.pid, "scoring")
    assert verified.exit_code == 1
    assert "see how far it is with lossrank status" in error_line(verified)
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert lossrank("verify", tmp_path / "run").exit_code == 0


def test_the_lock_of_a_dead_process_holds_nobody_up(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    many = tmp_path / "many.parquet"
    pq.write_table(pa.concat_tables([rows] * 100), many)
    arguments = ["score", tiny_bundle.path, many, "-o", tmp_path / "run", "--shard-rows", 1000, "--threads", 1]
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while not listed_shards(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert (tmp_path / "run" / ".lock").read_text() == f"{process.pid}\n"
    seen = json.loads(lossrank("status", tmp_path / "run", "--json").stdout)
    assert (seen["state"], seen["pid"], seen["why"]) == ("interrupted", None, "unknown")
    assert lossrank(*arguments).exit_code == 0
    entries = json.loads((tmp_path / "run" / "run.json").read_text())["history"]
    assert [entry["why"] for entry in entries] == ["unknown", "finished"]
