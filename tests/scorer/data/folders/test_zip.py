"""Zip archives: one data file in them is read, streaming; several ask which; nothing is read twice."""

import gzip
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from scorer import ModelBundle, open_source, score_dataset
from scorer.address import Address
from scorer.data.folders.find import would_read
from scorer.run.reopened import reopen_data
from tests.scorer.data.filesystem.helpers import Bucket, csv, parquet, same_rows
from tests.scorer.data.folders.helpers import TABLE, refusal, rows_of, write
from tests.support.facts import tells
from tests.support.manifests import run_of

CSV = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in TABLE.to_pylist())
JSONL = "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist())
FASTTEXT = "".join(f"__label__{row['label']} {row['text']}\n" for row in TABLE.to_pylist())


def packed(files: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv", CSV),
        ("deep/er/train.tsv", CSV.replace(",", "\t")),
        ("a.jsonl", JSONL),
        ("a.jsonl.gz", gzip.compress(JSONL.encode())),
        ("a.txt", FASTTEXT),
    ],
)
def test_the_one_data_file_is_read(tmp_path: Path, method: int, name: str, content: str | bytes) -> None:
    others = {"__MACOSX/._train.csv": "x", "README.md": "x", "LICENSE.txt": "free", ".DS_Store": "x", "folder/": ""}
    file = write(tmp_path / "d" / "a.ZIP", packed({**others, name: content, "dataset_infos.json": "{}"}, method))
    for data in (file, file.parent, file.parent / "*.ZIP", f"{file}/{name}"):
        source = open_source(str(data))
        assert rows_of(source) == TABLE.to_pylist()
        assert [record.file for record in source.spec.files] == [str(file)]


def test_several_ask_which(tmp_path: Path) -> None:
    other = CSV.replace("text ", "test ")
    file = write(tmp_path / "a.zip", packed({"train.csv": CSV, "sub/test.csv": other}))
    assert tells(refusal(file), "a.zip holds 2 data files (sub/test.csv, train.csv)", "a.zip/sub/test.csv")
    assert tells(refusal(tmp_path), "a.zip holds 2 data files")
    test, train = open_source(f"{file}/sub/test.csv"), open_source(f"{file}/train.csv")
    assert [row["text"] for row in rows_of(test)] == [f"test {i}" for i in range(12)]
    assert rows_of(train) == TABLE.to_pylist()
    assert test.fingerprint != train.fingerprint
    assert reopen_data(run_of(test)).fingerprint == test.fingerprint
    assert open_source([f"{file}/sub/test.csv", f"{file}/train.csv"]).num_rows == 24
    assert tells(refusal([f"{file}/train.csv", f"{file}/train.csv"]), "a.zip is given twice")
    assert tells(refusal(f"{file}/trian.csv"), "a.zip holds no file trian.csv", "train.csv")
    many = write(tmp_path / "b.zip", packed({f"{'n' * 200}{i}.csv": CSV for i in range(20)}))
    assert tells(refusal(many), "b.zip holds 20 data files", "17 more")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed({"a.parquet": parquet()}), "a Parquet file (a.parquet)"),
        (packed({"b.zip": packed({"a.csv": CSV})}), "a file of another kind (b.zip)"),
        (packed({"a.csv.xz": b"x"}), "a file of another kind (a.csv.xz)"),
        (packed({"a.doc": "x", "notes.txt": "no data"}), "no file of a known kind"),
        (packed({}), "no file of a known kind"),
        (b"PK not a zip", "not a zip archive that can be read"),
        (packed({"a.csv": CSV})[:-30], "not a zip archive that can be read"),
    ],
)
def test_what_can_not_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    assert tells(refusal(write(tmp_path / "a.zip", content)), "a.zip", said)


def test_a_broken_member_and_an_encrypted_one(tmp_path: Path) -> None:
    whole = packed({"a.csv": CSV * 100}, zipfile.ZIP_STORED)
    at = whole.index(b"text 5")
    broken = write(tmp_path / "a.zip", whole[:at] + b"tixt 5" + whole[at + 6 :])
    assert tells(refusal(broken), "a.zip/a.csv", "Bad CRC-32", "unpack")
    flagged = bytearray(packed({"a.csv": CSV}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        flagged[flagged.index(mark) + place] |= 1
    assert tells(refusal(write(tmp_path / "b.zip", bytes(flagged))), "b.zip/a.csv is encrypted", "password")


class TestBesideItsUnpackedCopy:
    @pytest.mark.parametrize("place", ["train.csv", "a/train.csv"])
    def test_it_is_left_out(self, tmp_path: Path, place: str) -> None:
        write(tmp_path / "a.zip", packed({"train.csv": CSV}))
        write(tmp_path / place, CSV)
        for data in (tmp_path, f"{tmp_path}/**"):
            source = open_source(data)
            assert rows_of(source) == TABLE.to_pylist()
            assert any("a.zip is left out, because train.csv lies beside it" in note for note in source.notes)

    def test_by_its_name(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", CSV)
        write(tmp_path / "a.csv.zip", packed({"b.csv": CSV}))
        assert open_source(tmp_path).num_rows == 12

    def test_another_size_stops(self, tmp_path: Path) -> None:
        write(tmp_path / "a.zip", packed({"train.csv": CSV}))
        write(tmp_path / "train.csv", CSV + "more,World\n")
        assert tells(refusal(tmp_path), "train.csv has", "its copy in a.zip has", "out of date")

    def test_other_data_is_read_too(self, tmp_path: Path) -> None:
        write(tmp_path / "a.zip", packed({"one.csv": CSV}))
        write(tmp_path / "two.csv", CSV)
        write(tmp_path / "pictures.zip", packed({"a.png": "x"}))
        source = open_source(tmp_path)
        assert rows_of(source) == TABLE.to_pylist() * 2
        assert any("pictures.zip is left out" in note for note in source.notes)


def test_memory_is_bounded(tmp_path: Path) -> None:
    file = write(tmp_path / "a.zip", packed({"a.csv": "text\n" + ("x" * 99 + "\n") * 100_000}))
    assert file.stat().st_size < 100_000
    tracemalloc.start()
    assert open_source(file).num_rows == 100_000
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_run_resumes_and_its_archive_is_not_written_over(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    file = write(tmp_path / "a.zip", packed({"a.csv": CSV, "b.csv": "text\nx\n"}))
    for _ in range(2):
        assert score_dataset(tiny_bundle, f"{file}/a.csv", tmp_path / "run").by_status == {"ok": 12}
    assert would_read(Address.parse(f"{file}/a.csv"), file)
    assert would_read(Address.parse(str(tmp_path)), tmp_path / "new.zip")
    write(file, packed({"a.csv": CSV + "more,World\n", "b.csv": "text\nx\n"}))
    assert open_source(f"{file}/a.csv").num_rows == 13


def test_in_a_store(bucket: Bucket) -> None:
    root = bucket("x/a.zip", packed({"data/a.csv": csv()}))
    bucket("y/b.zip", packed({"a.csv": csv(), "b.csv": csv()}))
    for data in ("x/a.zip", "x", "x/*.zip", "x/a.zip/data/a.csv", "y/b.zip/b.csv"):
        same_rows(open_source(f"{root}/{data}"))
    assert tells(refusal(f"{root}/y/b.zip"), "b.zip holds 2 data files")
    assert tells(refusal(f"{root}/y/b.zip/c.csv"), "holds no file c.csv")
