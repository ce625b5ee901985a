"""formats: what CSV and JSON lines may hold, and files that are not what their names say."""

import bz2
import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import SourceError, open_source
from scorer.data.arrow import text_array, valid_text
from scorer.data.formats.known import format_of, is_text_format
from scorer.run.schema import INVALID_TEXT, NO_TEXT, OK
from tests.scorer.data.formats.helpers import column, window_of, write
from tests.support.facts import facts


class TestBinary:
    def test_parquet_with_bytes_that_are_not_utf8(self, tmp_path: Path) -> None:
        texts = pa.array([b"good", b"caf\xe9", None, b"fine"], pa.binary()).view(pa.string())
        pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
        window = window_of(open_source(tmp_path / "a.parquet"))
        assert window.status.tolist() == [OK, INVALID_TEXT, NO_TEXT, OK]
        assert window.texts == ["good", "fine"]

    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather"])
    @pytest.mark.parametrize("content", [b"PAR1", b"ARROW1", b"text,label\na,0\n", b"\0" * 5000])
    def test_a_file_that_is_not_what_its_name_says(self, tmp_path: Path, name: str, content: bytes) -> None:
        kind = "Parquet" if name == "a.parquet" else "Arrow"
        with pytest.raises(SourceError, match=rf"{name} can't be read as {kind} \(.+\)"):
            open_source(write(tmp_path / name, content))

    def test_parquet_cut_off(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "a.parquet")
        whole = (tmp_path / "a.parquet").read_bytes()
        with pytest.raises(SourceError, match=r"a\.parquet can't be read as Parquet \(.+\)"):
            open_source(write(tmp_path / "a.parquet", whole[:-50]))

    def test_parquet_damaged_in_the_middle(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        table = pa.table({"text": [f"text {i * 7919}" for i in range(5000)]})
        pq.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=1000)
        content = bytearray(path.read_bytes())
        at = pq.read_metadata(path).row_group(2).column(0).data_page_offset + 40
        content[at : at + 400] = b"\xff" * 400
        source = open_source(write(path, bytes(content)))
        assert len(next(source.read(None, 0, 1000))) == 1000  # the damage is not met yet
        with pytest.raises(SourceError, match=r"a\.parquet can't be read as Parquet \(.+\)"):
            list(source.read())
        with pytest.raises(SourceError, match=r"a\.parquet can't be read as Parquet \(.+\)"):
            source.take(np.array([2500]))

    @pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.arrow"])
    def test_an_empty_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(SourceError, match=rf"{name} is empty \(0 bytes\)"):
            open_source(write(tmp_path / name, b""))

    def test_no_rows(self, tmp_path: Path) -> None:
        pq.write_table(
            pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}), tmp_path / "a.pq"
        )
        with pytest.raises(SourceError, match=facts("a.pq", "empty", "text, label")):
            open_source(tmp_path / "a.pq")


class TestCompression:
    @pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
    @pytest.mark.parametrize(
        ("name", "content"), [("a.csv", "text\none\ntwo\n"), ("a.jsonl", '{"text": "one"}\n{"text": "two"}\n')]
    )
    def test_text_formats(self, tmp_path: Path, ending: str, compress: object, name: str, content: str) -> None:
        packed = compress(content.encode())  # type: ignore[operator]
        assert column(open_source(write(tmp_path / (name + ending), packed)), "text") == ["one", "two"]

    @pytest.mark.parametrize("codec", ["zstd", "lz4"])
    def test_by_arrows_codecs(self, tmp_path: Path, codec: str) -> None:
        path = tmp_path / f"a.csv.{ {'zstd': 'zst'}.get(codec, codec) }"
        with pa.output_stream(str(path), compression=codec) as stream:
            stream.write(b"text\none\n" * 1)
        assert column(open_source(path), "text") == ["one"]

    def test_cut_off(self, tmp_path: Path) -> None:
        packed = gzip.compress("".join(f'{{"text": "{i * 7919}"}}\n' for i in range(20_000)).encode())
        with pytest.raises(SourceError, match=facts("a.jsonl.gz", "can't be read as JSON")):
            open_source(write(tmp_path / "a.jsonl.gz", packed[: len(packed) // 2]))

    def test_not_compressed_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"a\.csv\.gz can't be read as CSV \(.+\)"):
            open_source(write(tmp_path / "a.csv.gz", "text\none\n"))

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("a.CSV", "CSV"),
            ("a.b.tsv", "CSV"),
            ("a.jsonl.GZ", "JSON"),
            ("a.ndjson.zst", "JSON"),
            ("a.json", "JSON"),
            ("a.pq", "Parquet"),
            ("a.ipc", "Arrow"),
            ("a.parquet.gz", None),
            ("a.gz", None),
            ("a.txt", "fastText"),
            ("a.text", None),
            ("csv", None),
        ],
    )
    def test_kinds_by_name(self, name: str, kind: str | None) -> None:
        found = format_of(name)
        assert (found and found.name) == kind
        assert is_text_format(name) is (kind in ("CSV", "JSON", "fastText"))


def test_text_array_keeps_bytes_that_are_not_utf8() -> None:
    array = text_array(["é", None, "caf\udce9", "\ud800"])
    assert array.type == pa.string()
    assert array.cast(pa.binary()).to_pylist() == ["é".encode(), None, b"caf\xe9", b"\xed\xa0\x80"]


def test_valid_text_replaces_them() -> None:
    assert valid_text(text_array(["é", None, "caf\udce9"])).to_pylist() == ["é", None, "caf\ufffd"]
    plain = pa.array(["é", None])
    assert valid_text(plain) is plain
    for other in (pa.array([1, 2]), pa.array(["a"]).dictionary_encode(), pa.array([b"\xe9"])):
        assert valid_text(other) is other
    for kind in (pa.string(), pa.large_string()):
        found = valid_text(pa.chunked_array([pa.array([b"a", b"\xe9"], pa.binary()).cast(kind, safe=False)]))
        assert (found.type, found.to_pylist()) == (kind, ["a", "\ufffd"])


BAD = text_array(["a", "caf\udce9", None, "\udce9"])


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.DictionaryArray.from_arrays(pa.array([3, 1, None, 0]), BAD), ["\ufffd", "caf\ufffd", None, "a"]),
        (
            pa.ListArray.from_arrays(pa.array([0, 2, None, 3, 4], pa.int32()), BAD),
            [["a", "caf\ufffd"], [None], None, ["\ufffd"]],
        ),
        (pa.FixedSizeListArray.from_arrays(BAD, 1), [["a"], ["caf\ufffd"], [None], ["\ufffd"]]),
        (
            pa.MapArray.from_arrays([0, 1, 1, 2], BAD.take(pa.array([3, 1])), BAD.take(pa.array([1, 3]))),
            [[("\ufffd", "caf\ufffd")], [], [("caf\ufffd", "\ufffd")]],
        ),
        (
            pa.StructArray.from_arrays([BAD], names=["a"], mask=pa.array([False, False, False, True])),
            [{"a": "a"}, {"a": "caf\ufffd"}, {"a": None}, None],
        ),
        (pa.ExtensionArray.from_storage(pa.opaque(pa.string(), "a", "b"), BAD), ["a", "caf\ufffd", None, "\ufffd"]),
    ],
)
def test_valid_text_replaces_them_in_what_holds_text(array: pa.Array, values: list[object]) -> None:
    assert array.type == valid_text(array).type
    assert valid_text(array).to_pylist() == values
    assert valid_text(array.slice(1)).to_pylist() == values[1:]
    assert valid_text(pa.chunked_array([array, array.slice(2, 1)])).to_pylist() == [*values, values[2]]
    assert valid_text(pa.ListArray.from_arrays([0, 1], array)).to_pylist() == [values[:1]]


def test_taken_rows_are_always_text_that_can_be_written(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": text_array(["a", "caf\udce9", None])}), tmp_path / "a.parquet")
    write(tmp_path / "b.csv", b"text\na\ncaf\xe9\n")
    write(tmp_path / "c.jsonl", b'{"text": "a", "m": {"k": 1}}\n{"text": "caf\xe9", "m": {"k": "\xe9"}}\n')
    for name in ("a.parquet", "b.csv", "c.jsonl"):
        table = open_source(tmp_path / name).take(np.array([1, 0]))
        assert table["text"].to_pylist() == ["caf\ufffd", "a"]
    assert table["m"].to_pylist() == ['{"k": "\ufffd"}', '{"k": 1}']


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_of_megabytes_are_held_a_few_at_a_time(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("binary", "chunks"):
        monkeypatch.setattr(f"scorer.data.formats.{module}.CHUNK_SIZE", 10_000)
    table = pa.table({"text": [f"{i}".ljust(3000) if i < 10 else f"{i}" for i in range(60)], "n": range(60)})
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        pa.csv.write_csv(table, path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path, row_group_size=10, use_dictionary=False)
    source = open_source(path)
    batches = list(source.read())
    assert max(sum(map(len, batch.column("text").to_pylist())) for batch in batches) <= 12_000
    assert len(batches) < 12
    assert column(source, "text") == table["text"].to_pylist()
    assert source.take(np.array([59, 3]))["text"].to_pylist() == [table["text"][i].as_py() for i in (59, 3)]
