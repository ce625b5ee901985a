"""What lies beside data is no data: descriptions, notes and licences; what is no data at all is said."""

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scorer import open_source
from scorer.address import Address
from scorer.data.folders.find import would_read
from scorer.data.folders.names import DESCRIPTIONS
from tests.scorer.data.folders.helpers import TABLE, refusal, rows_of, write
from tests.support.facts import tells

FASTTEXT = "".join(f"__label__{row['label']} {row['text']}\n" for row in TABLE.to_pylist())


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("pattern", ["", "*", "**"])
def test_descriptions_are_left_out(tmp_path: Path, name: str, pattern: str) -> None:
    if name == "dataset_dict.json":
        (tmp_path / "sub").mkdir()
        name = f"sub/{name}"  # in the folder itself it marks a saved DatasetDict
    write(tmp_path / name, '{"text": "no row", "label": "World"}')
    pq.write_table(TABLE, tmp_path / "a.parquet")
    source = open_source(f"{tmp_path}/{pattern}")
    assert rows_of(source) == TABLE.to_pylist()
    if pattern != "*" or "/" not in name:
        assert any(f"{Path(name).name} left out" in note for note in source.notes)


def test_a_description_that_is_named_itself_is_read(tmp_path: Path) -> None:
    file = write(tmp_path / "config.json", '{"text": "a row"}\n')
    for data in (file, tmp_path, tmp_path / "*.json"):
        assert rows_of(open_source(data)) == [{"text": "a row"}]


def test_texts_beside_data_are_no_data(tmp_path: Path) -> None:
    for name, content in (
        ("LICENSE.txt", "free"),
        ("empty.txt", ""),
        ("notes.txt.gz", "x"),
        ("requirements.txt", "x==1"),
    ):
        write(tmp_path / name, content)
    assert tells(refusal(tmp_path), "no file of a known kind", "fastText's .txt")
    write(tmp_path / "train.txt", FASTTEXT)
    assert rows_of(open_source(tmp_path)) == TABLE.to_pylist()
    pq.write_table(TABLE, tmp_path / "a.parquet")
    write(tmp_path / "train.txt", "no label")
    assert rows_of(open_source(tmp_path)) == TABLE.to_pylist()


def test_fasttext_and_another_kind_stop(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", FASTTEXT)
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert tells(refusal(tmp_path), "files of several kinds (Parquet, fastText)")


def test_a_log_may_lie_there_but_not_replace_data(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", FASTTEXT)
    write(tmp_path / "old.txt", "a line\n")
    address = Address.parse(str(tmp_path))
    assert [would_read(address, tmp_path / name) for name in ("a.txt", "old.txt", "new.txt")] == [True, False, False]


def test_a_pointer_of_git_lfs_is_no_data(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        write(tmp_path / "d" / name, pointer)
        assert tells(refusal(tmp_path / "d"), f"d/{name} is a pointer of Git LFS", "`git lfs pull`")
        (tmp_path / "d" / name).unlink()


def test_a_compressed_copy_is_not_read_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "text\na\n")
    write(tmp_path / "a.csv.gz", gzip.compress(file.read_bytes()))
    for data in (tmp_path, tmp_path / "*"):
        assert tells(refusal(data), "a.csv.gz lies beside a file of the same name", "twice")
    assert open_source(tmp_path / "*.csv").num_rows == open_source(tmp_path / "*.gz").num_rows == 1
    assert open_source([file, tmp_path / "a.csv.gz"]).num_rows == 2  # as they are named one by one
