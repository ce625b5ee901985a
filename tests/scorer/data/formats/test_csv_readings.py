"""CSV files that can be read in two ways: one reading is certain, or the message has the option that decides."""

import csv
from pathlib import Path

import pytest

from scorer import SourceError, open_source
from scorer.data.read_options import ReadOptions
from tests.scorer.data.formats.helpers import column, problems, write
from tests.support.facts import facts

PLAIN = [f"plain line {i}\t{i % 2}" for i in range(8)]


def table(*lines: str) -> str:
    return "\n".join(["sentence\tlabel", *PLAIN, *lines]) + "\n"


class TestQuotes:
    @pytest.mark.parametrize(
        "lines",
        [
            ['"Hello there\t1', "and then\t0", 'he said "bye" to us\t1'],  # text after a closing quote
            [
                '"Hello there\t1',
                "and then\t0",
                'he said bye"\t1',
                'a "word" in a text\t0',
            ],  # swallowed, and a quote within
            ['"never closed\t1', "and then\t0", 'a 5" nail\t0'],
        ],
    )
    @pytest.mark.parametrize("ending", ["tsv", "csv"])
    def test_are_part_of_the_texts(self, tmp_path: Path, lines: list[str], ending: str) -> None:
        source = open_source(write(tmp_path / f"a.{ending}", table(*lines)))
        assert column(source, "sentence") == [line.split("\t")[0] for line in [*PLAIN, *lines]]
        assert column(source, "label") == [line.split("\t")[1] for line in [*PLAIN, *lines]]
        assert "quotes are part of the texts" in " ".join(source.notes)

    def test_are_part_of_the_texts_of_a_tsv_file_that_needs_none(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.tsv", table('"Yes."\t1', 'he said "no"\t0')))
        assert column(source, "sentence")[-2:] == ['"Yes."', 'he said "no"']

    @pytest.mark.parametrize(
        ("lines", "last"),
        [
            (['"a ""word"" of"\t1', '"two\t1', 'lines"\t0'], "two\t1\nlines"),  # doubled quotes: the file has rules
            (['"a\ttab"\t1', '"two', 'lines"\t0'], "two\nlines"),
            (['"a ""word"" of"\t1'] * 150 + ['"broken" text\t1', "end\t0"], "end"),  # one bad row among many
        ],
    )
    def test_enclose_texts(self, tmp_path: Path, lines: list[str], last: str) -> None:
        source = open_source(write(tmp_path / "a.tsv", table(*lines)))
        assert column(source, "sentence")[-1] == last
        broken = sum(line.startswith('"broken"') for line in lines)
        assert sum(problem is not None for problem in problems(source)) == broken

    @pytest.mark.parametrize(
        "lines",
        [
            ['"Hello there\t1', "and then\t0", 'he said bye"\t1'],  # one text, or three rows
            ['"a ""word"" of"\t1', '"broken" text\t1'],
            ['"a ""word"" of"\t1', 'a "word" of\t1', '"Hello there\t1', "and then\t0", 'bye"\t1'],
            ['"Yes."\t1', 'he said "no"\t0'],
            ['"blank behind" \t1'],
        ],
    )
    def test_that_may_be_either(self, tmp_path: Path, lines: list[str]) -> None:
        file = write(tmp_path / "a.csv", table(*lines))
        with pytest.raises(SourceError, match=facts("a.csv line", "`quoting='none'`", "`quoting='minimal'`")) as caught:
            open_source(file)
        assert len(str(caught.value)) < 400
        literal = open_source(file, read=ReadOptions(quoting="none"))
        assert column(literal, "sentence") == [line.split("\t")[0] for line in [*PLAIN, *lines]]
        enclosing = open_source(file, read=ReadOptions(quoting="minimal"))
        strict = csv.reader(table(*lines).splitlines(keepends=True), delimiter="\t", strict=True)
        expected = 0
        while True:
            try:
                next(strict)
            except StopIteration:
                break
            except csv.Error:
                pass
            expected += 1
        assert enclosing.num_rows == expected - 1

    def test_that_swallow_rows_of_which_some_have_no_label(self, tmp_path: Path) -> None:
        lines = ['"Hello there\t1', "and then", "a row more\t0", 'bye"\t1']
        with pytest.raises(SourceError, match=facts("a.tsv line 10", "`quoting='none'`")):
            open_source(write(tmp_path / "a.tsv", table(*lines)))
        assert open_source(write(tmp_path / "b.tsv", table(*lines, 'a 5" nail\t0'))).num_rows == len(PLAIN) + 5

    def test_with_backslashes_are_refused(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", 'text,label\n"He said \\"hi\\" there",1\n"ok, fine",0\n')
        with pytest.raises(SourceError, match=facts("a.csv line 2", "backslash", "escapechar")):
            open_source(file)

    def test_rows_over_several_lines_are_counted(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", '"text","label"\n"a\nb",1\n"c",0\n'))
        assert (source.num_rows, source.lines) == (2, 4)
        assert "1 of 2 rows go over several lines" in " ".join(source.notes)


class TestDelimiters:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("ending", ["csv", "tsv"])
    def test_are_recognised(self, tmp_path: Path, delimiter: str, ending: str) -> None:
        other = ";" if delimiter == "," else ","
        rows = [f"one{other} two{delimiter}1", f"three{delimiter}2"]
        source = open_source(write(tmp_path / f"a.{ending}", "\n".join([f"text{delimiter}label", *rows])))
        assert column(source, "text") == [f"one{other} two", "three"]
        usual = {"csv": ",", "tsv": "\t"}[ending]
        assert ("separated by" in " ".join(source.notes)) is (delimiter != usual)

    @pytest.mark.parametrize("first", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n', "SEP=;,\n"])
    def test_are_named_by_excels_line(self, tmp_path: Path, first: str) -> None:
        source = open_source(write(tmp_path / "a.csv", f"{first}text;label\na, b, c;1\n"))
        assert source.schema.names == ["text", "label"]
        assert column(source, "text") == ["a, b, c"]

    @pytest.mark.parametrize("content", ["text;label\na\nb\n", "a;b,c;d\n1;2,3;4\n5;6,7;8\n"])
    def test_that_are_not_clear(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(SourceError, match=facts("a.csv", "`delimiter`")):
            open_source(write(tmp_path / "a.csv", content))

    def test_that_are_given(self, tmp_path: Path) -> None:
        source = open_source(write(tmp_path / "a.csv", "text;label\na\nb\n"), read=ReadOptions(delimiter=";"))
        assert (column(source, "text"), column(source, "label")) == (["a", "b"], [None, None])

    @pytest.mark.parametrize("delimiter", [" ", "4", "a", "~"])
    def test_that_are_unusual(self, tmp_path: Path, delimiter: str) -> None:
        content = f"text{delimiter}LABEL\nx{delimiter}1\nY{delimiter}2\n"
        source = open_source(write(tmp_path / "a.csv", content), read=ReadOptions(delimiter=delimiter))
        assert source.num_rows == 2

    def test_many_rows_without_their_last_fields_ask(self, tmp_path: Path) -> None:
        content = "text\tlabel\n" + "some words 1\n" * 20
        with pytest.raises(SourceError, match=facts("a.tsv", "20 of 20", "fewer fields", r"`delimiter='\t'`")):
            open_source(write(tmp_path / "a.tsv", content))

    @pytest.mark.parametrize("content", ["text,label\none\rtwo,1\nthree,0\n", "text,label\n\rone,1\nthree,0\n"])
    def test_carriage_returns_beside_line_feeds_ask(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(SourceError, match=facts("a.csv line", "carriage return")):
            open_source(write(tmp_path / "a.csv", content))


class TestHeaders:
    DATA = "3,Wall St. Bears Claw Back,Short sellers\n4,Carlyle Looks Ahead,Private investment\n3,Oil,Prices\n"

    def test_that_are_missing_ask(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", self.DATA)
        with pytest.raises(SourceError, match=facts("a.csv", "no header", "`columns`", "`header=True`")) as caught:
            open_source(file)
        assert len(str(caught.value)) - len(str(file)) < 150
        source = open_source(file, read=ReadOptions(columns=("label", "title", "text")))
        assert column(source, "title") == ["Wall St. Bears Claw Back", "Carlyle Looks Ahead", "Oil"]
        assert open_source(file, read=ReadOptions(header=False)).schema.names == ["column_1", "column_2", "column_3"]
        assert open_source(file, read=ReadOptions(header=True)).num_rows == 2

    @pytest.mark.parametrize("header", ["text,2024", "0,1", "v1,v2", "Text ,LABEL", ",text", "label,Unnamed: 1"])
    def test_that_are_there(self, tmp_path: Path, header: str) -> None:
        assert open_source(write(tmp_path / "a.csv", f"{header}\na,b\nc,d\n")).num_rows == 2

    def test_a_known_word_that_is_a_value_is_no_name(self, tmp_path: Path) -> None:
        rows = "it is good,y\n" + "it is bad,n\nit is fine,y\n" * 5
        with pytest.raises(SourceError, match=facts("a.csv", "no header", "'y'")):
            open_source(write(tmp_path / "a.csv", rows))

    def test_names_that_the_header_has_already(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=facts("a.csv", "header", "`columns`")):
            open_source(write(tmp_path / "a.csv", "Text,label\na,b\n"), read=ReadOptions(columns=("text", "label")))

    def test_names_for_another_number_of_columns(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=facts("2 columns", "3 fields")):
            open_source(write(tmp_path / "a.csv", self.DATA), read=ReadOptions(columns=("a", "b")))

    def test_lines_above_the_header_are_named_as_the_cause(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=facts("a.csv", "more fields than the header", "Export of today")):
            open_source(write(tmp_path / "a.csv", "Export of today\ntext,label\na,1\nb,0\n"))


class TestEncodings:
    ROWS = "text,label\n" + "".join(f"“smart” café {i},{i % 2}\n" for i in range(60))

    @pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "gb18030"])
    def test_are_named_and_read(self, tmp_path: Path, encoding: str) -> None:
        rows = self.ROWS if encoding != "gb18030" else "text,label\n" + "这是一个很好的产品，我喜欢,1\n" * 60
        file = write(tmp_path / "a.csv", rows.encode(encoding))
        with pytest.raises(SourceError, match=facts("a.csv", f"`encoding='{encoding}'`")):
            open_source(file)
        source = open_source(file, read=ReadOptions(encoding=encoding))
        assert column(source, "text") == [line.rpartition(",")[0] for line in rows.splitlines()[1:]]

    def test_bytes_that_the_given_one_lacks_cost_their_row_only(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", b"text,label\nok,1\n\xc3\x81\x81,0\n")
        source = open_source(file, read=ReadOptions(encoding="cp1252"))
        (batch,) = source.read(["text"])
        assert batch.column("text")[0].as_py() == "ok"
        with pytest.raises(UnicodeDecodeError):
            batch.column("text")[1].as_py()

    def test_utf8_that_is_given_counts_other_bytes_as_bad_rows(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", b"text,label\n" + b"caf\xe9,1\n" * 5)
        with pytest.raises(SourceError, match=facts("a.csv", "5 of its 6 lines", "`encoding='utf-8'`")):
            open_source(file)
        assert open_source(file, read=ReadOptions(encoding="utf-8")).num_rows == 5

    def test_utf8_with_bad_rows_is_utf8(self, tmp_path: Path) -> None:
        rows = "text,label\n" + "naïve café Zürich,1\n" * 50
        source = open_source(write(tmp_path / "a.csv", rows.encode() + b"caf\xe9,0\n" * 5))
        assert source.num_rows == 55

    @pytest.mark.parametrize("page", ["<!DOCTYPE html><html></html>", " <html>\n<body>,</body></html>"])
    def test_a_web_page_is_no_table(self, tmp_path: Path, page: str) -> None:
        with pytest.raises(SourceError, match=facts("a.csv", "web page")):
            open_source(write(tmp_path / "a.csv", page))
