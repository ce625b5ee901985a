"""Lake tables: a folder of files with a log is never read without its log, however its files are named."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scorer import open_source
from tests.scorer.data.filesystem.helpers import Bucket, parquet
from tests.scorer.data.folders.helpers import TABLE, refusal, rows_of, write
from tests.support.facts import tells

LINE = "this Python writes: import deltalake, pyarrow.parquet as pq; pq.write_table("


def delta(folder: Path) -> Path:
    """Write a Delta table by hand, as Spark does: two versions, of which the second replaces the first."""
    folder.mkdir(parents=True)
    log = []
    for version, rows in enumerate((TABLE, TABLE.slice(0, 6))):
        pq.write_table(rows, folder / f"part-{version}.parquet")
        actions = [{"add": {"path": f"part-{version}.parquet", "dataChange": True}}]
        actions += [{"remove": {"path": "part-0.parquet", "dataChange": True}}] * version
        log.append("".join(json.dumps(action) + "\n" for action in actions))
    for version, actions_of in enumerate(log):
        write(folder / "_delta_log" / f"{version:020}.json", actions_of)
    return folder


def iceberg(folder: Path) -> Path:
    for version in (0, 1, 10, 2):
        write(folder / "metadata" / f"{version:05}-0b-1c.metadata.json", "{}")
    write(folder / "metadata" / "snap-1.avro", "x")
    (folder / "data" / "label=World").mkdir(parents=True)
    pq.write_table(TABLE, folder / "data" / "label=World" / "a.parquet")
    pq.write_table(TABLE.slice(0, 3), folder / "data" / "b.parquet")
    return folder


@pytest.mark.parametrize(
    "data", ["t", "t/*.parquet", "t/part-1.parquet", ["t/part-1.parquet", "t/part-0.parquet"], ".", "**/*.parquet", "l"]
)
def test_delta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str | list[str]) -> None:
    table = delta(tmp_path / "t")
    (tmp_path / "l").symlink_to("t")
    monkeypatch.chdir(tmp_path)
    if data in (".", "**/*.parquet"):
        (tmp_path / "l").unlink()
    message = refusal(data)
    assert tells(message, "/t" if data != "l" else "/l", "is a Delta table", LINE, "deltalake.DeltaTable(")
    for file in table.glob("*.parquet"):  # the advice for those who want the plain files
        (tmp_path / "copied").mkdir(exist_ok=True)
        (tmp_path / "copied" / file.name).write_bytes(file.read_bytes())
    assert open_source("copied").num_rows == 18


def test_the_line_of_python_gives_the_current_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deltalake = pytest.importorskip("deltalake")
    monkeypatch.chdir(tmp_path)
    deltalake.write_deltalake("t", TABLE)
    deltalake.write_deltalake("t", TABLE.slice(0, 5), mode="overwrite")
    line = refusal("t").partition("writes: ")[2]
    exec(line, {})
    assert rows_of(open_source("rows.parquet")) == TABLE.slice(0, 5).to_pylist()


@pytest.mark.parametrize(
    "data",
    ["t", "t/data", "t/data/*.parquet", "t/data/b.parquet", "t/data/label=World", "t/data/label=World/a.parquet", "."],
)
def test_iceberg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    iceberg(tmp_path / "t")
    monkeypatch.chdir(tmp_path)
    message = refusal(data)
    assert tells(
        message,
        "is an Iceberg table",
        "metadata/00010-0b-1c.metadata.json",
        "pyiceberg.table.StaticTable.from_metadata",
    )


def test_hudi(tmp_path: Path) -> None:
    write(tmp_path / "t" / ".hoodie" / "hoodie.properties", "x")
    pq.write_table(TABLE, tmp_path / "t" / "a.parquet")
    for data in ("t", "t/a.parquet", "t/*"):
        assert tells(refusal(tmp_path / data), "is a Hudi table", "spark.read.format('hudi')")


@pytest.mark.parametrize(("length", "said"), [(40, "'FOLDER/metadata/"), (180, "that you write with pyiceberg.table")])
def test_long_names_leave_the_line_short(tmp_path: Path, length: int, said: str) -> None:
    assert tells(refusal(iceberg(tmp_path / ("t" * length))), "is an Iceberg table", said)


def test_what_only_looks_like_a_table_is_read(tmp_path: Path) -> None:
    write(tmp_path / "metadata" / "about.metadata.json", "{}")
    write(tmp_path / "metadata" / "v1.json", "{}")
    pq.write_table(TABLE, tmp_path / "a.parquet")
    write(tmp_path / "_delta_log", "a file")
    assert rows_of(open_source(tmp_path / "a.parquet")) == TABLE.to_pylist()


class TestInAStore:
    @pytest.mark.parametrize(
        "data",
        ["", "/t", "/t/", "/t/*.parquet", "/t/label=a/x.parquet", "/t/*/x.parquet", "/t/label=a", "/**/x.parquet"],
    )
    def test_delta(self, bucket: Bucket, data: str) -> None:
        bucket("t/_delta_log/00000000000000000000.json", b"{}")
        root = bucket("t/label=a/x.parquet", parquet())
        bucket("t/y.parquet", parquet())
        assert tells(refusal(root + data), "/t is a Delta table", "deltalake.DeltaTable")

    @pytest.mark.parametrize("data", ["", "/w/t", "/w/t/data", "/w/t/data/*.parquet", "/w/t/data/x.parquet"])
    def test_iceberg(self, bucket: Bucket, data: str) -> None:
        bucket("w/t/metadata/v1.metadata.json", b"{}")
        bucket("w/t/metadata/v12.metadata.json", b"{}")
        root = bucket("w/t/data/x.parquet", parquet())
        assert tells(refusal(root + data), "/w/t is an Iceberg table", "metadata/v12.metadata.json")

    def test_others_are_read(self, bucket: Bucket) -> None:
        bucket("t/metadata/x.json", b"{}")
        root = bucket("t/data/x.parquet", parquet())
        assert open_source(f"{root}/t/data/x.parquet").num_rows == 600

    def test_in_fsspecs_memory(self) -> None:
        fsspec = pytest.importorskip("fsspec")
        fs = fsspec.filesystem("memory")
        fs.pipe({"/lake/t/_delta_log/0.json": b"{}", "/lake/t/x.parquet": parquet(), "/lake/u/x.parquet": parquet()})
        for data in ("lake", "lake/t", "lake/t/x.parquet", "lake/*/x.parquet", "lake/t/*.parquet"):
            assert tells(refusal(f"memory://{data}"), "lake/t is a Delta table")
        assert open_source("memory://lake/u/x.parquet").num_rows == 600
