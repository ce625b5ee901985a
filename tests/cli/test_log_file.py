"""--log-file: a line for everything that happens, and nothing of the data."""

import json
import logging
import os
import re
from pathlib import Path

import pytest

from cli.log_file import ProgressLog, logging_to
from scorer import LabelError, ModelBundle, Progress, RunError, SourceError
from scorer.errors import WITHHELD
from scorer.events import LOG, event
from tests.support.commands import Lossrank, error_line, json_lines
from tests.support.facts import tells
from tests.support.tiny import expected_logits


def test_a_log_file_has_a_line_for_everything_and_no_text(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "from before"}\n')
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--shard-rows", 300, "--log-file", log]
    assert lossrank(*arguments).exit_code == 0
    told = json_lines(log)
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
    last = json_lines(log)[-1]
    assert (last["level"], last["event"], last["kind"]) == ("error", "error", "RunError")
    assert tells(last["message"], "max_tokens", 40, 20)
    assert log.stat().st_size > size


def test_labels_that_may_be_texts_stay_out_of_the_log(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("text,label\nw1,a private sentence\nw2,another private one\n")
    log = tmp_path / "log.jsonl"
    result = lossrank("score", tiny_bundle.path, tmp_path / "data.csv", "-o", tmp_path / "run", "--log-file", log)
    assert "a private sentence" in error_line(result)
    assert "private" not in log.read_text()
    assert json_lines(log)[-1]["kind"] == "LabelError"


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
    assert tells(told, "w1 private words", "private too")
    named = [*arguments, "--text-column", "w1 private words", "--label-column", "private too"]
    assert lossrank(*named).exit_code == 0
    assert "w1 private words" in error_line(lossrank(*named, "--id-column", "nothing"))
    other = lossrank(*arguments, "--text-column", "private too")
    assert tells(error_line(other), "text", "w1 private words", "private too")
    assert "private" not in log.read_text()
    (plan,) = (line for line in json_lines(log) if line["event"] == "plan")
    assert plan["columns"] == {"text": "column 1 of 2", "text_pair": None, "label": "column 2 of 2", "id": None}
    assert [line["message"] for line in json_lines(log) if line["event"] == "error"] == [WITHHELD] * 3


def test_labels_that_may_be_texts_stay_out_of_a_runs_history(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    predicted = [int(expected_logits(f"w{i}").argmax()) for i in range(60)]
    rows = [f"w{i},{(predicted[i] + 1) % 4}" for i in range(60)] * 3  # another order: known after the first window
    private = [f"w1,a private sentence {i}" for i in range(3)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows, *private]) + "\n")
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
    assert tells(error_line(result), "a private sentence")
    assert "private" not in log.read_text()
    assert (json_lines(log)[-1]["kind"], json_lines(log)[-1]["message"]) == ("RunError", WITHHELD)


def test_progress_and_rescoring_are_told_now_and_then(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log.jsonl", "score"):
        tell = ProgressLog(every=0.0)
        tell(Progress(total_rows=1000, kept=200, rows=300, seconds=3.0))
        tell(Progress(total_rows=1000, kept=200, rows=800, seconds=8.0, rescored=5))
        rare = ProgressLog(every=3600.0)
        rare(Progress(total_rows=1000))
    told = json_lines(tmp_path / "log.jsonl")[1:]
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
    last = json_lines(tmp_path / "log.jsonl")[-1]
    assert (last["event"], last.get("message")) == (event_name, message)


def test_a_log_file_that_can_not_be_written_is_said_first(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path
) -> None:
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--log-file"]
    nowhere = lossrank(*arguments, tmp_path / "no" / "log.jsonl")
    assert nowhere.exit_code == 1
    assert tells(error_line(nowhere), tmp_path / "no" / "log.jsonl")
    model = tiny_bundle.path / "model.onnx"
    before = model.read_bytes()
    assert tells(error_line(lossrank(*arguments, model)), model, "--log-file")
    assert model.read_bytes() == before
    inside = lossrank(*arguments, tmp_path / "run" / "log.jsonl")
    assert tells(error_line(inside), tmp_path / "run" / "log.jsonl")
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
    ("option", "named"),
    [
        (["--window-rows", "5000"], ["window_rows", 5000, "shard_rows", 4096]),
        (["--label-map", "/nope"], [WITHHELD]),
    ],
)
def test_what_is_wrong_with_an_option_is_in_the_log_file(
    lossrank: Lossrank,
    tiny_bundle: ModelBundle,
    data: Path,
    tmp_path: Path,
    option: list[str],
    named: list[object],
) -> None:
    log = tmp_path / "log.jsonl"
    result = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", *option, "--log-file", log)
    assert result.exit_code == 1
    assert [line["event"] for line in json_lines(log)] == ["start", "error"]
    assert tells(json_lines(log)[1]["message"], *named)


def test_a_label_map_is_no_log_file(lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    labels = tmp_path / "map.json"
    labels.write_text('{"0": "World"}')
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--label-map", labels, "--log-file", labels]
    assert tells(error_line(lossrank(*arguments)), labels, "--log-file")
    assert labels.read_text() == '{"0": "World"}'


def test_a_log_file_on_a_full_disk_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(Path("/dev/full"), "score"):
        event("one")
        event("two")
    (line,) = capsys.readouterr().err.splitlines()
    assert tells(line, "/dev/full")


def test_events_without_a_listener_go_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    event("nobody hears")
    assert capsys.readouterr() == ("", "")
    assert LOG.level == logging.NOTSET
