"""`lossrank review`: its address, its end, and the mistakes it names."""

import contextlib
import json
import queue
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.page.browser import browser_at
from lossrank.review.database import FILE
from lossrank.review.decision import KEPT
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, rank, score_dataset
from tests.support.browser import reviewing
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, tells

BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "  # what a shell does to a job with &


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture
def unserved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serve nothing, as if Ctrl-C came at once; the addresses that would be opened in a browser."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    opened: list[str] = []
    monkeypatch.setattr("lossrank.page.review.Review.serve", stop)
    monkeypatch.setattr(
        "cli.commands.review.browser_at", lambda address: contextlib.nullcontext(opened.append(address))
    )
    return opened


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> queue.Queue[str]:
    """What a browser with windows would be told to open."""
    opened: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("webbrowser.open", opened.put)
    monkeypatch.setenv("BROWSER", "firefox")
    return opened


def test_it_serves_until_ctrl_c_and_says_what_was_decided_and_what_comes_next(own: Path) -> None:
    row = rank(own, 1)[0].row
    with reviewing(own, "--user", "ann") as review:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", review.address)
        origin = review.address.rsplit("/", 2)[0]
        sent = {"row": row, "seen": 0, "verdict": KEPT}
        answer = httpx.post(f"{review.address}decide", data=sent, headers={"Origin": origin})
        assert answer.status_code == 303
        said = review.stop()
        assert review.process.returncode == 0
    assert [1, 1, 0, 0] in [counts(line.replace(str(own), "")) for line in said.splitlines()]
    assert f"lossrank apply {own} -o OUT" in said
    with DecisionStore(RunDirectory.open(own)) as store:
        assert store.current()[row].annotator == "ann"


def test_sigterm_ends_it_as_sigterm_ends_every_command(own: Path) -> None:
    with reviewing(own) as review:
        review.process.send_signal(signal.SIGTERM)
        said, _ = review.process.communicate(timeout=30)
        assert review.process.returncode == 143
    assert tells(said, own, "no decisions")


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [
        ("", signal.SIGINT, 0),
        (BACKGROUND, signal.SIGINT, 0),
        (BACKGROUND, signal.SIGTERM, 143),
    ],
)
def test_with_json_stdout_is_one_document_in_the_background_of_a_script_too(
    own: Path, before: str, number: signal.Signals, code: int
) -> None:
    program = f"{before}from cli.entry import main; main()"
    arguments = ["review", str(own), "--port", "0", "--no-browser", "--json", "--top", "7"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(2)]
    assert lines[1].startswith("http://127.0.0.1:")
    httpx.get(lines[1].strip())  # until it answers, uvicorn has not taken the signals
    process.send_signal(number)
    found, _ = process.communicate(timeout=30)
    assert json.loads(found) == {"run": str(own), "rows": 7, "kept": 0, "relabelled": 0, "discarded": 0}
    assert process.returncode == code


def test_the_browser_is_opened_unless_it_is_not_wanted(lossrank: Lossrank, own: Path, unserved: list[str]) -> None:
    result = lossrank("review", own, "--port", 0)
    assert result.exit_code == 0, result.output
    assert unserved == [result.stdout.splitlines()[0]]
    assert lossrank("review", own, "--port", 0, "--no-browser").exit_code == 0
    assert len(unserved) == 1


def test_a_browser_is_told_of_a_file_that_only_its_owner_can_read_and_not_of_the_token(told: queue.Queue[str]) -> None:
    with browser_at("http://127.0.0.1:1/token/"):
        address = told.get(timeout=30)
        assert address.startswith("file:///")
        assert "token" not in address
        file = Path(address.removeprefix("file://"))
        assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
        assert "http://127.0.0.1:1/token/" in file.read_text()
    assert not file.parent.exists()


def test_without_a_place_for_the_file_the_page_is_served_and_no_browser_opened(
    told: queue.Queue[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with browser_at("http://127.0.0.1:1/token/"):
        said = capsys.readouterr().err
    assert tells(said, "browser", "[Errno 2] No such file or directory")
    assert len(said.splitlines()) == 1
    assert told.empty()


def test_a_browser_without_windows_is_not_opened(
    told: queue.Queue[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with browser_at("http://127.0.0.1:1/token/"):
        assert list(tmp_path.iterdir()) == []
    assert told.empty()


def test_a_port_that_is_taken_is_one_line(lossrank: Lossrank, own: Path, unserved: list[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = lossrank("review", own, "--port", port)
    assert result.exit_code == 1
    assert tells(error_line(result), port, "127.0.0.1", "address already in use", "--port")
    assert unserved == []


@pytest.mark.parametrize("user", ["", "  ", "a\nb"])
def test_who_decides_must_have_a_name(lossrank: Lossrank, own: Path, unserved: list[str], user: str) -> None:
    result = lossrank("review", own, "--user", user)
    assert result.exit_code == 2
    assert tells(result.stderr, "--user")


def test_a_run_whose_data_has_moved_can_be_told_where_it_lies(
    lossrank: Lossrank, own: Path, data: Path, tmp_path: Path, unserved: list[str]
) -> None:
    document = json.loads((own / "run.json").read_text())
    moved = tmp_path / "moved.parquet"
    shutil.copy(data, moved)
    text = json.dumps(document).replace(str(data), str(tmp_path / "gone.parquet"))
    (own / "run.json").write_text(text)
    result = lossrank("review", own, "--port", 0)
    assert result.exit_code == 1
    assert tells(error_line(result), tmp_path / "gone.parquet", "--data")
    assert lossrank("review", own, "--port", 0, "--data", moved).exit_code == 0
    pq.write_table(pq.read_table(moved).slice(1), moved)
    assert lossrank("review", own, "--port", 0, "--data", moved).exit_code == 1


def test_a_mistake_in_the_ranking_makes_no_store(lossrank: Lossrank, own: Path, unserved: list[str]) -> None:
    result = lossrank("review", own, "--port", 0, "--pair", "World:Sprots")
    assert result.exit_code == 1
    assert "Sprots" in result.stderr
    assert not (own / FILE).exists()


def test_a_choice_without_rows_is_one_line(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, unserved: list[str]
) -> None:
    pq.write_table(pa.table({"text": ["w1", "w2"], "label": [0, 1]}), tmp_path / "two.parquet")
    score_dataset(tiny_bundle, tmp_path / "two.parquet", tmp_path / "two")
    result = lossrank("review", tmp_path / "two", "--port", 0, "--pair", "Sci/Tech:Sci/Tech")
    assert result.exit_code == 1
    assert tells(error_line(result), tmp_path / "two", "--pair", "--by", "--per-class")
    fewer = lossrank("review", tmp_path / "two", "--port", 0, "--top", 5)
    assert counts(fewer.stderr.splitlines()[0]) == [2]


def test_nothing_of_the_data_and_not_the_token_is_in_what_it_says_of_a_request(own: Path) -> None:
    program = "from cli.entry import main; main()"
    arguments = ["review", str(own), "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert "data-row" in httpx.get(f"{address}?search=w1", follow_redirects=True).text
    assert httpx.get(f"{address}nowhere?search=w1").status_code == 404
    process.send_signal(signal.SIGINT)
    _, noise = process.communicate(timeout=30)
    assert "search" not in noise
    assert address.split("/")[3] not in noise
    assert len(noise.splitlines()) == 1, noise
