"""formats: what CSV and JSON lines may hold, and files that are not what their names say."""

import bz2
import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import Source, SourceError, open_source
from scorer.data.arrow import text_array, valid_text
from scorer.data.columns import choose_columns
from scorer.data.filesystem import DataFile
from scorer.data.formats import PROBLEM, format_of, is_text_format
from scorer.data.text_files import BLOCK, MOST_BYTES, MOST_LINES, RecordBytes, csv_rows
from scorer.pipeline.window import Window, read_windows
from scorer.run.schema import INVALID_TEXT, NO_TEXT, OK, UNREADABLE

# Any text that UTF-8 can hold; CSV and JSON must give it back unchanged.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def column(source: Source, name: str) -> list[str | None]:
    values: list[str | None] = []
    for batch in source.read([name]):
        values += batch.column(name).to_pylist()
    return values


def problems(source: Source) -> list[str | None]:
    return [problem for batch in source.read() for problem in batch.column(PROBLEM).to_pylist()]


def window_of(source: Source) -> Window:
    (window,) = read_windows(source, choose_columns(source.schema, text="text"), None, [(0, source.num_rows)])
    return window


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of bytes that are taken of text files from now on."""
    taken: list[int] = []
    whole = RecordBytes.read1

    def read1(self: RecordBytes, size: int = -1) -> bytes:
        block = whole(self, size)
        taken.append(len(block))
        return block

    monkeypatch.setattr(RecordBytes, "read1", read1)
    return taken


class TestCsv:
    def test_quotes_newlines_and_delimiters(self, tmp_path: Path) -> None:
        content = (
            'text,label\n"a ""quoted"" word",1\n"two\nlines",2\n"carriage\r\nreturn",3\n"a, b",4\nit\'s 5" tall,5\n'
        )
        source = open_source(write(tmp_path / "a.csv", content))
        assert source.num_rows == 5
        assert column(source, "text") == [
            'a "quoted" word',
            "two\nlines",
            "carriage\r\nreturn",
            "a, b",
            "it's 5\" tall",
        ]
        assert column(source, "label") == ["1", "2", "3", "4", "5"]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("bom", ["", "\ufeff"])
    def test_line_ends_and_a_byte_order_mark(self, tmp_path: Path, end: str, bom: str) -> None:
        source = open_source(write(tmp_path / "a.csv", bom + end.join(["text,label", "one,0", "two,1"])))
        assert source.schema.names == ["text", "label"]
        assert source.take(np.array([0, 1])).to_pylist() == [
            {"text": "one", "label": "0"},
            {"text": "two", "label": "1"},
        ]

    def test_blank_lines_are_no_rows(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", "\n\ntext,label\n\none,0\n\n\ntwo,1\n\n"))
        assert source.num_rows == 2
        assert column(source, "text") == ["one", "two"]

    def test_empty_fields_are_null(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", 'text,label\n,1\n"",\nx,0\n'))
        assert column(source, "text") == [None, None, "x"]
        assert column(source, "label") == ["1", None, "0"]

    def test_numbers_stay_the_text_they_are(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", "text,id\n007,00012\n1e5,1.50\n"))
        assert source.take(np.array([1, 0])).to_pylist() == [
            {"text": "1e5", "id": "1.50"},
            {"text": "007", "id": "00012"},
        ]

    def test_tabs(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.tsv", "text\tlabel\na, b\t1\n"))
        assert source.take(np.array([0])).to_pylist() == [{"text": "a, b", "label": "1"}]

    def test_a_nul(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", "text,label\na\0b,1\nc,0\n"))
        assert column(source, "text") == ["a\0b", "c"]

    def test_a_field_of_five_megabytes(self, tmp_path: Path) -> None:
        big = ("word " * 1000 + "\n") * 1100
        source = open_source(write(tmp_path / "a.csv", f'text,label\nx,0\n"{big}",1\ny,2\n'))
        assert len(big) > 5_000_000
        assert column(source, "text") == ["x", big, "y"]
        assert column(source, "label") == ["0", "1", "2"]

    def test_a_row_with_another_number_of_fields_is_unreadable_and_the_rest_is_not(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", 'text,label\none,0\ntwo\n"thr\nee",2,3\nfour,1\n'))
        assert source.num_rows == 4
        assert column(source, "text") == ["one", None, None, "four"]
        assert problems(source) == [None, "a.csv line 3: 1 field, not 2", "a.csv line 5: 3 fields, not 2", None]
        window = window_of(source)
        assert window.status.tolist() == [OK, UNREADABLE, UNREADABLE, OK]
        assert window.texts == ["one", "four"]
        assert window.problems == {1: "a.csv line 3: 1 field, not 2", 2: "a.csv line 5: 3 fields, not 2"}

    @pytest.mark.parametrize("last", ["three,2\n", "three,2", '"three",2\n'])
    @pytest.mark.parametrize("columns", ["text,label", "label,text"])
    def test_a_quote_that_is_never_closed_stops_before_the_run(self, tmp_path: Path, columns: str, last: str) -> None:
        second = '"two,1' if columns.startswith("text") else '1,"two'
        file = write(tmp_path / "a.csv", f"{columns}\none,0\n{second}\n" + "a,b\n" * 50 + last.replace('"', ""))
        with pytest.raises(SourceError, match=r"a\.csv line 3: a quote that opens in this record is never closed"):
            open_source(file)

    def test_a_quote_that_is_closed_after_thousands_of_lines_stops_before_the_run(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", 'label,text\n0,"one\n' + "1,b\n" * 10_001 + '2,c"\n')
        with pytest.raises(SourceError, match=r"line 2: a quote that opens in this record is not closed for 10,00\d"):
            open_source(file)

    @pytest.mark.parametrize(
        ("begin", "line", "message"),
        [
            (
                b'text,label\nx,0\n"open',
                b",1\n",
                r"line 3: a quote that opens in this record is not closed for 10,000 l",
            ),
            (b'text,label\nx,0\n"open\n', b"much ", r"line 3: what begins here has no end for 2,000,000 bytes; see th"),
            (b"text,label\nx,0\n", b"much ", r"line 3: what begins here has no end for 2,000,000 bytes; see that"),
            (b'"text', b"\n", r"line 1: a quote that opens in this record is not closed for 10,000 lines"),
        ],
    )
    def test_a_record_is_refused_before_all_of_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, line: bytes, message: str
    ) -> None:
        file = write(tmp_path / "a.csv", begin + line * (20_000_000 // len(line)))
        taken = count_reads(monkeypatch)
        monkeypatch.setattr("scorer.data.text_files.MOST_BYTES", 2_000_000)
        with pytest.raises(SourceError, match=message):
            open_source(file)
        assert sum(taken) < 2_100_000

    def test_a_quoted_record_and_long_lines_within_the_limits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scorer.data.text_files.MOST_BYTES", 200_000)
        texts = ["word " * 30_000, "a\n" * 9_990, "b" * 100_000] * 5
        source = open_source(write(tmp_path / "a.csv", "text,label\n" + "".join(f'"{text}",1\n\n' for text in texts)))
        assert column(source, "text") == texts

    @pytest.mark.parametrize("before", [0, 1, 5_000, 8_188, 8_189, 12_000, 50_000, 65_532, 65_533, 70_000])
    def test_a_record_may_have_all_its_lines_wherever_it_begins_and_whatever_is_behind_it(
        self, tmp_path: Path, before: int
    ) -> None:
        """The rows behind it are in the block in which it ends."""
        head = "t\n" + "b" * before + "\n" * (before > 0)
        behind = "x\n" * 100_000
        source = open_source(write(tmp_path / "a.csv", head + '"' + "\n" * MOST_LINES + '"\n' + behind))
        assert source.num_rows == (before > 0) + 1 + 100_000
        one_more = write(tmp_path / "b.csv", head + '"' + "\n" * (MOST_LINES + 1) + '"\n' + behind)
        with pytest.raises(
            SourceError, match=rf"b\.csv line {2 + (before > 0)}: a quote .* not closed for 10,000 lines"
        ):
            open_source(one_more)

    @pytest.mark.parametrize("before", [0, 10_000, 40_000])
    def test_a_record_may_have_all_its_bytes_wherever_it_begins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
    ) -> None:
        monkeypatch.setattr("scorer.data.text_files.MOST_BYTES", 200_000)
        text = "much " * 39_999
        content = "t\n" + "b" * before + f"\n{text}\n" + "x\n" * 100_000
        assert column(open_source(write(tmp_path / "a.csv", content)), "t")[before > 0] == text

    def test_a_line_that_csv_can_make_nothing_of_is_unreadable_and_the_rest_is_not(self, tmp_path: Path) -> None:
        content = f"text,label\none,0\n{'x' * 200},1\nthree,2\n"
        rows = csv_rows(DataFile(pafs.LocalFileSystem(), str(write(tmp_path / "a.csv", content)), "a.csv"))
        limit = csv.field_size_limit()
        try:
            found = [next(rows)]
            csv.field_size_limit(100)  # as another library might
            found += list(rows)
        finally:
            csv.field_size_limit(limit)
        assert found == [
            (["text", "label"], None),
            (["one", "0"], None),
            ([], "a.csv line 3: field larger than field limit (100)"),
            (["three", "2"], None),
        ]

    @pytest.mark.parametrize(("before", "after"), [(100, MOST_BYTES + BLOCK), (2**31 - 1, 2**31 - 1)])
    def test_the_processs_limit_of_a_field_is_only_ever_raised(self, tmp_path: Path, before: int, after: int) -> None:
        limit = csv.field_size_limit(before)
        try:
            open_source(write(tmp_path / "a.csv", f"text,label\n{'x' * 200},1\n"))
            assert csv.field_size_limit() == after
        finally:
            csv.field_size_limit(limit)

    def test_bytes_that_are_not_utf8_spoil_their_row_only(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", b"text,label\ngood,0\ncaf\xe9,1\nfine,2\n"))
        window = window_of(source)
        assert window.status.tolist() == [OK, INVALID_TEXT, OK]
        assert window.texts == ["good", "fine"]

    def test_two_columns_of_the_same_name(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"a\.csv has two columns of the same name: text, label, text"):
            open_source(write(tmp_path / "a.csv", "text,label,text\na,0,b\n"))

    def test_column_names_in_another_encoding(self, tmp_path: Path) -> None:
        content = "texte,étiquette\na,0\n".encode("latin-1")
        with pytest.raises(
            SourceError, match=r"a\.csv has column names that aren't UTF-8: .*tiquette.*save the file as"
        ):
            open_source(write(tmp_path / "a.csv", content))

    def test_utf16_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"a\.csv has column names that aren't UTF-8"):
            open_source(write(tmp_path / "a.csv", "text,label\na,0\n".encode("utf-16")))

    def test_a_header_only(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"a\.csv is empty: it has columns text, label and no rows"):
            open_source(write(tmp_path / "a.csv", "text,label\n"))

    @pytest.mark.parametrize("content", ["\n", "\r\n\r\n", "\ufeff"])
    def test_no_header(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(SourceError, match=r"a\.csv is empty: a CSV file needs a line of column names"):
            open_source(write(tmp_path / "a.csv", content))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
    def test_any_text_comes_back(self, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
        quoted = ['"' + field.replace('"', '""') + '"' for row in rows for field in row]
        content = "text,other\n" + "".join(f"{a},{b}\n" for a, b in zip(quoted[::2], quoted[1::2], strict=True))
        source = open_source(write(tmp_path_factory.mktemp("csv") / "a.csv", content))
        assert column(source, "text") == [a or None for a, _ in rows]
        assert column(source, "other") == [b or None for _, b in rows]


class TestJsonLines:
    @staticmethod
    def lines(path: Path, *records: object) -> Path:
        return write(path, "".join(json.dumps(record) + "\n" for record in records))

    def test_a_line_is_refused_before_all_of_it_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = write(tmp_path / "a.jsonl", '{"text": "a"}\n' * 30_000 + '{"text": "' + "much " * 4_000_000 + '"}\n')
        taken = count_reads(monkeypatch)
        monkeypatch.setattr("scorer.data.text_files.MOST_BYTES", 300_000)
        with pytest.raises(SourceError, match=r"a\.jsonl line 30001: what begins here has no end for 300,000 bytes"):
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
        with pytest.raises(SourceError, match=r"a\.json is not JSON lines: line 1 is a list, not an object"):
            open_source(write(tmp_path / "a.json", json.dumps(records)))
        with pytest.raises(SourceError, match=r"b\.json is not JSON lines: none of its first 10 lines is .*lines=True"):
            open_source(write(tmp_path / "b.json", json.dumps(records, indent=1)))

    @pytest.mark.parametrize("content", ["text,label\na,0\n", "\x00\x01\x02\n", "{}\n{}\n"])
    def test_no_line_with_a_name_in_it(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(SourceError, match=r"a\.jsonl is not JSON lines: .*write one object a line"):
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
        with pytest.raises(SourceError, match=r"a\.pq is empty: it has columns text, label and no rows"):
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
        with pytest.raises(SourceError, match=r"a\.jsonl\.gz can't be read as JSON lines \(.+\)"):
            open_source(write(tmp_path / "a.jsonl.gz", packed[: len(packed) // 2]))

    def test_not_compressed_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"a\.csv\.gz can't be read as CSV \(.+\)"):
            open_source(write(tmp_path / "a.csv.gz", "text\none\n"))

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("a.CSV", "CSV"),
            ("a.b.tsv", "CSV"),
            ("a.jsonl.GZ", "JSON lines"),
            ("a.ndjson.zst", "JSON lines"),
            ("a.json", "JSON lines"),
            ("a.pq", "Parquet"),
            ("a.ipc", "Arrow"),
            ("a.parquet.gz", None),
            ("a.gz", None),
            ("a.txt", None),
            ("csv", None),
        ],
    )
    def test_kinds_by_name(self, name: str, kind: str | None) -> None:
        found = format_of(name)
        assert (found and found.name) == kind
        assert is_text_format(name) is (kind in ("CSV", "JSON lines"))


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


def test_json_is_the_text_of_values_that_are_no_strings(tmp_path: Path) -> None:
    source = open_source(
        write(tmp_path / "a.jsonl", '{"text": "a", "v": {"é": [1, true, null]}}\n{"text": "b", "v": 2.0}\n')
    )
    assert column(source, "v") == ['{"é": [1, true, null]}', "2.0"]


def test_no_line_of_a_file_is_taken_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\na\n\0 end of file\nb\n"c\0 end of file"\n')
    assert open_source(tmp_path / "a.csv").num_rows == 4


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_of_megabytes_are_held_a_few_at_a_time(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.data.formats._CHUNK_SIZE", 10_000)
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


def test_the_texts_of_json_lines_are_not_held_to_guess_their_types(tmp_path: Path) -> None:
    line = json.dumps({"text": "a" * 1_000_000, "n": 1})
    (tmp_path / "a.jsonl").write_text(f"{line}\n" * 100)
    tracemalloc.start()
    try:
        assert open_source(tmp_path / "a.jsonl").schema.types == [pa.string(), pa.int64()]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
