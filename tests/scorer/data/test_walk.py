"""Folders and globs of this machine: nothing in their reach is passed over in silence, and nothing is read twice."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scorer import SourceError, open_source
from tests.support.facts import facts

Fill = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of a row each, one in a folder below."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "sub/c.csv"):
        (tmp_path / "data" / name).write_text(f"text\n{name}\n")
    return tmp_path / "data"


def texts(data: Path) -> list[str]:
    return [text for batch in open_source(data).read(["text"]) for text in batch["text"].to_pylist()]


@pytest.fixture(params=["", "**/*.csv"])
def data(folder: Path, request: pytest.FixtureRequest) -> Path:
    """The folder, and a glob that means the same."""
    return folder / request.param


def test_links_that_lead_out_are_followed(data: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.csv").write_text("text\nd\n")
    (folder / "sub" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "e.csv").write_text("text\ne\n")
    (folder / "e.csv").symlink_to(tmp_path / "e.csv")
    assert texts(data) == ["a.csv", "b.csv", "e", "sub/c.csv", "d"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda at: (at / "c.csv").symlink_to("/nowhere/c.csv"),
            r"data/c.csv is a link to /nowhere/c.csv",
        ),
        (
            lambda at: (at / "latest.csv").symlink_to("b.csv"),
            r"data/latest.csv is the same file as .*/data/b.csv",
        ),
        (
            lambda at: (at / "sub" / "up").symlink_to(".."),
            r"data/sub/up is the same folder as .*/data,",
        ),
        (
            lambda at: (at / "twin").symlink_to("sub"),
            r"data/(sub|twin) is the same folder as .*/data/(sub|twin),",
        ),
        (
            lambda at: Path(os.fsdecode(bytes(at / "\udce9.csv"))).touch(),
            r"csv' has a name that is not UTF-8",
        ),
    ],
)
def test_what_would_be_left_out_or_read_twice_is_refused(data: Path, folder: Path, harm: Fill, message: str) -> None:
    harm(folder)
    with pytest.raises(SourceError, match=message):
        open_source(data)


def test_a_folder_that_may_not_be_listed_is_named(data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SourceError, match=facts("data/sub", "Permission denied")):
        open_source(data)
    assert texts(folder / "*.csv") == ["a.csv", "b.csv"]


def test_what_is_no_data_may_be_anything(data: Path, folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/nowhere")
    for name in ("a.csv.sha256", "a.csv.zip", "notes.txt.gz", ".d.csv.xz", "xz", "csv.xz"):
        (folder / name).touch()
    (folder / ".loop").symlink_to(".")
    Path(os.fsdecode(bytes(folder / "\udce9.txt"))).touch()
    assert texts(data) == ["a.csv", "b.csv", "sub/c.csv"]


@pytest.mark.parametrize("name", ["d.csv.xz", "D.JSONL.7z", "sub/d.parquet.gz"])
def test_data_in_a_compression_that_can_not_be_read_is_refused(folder: Path, name: str) -> None:
    (folder / name).touch()
    with pytest.raises(SourceError, match=facts(f"data/{name}", "compression", ".parquet")):
        open_source(folder)
    assert texts(folder / "*.csv") == ["a.csv", "b.csv"]


def test_a_place_that_is_not_utf8_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder.parent / "\udce9"
    odd.mkdir()
    (odd / "a.csv").write_text("text\na\n")
    monkeypatch.chdir(odd)
    with pytest.raises(SourceError, match=facts("a.csv", "UTF-8")):
        open_source("a.csv")
