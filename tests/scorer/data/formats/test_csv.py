"""formats: what CSV and JSON lines may hold, and files that are not what their names say."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import SourceError, open_source
from scorer.data.columns import choose_columns
from scorer.data.filesystem import DataFile
from scorer.data.formats.csv_rows import Dialect, Record, csv_rows
from scorer.data.formats.text_files import BLOCK, MOST_BYTES, MOST_LINES
from scorer.run.schema import INVALID_TEXT, OK, UNREADABLE
from tests.scorer.data.formats.helpers import TEXTS, column, count_reads, problems, window_of, write
from tests.support.facts import facts


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

    def test_a_row_with_more_fields_is_unreadable_and_the_last_fields_of_a_row_may_be_left_out(
        self, tmp_path: Path
    ) -> None:
        source = open_source(write(tmp_path / "a.csv", 'text,label\none,0\ntwo\n"thr\nee",2,3\nfour,1\n'))
        assert source.num_rows == 4
        assert column(source, "text") == ["one", "two", None, "four"]
        assert column(source, "label") == ["0", None, None, "1"]
        assert problems(source) == [None, None, "a.csv line 5: 3 fields, not 2", None]
        assert "1 rows have fewer fields" in " ".join(source.notes)
        window = window_of(source)
        assert window.status.tolist() == [OK, OK, UNREADABLE, OK]
        assert window.texts == ["one", "two", "four"]
        assert window.problems == {2: "a.csv line 5: 3 fields, not 2"}

    @pytest.mark.parametrize("last", ["three,2\n", "three,2", '"three",2\n'])
    @pytest.mark.parametrize("columns", ["text,label", "label,text"])
    def test_a_quote_that_is_never_closed_stops_before_the_run(self, tmp_path: Path, columns: str, last: str) -> None:
        second = '"two,1' if columns.startswith("text") else '1,"two'
        file = write(tmp_path / "a.csv", f"{columns}\none,0\n{second}\n" + "a,b\n" * 50 + last.replace('"', ""))
        with pytest.raises(SourceError, match=facts("a.csv line 3", "quote", "never closed")):
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
                facts("line 3", "quote", "10,000 lines"),
            ),
            (b'text,label\nx,0\n"open\n', b"much ", facts("line 3", "2,000,000 bytes", "quotes")),
            (b"text,label\nx,0\n", b"much ", facts("line 3", "2,000,000 bytes", "quotes")),
            (b'"text', b"\n", facts("line 1", "quote", "10,000 lines")),
        ],
    )
    def test_a_record_is_refused_before_all_of_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, line: bytes, message: str
    ) -> None:
        file = write(tmp_path / "a.csv", begin + line * (20_000_000 // len(line)))
        taken = count_reads(monkeypatch)
        monkeypatch.setattr("scorer.data.formats.text_files.MOST_BYTES", 2_000_000)
        with pytest.raises(SourceError, match=message):
            open_source(file)
        assert sum(taken) < 2_100_000

    def test_a_quoted_record_and_long_lines_within_the_limits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scorer.data.formats.text_files.MOST_BYTES", 200_000)
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
        with pytest.raises(SourceError, match=facts(f"b.csv line {2 + (before > 0)}", "quote", "10,000 lines")):
            open_source(one_more)

    @pytest.mark.parametrize("before", [0, 10_000, 40_000])
    def test_a_record_may_have_all_its_bytes_wherever_it_begins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
    ) -> None:
        monkeypatch.setattr("scorer.data.formats.text_files.MOST_BYTES", 200_000)
        text = "much " * 39_999
        content = "t\n" + "b" * before + f"\n{text}\n" + "x\n" * 100_000
        assert column(open_source(write(tmp_path / "a.csv", content)), "t")[before > 0] == text

    def test_a_line_that_csv_can_make_nothing_of_is_unreadable_and_the_rest_is_not(self, tmp_path: Path) -> None:
        content = f"text,label\none,0\n{'x' * 200},1\nthree,2\n"
        rows = csv_rows(DataFile(pafs.LocalFileSystem(), str(write(tmp_path / "a.csv", content)), "a.csv"), Dialect())
        limit = csv.field_size_limit()
        try:
            found = [next(rows)]
            csv.field_size_limit(100)  # as another library might
            found += list(rows)
        finally:
            csv.field_size_limit(limit)
        assert [(record.fields, record.problem, record.last_line) for record in map(Record._make, found)] == [
            (["text", "label"], None, 1),
            (["one", "0"], None, 2),
            ([], "field larger than field limit (100)", 3),
            (["three", "2"], None, 4),
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
        source = open_source(write(tmp_path / "a.csv", "text,label,text,\na,0,b,\n"))
        assert source.schema.names == ["text", "label", "text.1", "Unnamed: 3"]
        assert column(source, "text.1") == ["b"]
        with pytest.raises(SourceError, match=facts("'text'", "several columns", "a.csv")):
            choose_columns(source.schema, unusable=source.unusable)

    def test_column_names_in_another_encoding(self, tmp_path: Path) -> None:
        content = "texte,étiquette\na,0\n".encode("latin-1")
        with pytest.raises(SourceError, match=facts("a.csv", "UTF-8", "udce9tiquette")):
            open_source(write(tmp_path / "a.csv", content))

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
    def test_a_byte_order_mark_tells_the_encoding(self, tmp_path: Path, encoding: str) -> None:
        source = open_source(write(tmp_path / "a.csv", "text,label\né,0\n".encode(encoding)))
        assert (column(source, "text"), source.notes) == (["é"], (f"a.csv: the text is {encoding}",))
        with pytest.raises(SourceError, match=facts("a.csv", "utf-16-be", "`encoding='utf-16-be'`")):
            open_source(write(tmp_path / "a.csv", "text,label\né,0\n".encode("utf-16-be")))

    def test_a_header_only(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=facts("a.csv", "empty", "text, label")):
            open_source(write(tmp_path / "a.csv", "text,label\n"))

    @pytest.mark.parametrize("content", ["\n", "\r\n\r\n", "\ufeff"])
    def test_no_header(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(SourceError, match=facts("a.csv", "empty", "column names")):
            open_source(write(tmp_path / "a.csv", content))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
    def test_any_text_comes_back(self, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
        quoted = ['"' + field.replace('"', '""') + '"' for row in rows for field in row]
        content = '"text","other"\n' + "".join(f"{a},{b}\n" for a, b in zip(quoted[::2], quoted[1::2], strict=True))
        source = open_source(write(tmp_path_factory.mktemp("csv") / "a.csv", content))
        assert column(source, "text") == [a or None for a, _ in rows]
        assert column(source, "other") == [b or None for _, b in rows]
