"""`log` to CSV files and `pull` from them, as spreadsheets save them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st

from lossrank.review.files.csv_file import _guarded, _plain
from lossrank.review.files.kinds import FILES
from lossrank.review.records import record_id
from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, rank, score_dataset
from tests.support.cases import Case, Lossrank, fill_in, log, read_csv
from tests.support.facts import counts, facts, tells
from tests.support.fake_rubrix import make_record
from tests.support.tiny import make_bundle, make_texts


def test_a_table_goes_out_filled_in_and_comes_back(case: Case, lossrank: Lossrank) -> None:
    file = log(case, lossrank, "csv", "worst.csv")
    rows = case.rows
    words = [f" {case.other(rows[0]).lower()} ", case.given(rows[1]), "KEEP", "discard", ""]
    file.write_bytes(fill_in(file, words, ["ana", "", "ben", "ana", "ana"]))
    result = lossrank("pull", case.run.path, file)
    assert counts(result.stdout) == [4, 2, 1, 1, 4]  # answers, kept, relabelled, discarded, new
    assert (result.exit_code, result.stderr) == (0, "")
    assert case.held() == {
        rows[0]: ("relabelled", case.other(rows[0]), "ana"),
        rows[1]: ("kept", None, "worst"),
        rows[2]: ("kept", None, "ben"),
        rows[3]: ("discarded", None, "ana"),
    }


def test_the_table_has_what_a_person_needs_and_no_formula(case: Case, lossrank: Lossrank) -> None:
    file = log(case, lossrank, "csv", "worst.csv")
    assert file.read_bytes().startswith(b"\xef\xbb\xbfrank,row,record_id,given,predicted,probability,loss,")
    rows = read_csv(file)
    assert [int(row["row"]) for row in rows] == case.rows
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["record_id"] for row in rows] == [record_id(case.run.data_fingerprint, row) for row in case.rows]
    assert [float(row["loss"]) for row in rows] == [row.loss for row in rank(case.run, 5)]
    assert all(float(row["margin"]) < 0 for row in rows)  # numbers are not guarded
    assert all(row["text"].startswith("'=cmd|' /C calc'!A0 ") for row in rows)
    assert all(row["text"].endswith("\r\nsecond; line") for row in rows)
    assert {(row["decision"], row["annotator"]) for row in rows} == {("", "")}


@any_of(st.text(max_size=8) | st.text("'=+-@\t ＝", max_size=5))
def test_the_guard_of_a_cell_comes_off_again_and_no_cell_begins_a_formula(cell: str) -> None:
    guarded = _guarded(cell)
    assert not guarded.startswith(tuple("=+-@\t\r"))
    assert _plain(guarded) == cell


def test_a_class_that_looks_like_a_formula_can_be_copied_from_its_guarded_cell(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    pq.write_table(pa.table({"text": ["w1", "w2"], "label": ["World", "Sports"]}), tmp_path / "d.parquet")
    score_dataset(tiny_bundle, tmp_path / "d.parquet", tmp_path / "run", ScoreOptions(threads=1))
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    manifest["bundle"]["class_names"] = ["-1", "+1", "'=x", "@"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    file = tmp_path / "worst.csv"
    lossrank("log", tmp_path / "run", "--to", "csv", "-o", file)
    rows = read_csv(file)
    assert {row["given"] for row in rows} == {"'-1", "'+1"}
    file.write_bytes(fill_in(file, [row["given"] for row in rows]))
    assert counts(lossrank("pull", tmp_path / "run", file).stdout)[1:3] == [2, 0]  # kept, relabelled
    file.write_bytes(fill_in(file, ["''=x", "@"]))
    assert counts(lossrank("pull", tmp_path / "run", file).stdout)[1:3] == [0, 2]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_as_spreadsheets_save_them(
    case: Case, lossrank: Lossrank, mark: bytes, delimiter: str, end: str
) -> None:
    file = log(case, lossrank, "csv", "worst.csv")
    content = fill_in(file, ["discard", "", "discard"], delimiter=delimiter, lineterminator=end)
    file.write_bytes(mark + content)
    assert counts(lossrank("pull", case.run.path, file).stdout)[:4] == [2, 0, 0, 2]
    assert set(case.held()) == {case.rows[0], case.rows[2]}


@pytest.mark.parametrize(
    ("first", "delimiter"),
    [("sep=;\r\n", ";"), ("sep=,\n", ","), ('"sep=;"\n', ";"), ('"sep=,"\r\n', ","), ("SEP=|\n", "|")],
)
def test_excels_first_line_says_what_separates_the_cells(
    case: Case, lossrank: Lossrank, first: str, delimiter: str
) -> None:
    file = log(case, lossrank, "csv", "worst.csv")
    content = fill_in(file, ["discard", "", "discard"], delimiter=delimiter)
    file.write_bytes(b"\xef\xbb\xbf" + first.encode() + content)
    assert counts(lossrank("pull", case.run.path, file).stdout)[:4] == [2, 0, 0, 2]
    assert set(case.held()) == {case.rows[0], case.rows[2]}


def test_columns_may_be_left_out_moved_and_added(case: Case, lossrank: Lossrank) -> None:
    file = case.folder / "few.csv"
    ids = [record_id(case.run.data_fingerprint, row) for row in case.rows]
    file.write_text(f"decision,note,record_id\ndiscard,hm,{ids[0]}\n\n,,{ids[1]}\nkeep,,{ids[2]}\n")
    assert counts(lossrank("pull", case.run.path, file).stdout)[:4] == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", ["line 1", "'record_id'", "lossrank log", "decision", "World, Sports, Business, Sci/Tech"]),
        ("row,decision\n1,keep\n", ["line 1", "'record_id'"]),
        ("record_id,row\n", ["line 1", "'decision'"]),
        (
            'record_id,decision,text\n{0},keep,"a\nb"\n{1},Sprots,c\n',
            ["line 4", "'Sprots'", "World, Sports, Business, Sci/Tech"],
        ),
        ("record_id,decision\n{0},keep\n{1},keep,a\n", ["line 3", 3, 2, "columns"]),
        ("record_id,decision\n{30},keep\n", ["line 2", "row 30", "label"]),
        ('record_id,decision,text\n{0},keep,"a\n', ["line 2", "unexpected end of data"]),
        ("sep=;\nrecord_id;decision\n{0};keep\n{1};a,b\n", ["line 4", "'a,b'"]),
        ("sep=;\nrecord_id,decision\n{0},keep\n", ["line 2", "'record_id'"]),
        ("sep=;", ["line 2", "'record_id'"]),
        ("record_id,decision,text,decision\n{0},keep,,\n", ["line 1", 2, "'decision'"]),
        ("record_id,decision,record_id\n{0},keep,\n", ["line 1", 2, "'record_id'"]),
        ("sep=,\nannotator,record_id,decision,annotator\n", ["line 2", 2, "'annotator'"]),
        ("record_id,decision\n{0},keep\n{1},keep\n{0},discard\n", ["line 2", "line 4", "bad", "row 0", "'World'"]),
        (b"record_id,decision,text\n{0},keep,\xe4\n", ["UTF-8"]),
    ],
)
def test_a_table_that_can_not_be_read_is_one_line_and_nothing_is_decided(
    case: Case, lossrank: Lossrank, content: str | bytes, named: list[object]
) -> None:
    file = case.folder / "bad.csv"
    raw = content if isinstance(content, bytes) else content.encode()
    for row in (0, 1, 30):
        raw = raw.replace(b"{%d}" % row, record_id(case.run.data_fingerprint, row).encode())
    file.write_bytes(raw)
    result = lossrank("pull", case.run.path, file)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert tells(result.stderr, "Error", file, *named)
    assert case.held() == {}


def test_a_long_text_is_cut_to_what_a_cell_holds(tmp_path: Path) -> None:
    FILES["csv"].write(tmp_path / "a.csv", [make_record(1, inputs={"text": "x" * 40_000})])
    assert read_csv(tmp_path / "a.csv")[0]["text"] == "x" * 32_000 + " [...]"


def test_pairs_ids_and_missing_labels_have_their_cells(tmp_path: Path) -> None:
    records = [
        make_record(1, inputs={"premise": "p", "hypothesis": "h"}, metadata={"row": 1, "id": "=7", "loss": 2.5}),
        make_record(2, inputs={"premise": "q"}, given=None, metadata={"row": 2}),
    ]
    FILES["csv"].write(tmp_path / "a.csv", records)
    first, second = read_csv(tmp_path / "a.csv")
    assert (first["text"], first["text_pair"], first["source_id"]) == ("p", "h", "'=7")
    assert (second["text"], second["given"], second["loss"], second["source_id"]) == ("q", "", "", "")


def test_a_class_is_found_in_any_case_unless_two_are_alike(tmp_path: Path) -> None:
    names = ("sports", "Sports", "World", "KEEP")
    table = pa.table({"text": make_texts(4), "label": list(names)})
    score_dataset(make_bundle(tmp_path / "bundle", classes=names), table, tmp_path / "run", ScoreOptions(threads=1))
    run = RunDirectory.open(tmp_path / "run")
    file = tmp_path / "a.csv"

    def label_of(word: str) -> str | None:
        file.write_text(f"record_id,decision\n{record_id(run.data_fingerprint, 2)},{word}\n")
        (answer,) = FILES["csv"].read(file, run, "ana").answers
        return answer.label

    assert [label_of(word) for word in ("sports", "Sports", "wORLD", "keep")] == ["sports", "Sports", "World", "KEEP"]
    with pytest.raises(RunError, match=facts("line 2", "'SPORTS'")):
        label_of("SPORTS")
