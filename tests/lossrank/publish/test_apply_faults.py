"""What apply writes is there whole or not at all: a place that can't be written, a full disk, a kill."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lossrank.publish.corrected import CorrectedRows
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support import ROOT
from tests.support.commands import Lossrank, error_line, read_only
from tests.support.facts import tells
from tests.support.publishing import decide, files


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("out.csv", ["out.csv", ".parquet", "folder"]),
        ("nowhere/out", ["/nowhere is not a folder"]),
        ("in/news.parquet", ["in/news.parquet", "data", "scored"]),
        ("run/scores/part-00000.parquet", ["run/scores/part-00000.parquet", "scores"]),
        ("in", ["/in was not written", "lossrank apply"]),
        ("folder.parquet", ["folder.parquet is a folder", "file"]),
        ("file", ["/file is a file"]),
    ],
)
def test_places_that_can_not_be_written_to_are_refused(
    lossrank: Lossrank, scored: Path, tmp_path: Path, name: str, named: list[str]
) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").write_text("x")
    before = (tmp_path / "in" / "news.parquet").read_bytes()
    assert tells(error_line(lossrank("apply", scored, "-o", tmp_path / name, "--force")), *named)
    assert (tmp_path / "in" / "news.parquet").read_bytes() == before


@pytest.mark.parametrize("pattern", ["", "*.parquet"])
def test_nothing_is_written_among_the_data_where_the_next_run_would_read_it(
    lossrank: Lossrank, tiny_bundle: ModelBundle, scored: Path, tmp_path: Path, pattern: str
) -> None:
    run = tmp_path / "of-a-folder"
    score_dataset(tiny_bundle, str(tmp_path / "in" / pattern), run, ScoreOptions(threads=1))
    decide(run, {3: "World"})
    place = tmp_path / "in" / "corrected.parquet"
    for command in (["apply", run], ["rank", run], ["diff", run, scored], ["diff", scored, run]):
        assert tells(error_line(lossrank(*command, "-o", place)), place, "scored", tmp_path / "in" / pattern)
    assert files(tmp_path / "in") == ["news.parquet"]


def test_a_place_that_can_not_be_written_is_one_line(lossrank: Lossrank, scored: Path, tmp_path: Path) -> None:
    for name in ("out", "out.parquet"):
        assert tells(error_line(lossrank("apply", scored, "-o", read_only(tmp_path) / name)), name)


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_a_full_disk_leaves_nothing_half_written_and_what_was_there(
    lossrank: Lossrank, scored: Path, small_disk: Path, name: str
) -> None:
    subprocess.run(["mount", "-o", "remount,size=16k", str(small_disk)], check=True)
    out = small_disk / name
    if name == "out":
        out.mkdir()
        (out / "README.md").write_text("<!-- written by lossrank apply -->")
    else:
        out.write_text("old")
    before = files(small_disk)
    said = error_line(lossrank("apply", scored, "-o", out, "--force"))
    assert tells(said, "space", out)
    assert files(small_disk) == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_full_disk_while_datasets_saves_is_one_line_too(
    lossrank: Lossrank, scored: Path, small_disk: Path, rows: pa.Table
) -> None:
    subprocess.run(["mount", "-o", "remount,size=320k", str(small_disk)], check=True)
    said = error_line(lossrank("apply", scored, "-o", small_disk / "out", "--format", "save_to_disk"))
    assert tells(said, "space", small_disk / "out")
    assert files(small_disk) == []
    gc.collect()  # what the library still holds keeps the disk busy


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_a_killed_apply_leaves_no_half_output(scored: Path, tmp_path: Path, name: str, end: int) -> None:
    program = (
        "import sys, time\n"
        "from lossrank.publish.corrected import CorrectedRows\n"
        "batches = CorrectedRows.batches\n"
        "def slow(rows):\n"
        "    yield from list(batches(rows))\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "CorrectedRows.batches = slow\n"
        "from cli.entry import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "apply", str(scored), "-o", str(tmp_path / name)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    assert any(entry.name.startswith(f".{name}.") for entry in tmp_path.iterdir())
    process.send_signal(end)
    process.stdout.close()
    assert process.wait() == (-end if end == signal.SIGKILL else 143)
    assert not (tmp_path / name).exists()
    if end == signal.SIGTERM:
        assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


def test_an_output_that_a_kill_left_aside_is_put_back_and_that_is_said(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from scorer import files\n"
        "files._exchanged = lambda one, other: False\n"
        "rename = Path.rename\n"
        "def killing(path, target):\n"
        "    rename(path, target)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.rename = killing\n"
        "with files.folder_written(Path(sys.argv[1])):\n"
        "    pass\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", program, str(out)], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    )
    assert not out.exists()
    (aside,) = tmp_path.glob(".out.*.old")
    (tmp_path / ".out.mine.old").mkdir()
    result = lossrank("apply", scored, "-o", out)
    note, error = result.stderr.splitlines()
    assert tells(note, "Note", out, aside.name)
    assert tells(error, "Error", out, "--force")
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    assert not aside.exists()
    assert "Note" not in lossrank("apply", scored, "-o", out, "--force").stderr


def test_what_is_called_old_is_whole_until_the_new_output_is_there(
    lossrank: Lossrank, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    removed = []
    monkeypatch.setattr("scorer.files.shutil.rmtree", lambda path, **_: removed.append(Path(path).suffix))
    assert lossrank("apply", scored, "-o", out, "--force").exit_code == 0
    assert removed
    assert set(removed) == {".tmp"}


def test_data_that_change_while_they_are_read_give_no_output(
    lossrank: Lossrank, scored: Path, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, corrected = tmp_path / "in" / "news.parquet", CorrectedRows._corrected

    def replacing(made: CorrectedRows, batch: pa.RecordBatch, at: int) -> pa.RecordBatch:
        time.sleep(0.01)
        os.utime(data)
        return corrected(made, batch, at)

    monkeypatch.setattr(CorrectedRows, "_corrected", replacing)
    assert tells(error_line(lossrank("apply", scored, "-o", tmp_path / "out")), data, "changed")
    assert not (tmp_path / "out").exists()
