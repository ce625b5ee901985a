"""formats: what CSV and JSON lines may hold, and files that are not what their names say."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import SourceError, open_source
from scorer.run.schema import INVALID_TEXT, NO_TEXT, OK, UNREADABLE
from tests.scorer.data.formats.helpers import TEXTS, column, count_reads, problems, window_of, write
from tests.support.facts import facts


class TestJsonLines:
    @staticmethod
    def lines(path: Path, *records: object) -> Path:
        return write(path, "".join(json.dumps(record) + "\n" for record in records))

    def test_a_line_is_refused_before_all_of_it_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = write(tmp_path / "a.jsonl", '{"text": "a"}\n' * 30_000 + '{"text": "' + "much " * 4_000_000 + '"}\n')
        taken = count_reads(monkeypatch)
        monkeypatch.setattr("scorer.data.formats.text_files.MOST_BYTES", 300_000)
        with pytest.raises(SourceError, match=facts("a.jsonl line 30001", "300,000 bytes")):
            open_source(file)
        assert sum(taken) < 1_000_000

    def test_types_come_back(self, tmp_path: Path) -> None:
        records = [
            {"text": "a", "n": 1, "x": 1.5, "ok": True, "tags": ["p", "q"], "meta": {"k": [1, None]}, "free": 1},
            {"text": "b", "n": None, "x": 2, "ok": None, "tags": [], "meta": None, "free": "one"},
            {"text": "c"},
        ]
        source = open_source(self.lines(tmp_path / "a.jsonl", *records))
        assert source.schema.field("n").type == pa.int64()
        assert source.schema.field("x").type == pa.float64()
        assert source.schema.field("ok").type == pa.bool_()
        table = source.take(np.array([2, 0, 1]))
        assert table.to_pylist() == [
            {"text": "c", "n": None, "x": None, "ok": None, "tags": None, "meta": None, "free": None},
            {**records[0], "free": "1"},
            {**records[1], "x": 2.0},
        ]
        assert source.take(np.array([2])).schema.types == source.schema.types

    def test_a_columns_type_is_the_same_whichever_rows_are_taken(self, tmp_path: Path) -> None:
        records = [{"text": "a", "x": 1.5, "n": 1}, {"text": "b", "x": 2, "n": None}, {"text": "c", "x": None, "n": 3}]
        source = open_source(self.lines(tmp_path / "a.jsonl", *records))
        for rows in ([0], [1], [2], [0, 1, 2]):
            assert source.take(np.array(rows)).schema.types == [pa.string(), pa.float64(), pa.int64()]

    def test_what_does_not_fit_the_first_thousand_lines_is_not_lost(self, tmp_path: Path) -> None:
        records: list[dict[str, object]] = [{"text": "a", "n": 1, "m": {"p": 1}} for _ in range(1000)]
        records += [{"text": "b", "n": 2.5, "m": {"q": 2}}, {"text": "c", "n": "many", "m": 3}]
        source = open_source(self.lines(tmp_path / "a.jsonl", *records))
        assert source.schema.field("n").type == pa.int64()
        assert source.take(np.array([1000])).to_pylist() == [{"text": "b", "n": 2.5, "m": {"q": 2}}]
        assert source.take(np.array([1001])).to_pylist() == [{"text": "c", "n": "many", "m": 3}]
        assert source.take(np.array([0, 1001])).column("n").to_pylist() == ["1", "many"]

    def test_numbers_that_no_type_holds_stay_text(self, tmp_path: Path) -> None:
        source = open_source(self.lines(tmp_path / "a.jsonl", {"text": "a", "n": 2**70}))
        assert source.take(np.array([0])).column("n").to_pylist() == [str(2**70)]
        late = [{"text": "a", "n": 1}] * 1000 + [{"text": "b", "n": 2**70}]
        source = open_source(self.lines(tmp_path / "b.jsonl", *late))
        assert source.take(np.array([1000])).column("n").to_pylist() == [str(2**70)]

    def test_blank_lines_line_ends_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        content = '\ufeff\n{"text": "one"}\r\n\r\n  \n{"text": "two"}\n{"text": "three"}'
        source = open_source(write(tmp_path / "a.jsonl", content))
        assert source.num_rows == 3
        assert column(source, "text") == ["one", "two", "three"]

    def test_a_line_separator_inside_a_text_ends_no_line(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.jsonl", '{"text": "a\u2028b\x85c\x0cd"}\n'.replace("\x0c", "\\f")))
        assert column(source, "text") == ["a\u2028b\x85c\x0cd"]

    def test_a_broken_line_and_one_that_is_no_object(self, tmp_path: Path) -> None:
        content = '{"text": "one"}\n{"text": "tw\n[1, 2]\nnull\n"three"\n{"text": "six"}\n'
        source = open_source(write(tmp_path / "a.jsonl", content))
        assert source.num_rows == 6
        assert column(source, "text") == ["one", None, None, None, None, "six"]
        first, broken, *others, last = problems(source)
        assert (first, last) == (None, None)
        assert broken is not None
        assert broken.startswith("a.jsonl line 2: not JSON (")
        assert others == [
            f"a.jsonl line {n}: a {kind}, not an object" for n, kind in ((3, "list"), (4, "NoneType"), (5, "str"))
        ]
        assert window_of(source).status.tolist() == [OK, *[UNREADABLE] * 4, OK]

    def test_a_line_nested_too_deep(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.jsonl", '{"text": "one"}\n' + "[" * 100_000 + "\n"))
        problem = problems(source)[1]
        assert problem is not None
        assert "a.jsonl line 2: not JSON (" in problem

    def test_a_text_of_five_megabytes(self, tmp_path: Path) -> None:
        big = ("word " * 1000 + "\n") * 1100
        source = open_source(self.lines(tmp_path / "a.jsonl", {"text": "x"}, {"text": big}, {"text": "y"}))
        assert column(source, "text") == ["x", big, "y"]

    def test_nul_and_texts_that_are_no_strings(self, tmp_path: Path) -> None:
        source = open_source(self.lines(tmp_path / "a.jsonl", {"text": "a\0b"}, {"text": ""}))
        assert column(source, "text") == ["a\0b", ""]
        assert window_of(source).status.tolist() == [OK, NO_TEXT]

    @pytest.mark.parametrize("text", [b"caf\xe9", b"half \\ud83d a pair"])
    def test_text_that_is_not_utf8_spoils_its_row_only(self, tmp_path: Path, text: bytes) -> None:
        content = b'{"text": "good"}\n{"text": "' + text + b'"}\n{"text": "fine"}\n'
        window = window_of(open_source(write(tmp_path / "a.jsonl", content)))
        assert window.status.tolist() == [OK, INVALID_TEXT, OK]
        assert window.texts == ["good", "fine"]

    def test_a_name_that_is_not_utf8_is_no_column(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.jsonl", b'{"text": "a", "\xe9": 1, "\\ud800": 2, "n": 3}\n'))
        assert source.schema.names == ["text", "n"]
        assert source.take(np.array([0])).to_pylist() == [{"text": "a", "n": 3}]

    def test_a_json_array(self, tmp_path: Path) -> None:
        records = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
        for indent in (None, 1):
            source = open_source(write(tmp_path / "a.json", json.dumps(records, indent=indent)))
            assert (column(source, "text"), column(source, "label")) == (["a", "b"], ["0", "1"])

    @pytest.mark.parametrize("content", ["text,label\na,0\n", "{}\n{}\n"])
    def test_no_line_with_a_name_in_it(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(SourceError, match=facts("a.jsonl", "none", "object")):
            open_source(write(tmp_path / "a.jsonl", content))

    def test_blank_lines_only(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"a\.jsonl is empty"):
            open_source(write(tmp_path / "a.jsonl", "\n \n"))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(TEXTS, min_size=1, max_size=8), st.booleans())
    def test_any_text_comes_back(
        self, tmp_path_factory: pytest.TempPathFactory, texts: list[str], ensure_ascii: bool
    ) -> None:
        content = "".join(json.dumps({"text": text}, ensure_ascii=ensure_ascii) + "\n" for text in texts)
        source = open_source(write(tmp_path_factory.mktemp("jsonl") / "a.jsonl", content))
        assert column(source, "text") == texts
        assert source.take(np.arange(len(texts))).column("text").to_pylist() == texts


def test_json_is_the_text_of_values_that_are_no_strings(tmp_path: Path) -> None:
    source = open_source(
        write(tmp_path / "a.jsonl", '{"text": "a", "v": {"é": [1, true, null]}}\n{"text": "b", "v": 2.0}\n')
    )
    assert column(source, "v") == ['{"é": [1, true, null]}', "2.0"]


def test_no_line_of_a_file_is_taken_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\na\n\0 end of file\nb\n"c\0 end of file"\n')
    assert open_source(tmp_path / "a.csv").num_rows == 4


def test_the_texts_of_json_lines_are_not_held_to_guess_their_types(tmp_path: Path) -> None:
    line = json.dumps({"text": "a" * 1_000_000, "n": 1})
    (tmp_path / "a.jsonl").write_text(f"{line}\n" * 100)
    tracemalloc.start()
    try:
        assert open_source(tmp_path / "a.jsonl").schema.types == [pa.string(), pa.int64()]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
