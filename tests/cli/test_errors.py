"""A mistake is one line and an exit code, and leaves nothing half-written."""

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle
from scorer.model.bundle_manifest import FORMAT
from tests.support import ROOT
from tests.support.commands import Lossrank, command_line, error_line, listed_shards, read_only
from tests.support.facts import tells
from tests.support.publishing import decide
from tests.support.tiny import make_bundle


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
        assert tells(said, moved, "--data")
        assert "--data" in lossrank(name, "--help").output
        said = error_line(lossrank(name, tmp_path / "run", *options, "--data", tmp_path / "nowhere.parquet"))
        assert tells(said, tmp_path / "nowhere.parquet")
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
    ("file", "options", "named"),
    [
        ("plane.csv", [], ["plane.csv", "plain.csv"]),
        ("empty.csv", [], ["empty.csv", "empty"]),
        ("header.csv", [], ["header.csv", "empty", "text", "label"]),
        (
            "plain.csv",
            ["--text-column", "txet"],
            ["txet", "text", "label"],
        ),
        ("ints.parquet", ["--text-column", "text"], ["text", "int64"]),
        ("cats.csv", [], ["Cats", "Dogs", "classes"]),
        ("plain.csv", ["--device", "cuda"], ["cuda", "onnxruntime"]),
        ("plain.csv", ["--max-tokens", "41"], ["max_tokens", 41, 4, 40]),
        ("plain.csv", ["--label-map", "missing.json"], ["label", "missing.json"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, file: str, options: list[str], named: list[object]
) -> None:
    bad_data(tmp_path)
    result = lossrank("score", tiny_bundle.path, tmp_path / file, "-o", tmp_path / "run", *options)
    assert result.exit_code == 1
    assert tells(error_line(result), *named)
    assert not list((tmp_path / "run").glob("scores/*"))


def test_bundles_that_are_not_right_are_named(lossrank: Lossrank, data: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle").path
    target = ["-o", tmp_path / "run"]
    missing = lossrank("score", tmp_path / "missing", data, *target)
    assert tells(error_line(missing), tmp_path / "missing", "bundle")
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes() + b"\0")
    changed = lossrank("score", bundle, data, *target)
    assert changed.exit_code == 1
    assert tells(error_line(changed), "model.onnx", "SHA-256")
    manifest = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**manifest, "format": FORMAT + 1}))
    newer = lossrank("score", bundle, data, *target)
    assert newer.exit_code == 1
    assert tells(error_line(newer), bundle, "format", FORMAT, FORMAT + 1)
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written_is_one_line(
    lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    taken = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "taken")
    assert taken.exit_code == 1
    assert tells(error_line(taken), tmp_path / "taken", "not a run directory", "`-o`")
    assert sorted((tmp_path / "taken").iterdir()) == [tmp_path / "taken" / "file"]
    place = read_only(tmp_path) / "run"
    locked = lossrank("score", tiny_bundle.path, data, "-o", place)
    assert locked.exit_code == 1
    assert tells(error_line(locked), place, "can't be written")
    nowhere = lossrank("rank", run, "-o", tmp_path / "no" / "folder.csv")
    assert nowhere.exit_code == 1
    assert tells(error_line(nowhere), f"{tmp_path / 'no'} is not a folder")
    ending = lossrank("rank", run, "-o", tmp_path / "worst.xlsx")
    assert tells(error_line(ending), "worst.xlsx", ".parquet", ".csv", ".jsonl")


def test_a_full_disk_is_one_line(
    lossrank: Lossrank,
    tiny_bundle: ModelBundle,
    data: Path,
    run: Path,
    small_disk: Path,
) -> None:
    full = lossrank("score", tiny_bundle.path, data, "-o", small_disk / "run", "--shard-rows", 50)
    assert full.exit_code == 1
    assert tells(error_line(full), "space", small_disk / "run")
    assert not list(small_disk.rglob("*.tmp"))
    ranked = lossrank("rank", run, "--top", 1000, "-o", small_disk / "worst.jsonl")
    assert ranked.exit_code == 1
    assert tells(error_line(ranked), "space", small_disk / "worst.jsonl")
    assert not (small_disk / "worst.jsonl").exists()
    new = lossrank("score", tiny_bundle.path, data, "-o", small_disk / "new")
    assert tells(error_line(new), "space", small_disk)
    kept = listed_shards(small_disk / "run")
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    call = ("score", tiny_bundle.path, data, "--shard-rows", 50, "--json", "-o")
    assert json.loads(lossrank(*call, small_disk / "run").stdout)["kept_rows"] == 50 * kept > 0
    lossrank(*call, small_disk / "whole")
    for file in (small_disk / "whole" / "scores").iterdir():
        assert (small_disk / "run" / "scores" / file.name).read_bytes() == file.read_bytes()


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
    (line,) = done.stderr.splitlines()
    assert tells(line, "Error", "No space left on device")


def test_wrong_usage_exits_with_2(lossrank: Lossrank, run: Path) -> None:
    assert lossrank("rank", run, "--by", "size").exit_code == 2
    assert lossrank("rank", run, "--top", 0).exit_code == 2
    assert lossrank("frobnicate").exit_code == 2
