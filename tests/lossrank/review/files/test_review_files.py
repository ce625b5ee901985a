"""`log` to files and `pull` from them: JSON lines, doccano's and Label Studio's, and what all kinds share."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from lossrank.review.decision import RELABELLED
from lossrank.review.files.kinds import FILES
from lossrank.review.records import record_id
from lossrank.review.store import DecisionStore
from tests.support.cases import Case, Lossrank, fill_in, log
from tests.support.facts import counts, tells
from tests.support.fake_rubrix import make_record
from tests.support.tiny import CLASSES

SOURCES = ("csv", "jsonl", "doccano", "label-studio")


# What is pulled again, and what is of other data


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_file_that_is_saved_again_does_not_take_back_what_was_decided_since(
    case: Case, lossrank: Lossrank, kind: str
) -> None:
    file = log(case, lossrank, kind, f"worst.{kind}")

    def decide(words: list[str], moment: int) -> None:
        if kind == "csv":
            file.write_bytes(fill_in(file, words))
        else:
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            made = [{**line, "decision": word} for line, word in zip(lines, words, strict=False)]
            file.write_text("".join(json.dumps(line) + "\n" for line in made + lines[len(words) :]))
        os.utime(file, (moment, moment))

    decide(["discard"], 1_900_000_000)
    assert counts(lossrank("pull", case.run.path, file).stdout)[-1] == 1
    label = case.other(case.rows[0])
    with DecisionStore(case.run) as store:
        store.decide(case.rows[0], RELABELLED, label, annotator="ben")
    decide(["discard", "keep"], 2_000_000_000)
    again = lossrank("pull", case.run.path, file)
    assert counts(again.stdout.splitlines()[0]) == [2, 1, 0, 1, 1]  # answers, kept, relabelled, discarded, new
    assert case.held()[case.rows[0]] == ("relabelled", label, "ben")
    decide(["keep", "keep"], 2_000_000_001)
    lossrank("pull", case.run.path, file)
    assert case.held()[case.rows[0]] == ("kept", None, "worst")


@pytest.mark.parametrize("kind", SOURCES)
def test_records_of_other_data_are_counted_and_left_out(case: Case, lossrank: Lossrank, kind: str) -> None:
    ours = record_id(case.run.data_fingerprint, 1)
    file = case.folder / "mixed"
    ids = [ours, record_id("0123456789abcdef", 2), "", "no-id"]
    if kind == "csv":
        file.write_text("record_id,decision\n" + "".join(f"{one},discard\n" for one in ids))
    elif kind == "label-studio":
        skipped = {"result": [], "was_cancelled": True, "completed_by": 1, "created_at": "2026-01-01T00:00:00Z"}
        file.write_text(json.dumps([{"data": {"record_id": one}, "annotations": [skipped]} for one in ids]))
    else:
        key = {"jsonl": {"decision": "discard"}, "doccano": {"label": ["discard"]}}[kind]
        file.write_text("".join(json.dumps({"record_id": one, **key}) + "\n" for one in ids))
    result = lossrank("pull", case.run.path, file, "--from", kind)
    assert counts(result.stdout)[:4] == [1, 0, 0, 1]
    assert counts(result.stderr) == [3]  # records are left out
    assert result.exit_code == 3
    assert set(case.held()) == {1}
    document = json.loads(lossrank("pull", case.run.path, file, "--from", kind, "--json").stdout)
    assert (document["foreign"], document["discarded"], document["added"]) == (3, 1, 0)


def test_a_row_that_the_data_does_not_have_is_refused(case: Case, lossrank: Lossrank) -> None:
    file = case.folder / "a.csv"
    file.write_text(f"record_id,decision\n{record_id(case.run.data_fingerprint, 60)},discard\n")
    result = lossrank("pull", case.run.path, file)
    (line,) = result.stderr.splitlines()
    assert tells(line, "Error", "row", 60, 59)


def test_a_text_that_no_utf8_holds_is_refused() -> None:
    for kind in FILES.values():
        taken, refused = kind.accept([make_record(1), make_record(2, inputs={"text": "\ud800"})])
        assert [one.row for one in taken] == [1]
        assert [(one.row, one.reason) for one in refused] == [(2, "the text can't be written as UTF-8")]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_row_may_be_there_twice_with_one_decision_or_two_peoples(case: Case, lossrank: Lossrank, kind: str) -> None:
    id = record_id(case.run.data_fingerprint, 1)
    said = [("keep", ""), (case.given(1), ""), ("", ""), ("discard", "ana")]
    file = case.folder / f"twice.{kind}"
    if kind == "csv":
        file.write_text("record_id,decision,annotator\n" + "".join(f"{id},{word},{who}\n" for word, who in said))
    else:
        lines = [{"record_id": id, "decision": word, "annotator": who} for word, who in said]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = lossrank("pull", case.run.path, file)
    assert counts(result.stdout)[0] == 3
    assert counts(result.stderr) == [1, 1]  # one row is open: row 1


# JSON lines


def test_json_lines_go_out_filled_in_by_a_script_and_come_back(case: Case, lossrank: Lossrank) -> None:
    file = log(case, lossrank, "jsonl", "worst.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0] |= {"decision": lines[0]["predicted"], "annotator": "script"}
    lines[1] |= {"decision": "keep"}
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, lines)).encode() + b"\r\n\r\n")
    assert counts(lossrank("pull", case.run.path, file).stdout)[:4] == [2, 1, 1, 0]
    assert case.held() == {
        case.rows[0]: ("relabelled", lines[0]["predicted"], "script"),
        case.rows[1]: ("kept", None, "worst"),
    }


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"{", ["line 2", "Expecting property name"]),
        (b"[1]", ["line 2", "object"]),
        (b'{"a":"\xff"}', ["line 2", "UTF-8"]),
        (b"{}", ["line 2", "'decision'"]),
        (b'{"label":[]}', ["line 2", "'decision'", "--from doccano"]),
        *(
            (b'{"decision":%s}' % value, ["line 2", "decision", "annotator"])
            for value in (b"3", b"0", b"false", b"[]", b"{}", b'"","annotator":0')
        ),
        (
            b'{"decision":"keep","record_id":"ID"}\n{"decision":"Sports","record_id":"ID","annotator":"ana"}\n'
            b'{"decision":"Business","record_id":"ID","annotator":"ana"}',
            ["line 3", "line 4", "ana", "row 1", "'Sports'", "'Business'"],
        ),
        (b'{"decision":"Sprots","record_id":"ID"}', ["line 2", "'Sprots'", "World"]),
    ],
)
def test_a_line_that_can_not_be_read_is_named(case: Case, lossrank: Lossrank, line: bytes, named: list[str]) -> None:
    file = case.folder / "bad.jsonl"
    file.write_bytes(b"\n" + line.replace(b"ID", record_id(case.run.data_fingerprint, 1).encode()))
    result = lossrank("pull", case.run.path, file)
    assert result.exit_code == 1
    assert tells(result.stderr, "Error", file, *named)
    assert result.stderr.count("\n") == 1


# doccano


def test_examples_go_to_doccano_without_labels_and_its_export_comes_back(case: Case, lossrank: Lossrank) -> None:
    file = log(case, lossrank, "doccano", "examples.jsonl")
    examples = [json.loads(line) for line in file.read_text().splitlines()]
    assert [example["label"] for example in examples] == [[]] * 5
    assert [example["row"] for example in examples] == case.rows
    reserved = {"id", "filename", "upload_name", "example_uuid", "#line_number", "Comments"}
    assert not any(reserved & set(example) for example in examples)

    labels = [[case.other(case.rows[0])], ["discard"], [], [CLASSES[0], CLASSES[1]], [case.given(case.rows[4])]]
    exported = [
        {"id": 100 + i, **example, "label": of, "Comments": []}
        for i, (example, of) in enumerate(zip(examples, labels, strict=True))
    ]
    out = case.folder / "export.jsonl"
    out.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in exported))
    result = lossrank("pull", case.run.path, out, "--from", "doccano")
    assert counts(result.stdout) == [4, 1, 1, 1, 3]
    assert any(counts(line) == [1] and tells(line, "'World, Sports'") for line in result.stderr.splitlines())
    assert case.held() == {
        case.rows[0]: ("relabelled", case.other(case.rows[0]), "export"),
        case.rows[1]: ("discarded", None, "export"),
        case.rows[4]: ("kept", None, "export"),
    }


def test_of_a_zipped_export_every_members_file_counts(case: Case, lossrank: Lossrank) -> None:
    def lines(*labels: str) -> str:
        ids = [record_id(case.run.data_fingerprint, row) for row in range(len(labels))]
        made = [{"record_id": id, "label": [one] if one else []} for id, one in zip(ids, labels, strict=True)]
        return "".join(json.dumps(line) + "\n" for line in made)

    file = case.folder / "export.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("ana.jsonl", lines("Sports", "Sports", "discard"))
        archive.writestr("ben.jsonl", lines("Sports", "World", ""))
    result = lossrank("pull", case.run.path, file)
    assert counts(result.stdout) == [5, 0, 1, 1, 2]
    assert counts(result.stderr) == [1, 1]
    assert case.held() == {0: ("relabelled", "Sports", "ana; ben"), 2: ("discarded", None, "ana")}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("all.jsonl", lines("World"))
    lossrank("pull", case.run.path, file)
    assert case.held()[0] == ("kept", None, "export")


def test_files_that_are_not_doccanos(case: Case, lossrank: Lossrank) -> None:
    file = case.folder / "a.zip"
    file.write_text("no zip")
    assert tells(lossrank("pull", case.run.path, file).stderr, "Error", file, "zip", "doccano")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("all.csv", "")
    assert tells(lossrank("pull", case.run.path, file).stderr, "Error", file, ".jsonl", "doccano")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("all.jsonl", '{"cats": []}')
    assert tells(lossrank("pull", case.run.path, file).stderr, "Error", "all.jsonl", "line 1", "'label'")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("all.jsonl", '{"label": []}\n' * 50)
    whole = file.read_bytes()
    text, entry = whole.index(b"all.jsonl") + len("all.jsonl"), whole.index(b"PK\1\2")
    for at, wrong in ((text, b"\xff\xff"), (entry + 8, b"\1"), (entry + 10, b"\x63")):  # text, encrypted, another way
        damaged = whole[:at] + wrong + whole[at + len(wrong) :]
        file.write_bytes(damaged)
        result = lossrank("pull", case.run.path, file)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert tells(result.stderr, "Error", file, "zip", "doccano")


def test_what_doccano_can_not_take_is_refused_and_nothing_is_missing(tmp_path: Path) -> None:
    pair = make_record(1, inputs={"premise": "p", "hypothesis": "h"}, given=None)
    taken, refused = FILES["doccano"].accept([pair, make_record(2, inputs={"text": ""})])
    assert (taken, [(one.row, one.reason) for one in refused]) == ([pair], [(2, "the text is empty")])
    FILES["doccano"].write(tmp_path / "a.jsonl", taken)
    (example,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert (example["text"], example["given"]) == ("premise: p\n\nhypothesis: h", "")


# Label Studio


def test_tasks_go_to_label_studio_and_its_export_comes_back(case: Case, lossrank: Lossrank) -> None:
    file = log(case, lossrank, "label-studio", "tasks.json")
    tasks = json.loads(file.read_bytes())
    assert [task["data"]["row"] for task in tasks] == case.rows
    choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["Sports"]}}
    annotation = {"was_cancelled": False, "completed_by": 3, "updated_at": "2026-05-01T10:00:00Z", "result": [choice]}
    exported = [{"id": 1, **tasks[0], "annotations": [annotation]}, {"id": 2, **tasks[1], "annotations": []}]
    out = case.folder / "export.json"
    out.write_text(json.dumps(exported))
    result = lossrank("pull", case.run.path, out)
    assert counts(result.stdout)[0] == 1
    assert case.held()[case.rows[0]][2] == "user-3"
    assert counts(lossrank("pull", case.run.path, out).stdout)[-1] == 0
    out.write_text(json.dumps([{**task, "annotations": []} for task in exported]))
    (line,) = lossrank("pull", case.run.path, out).stderr.splitlines()
    assert (counts(line), tells(line, "label-studio")) == ([1], True)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", ["Expecting property name"]),
        ("{}", ["list", "Label Studio"]),
        ('[{"id": 1, "text": "a", "label": "World"}]', ["task 1", "data", "annotations"]),
        ('[{"data": {"record_id": "ID"}, "annotations": [{}]}]', ["task 1", "annotation", "row 1"]),
    ],
)  # fmt: skip
def test_files_that_are_not_label_studios(case: Case, lossrank: Lossrank, content: str, named: list[str]) -> None:
    file = case.folder / "bad.json"
    file.write_text(content.replace("ID", record_id(case.run.data_fingerprint, 1)))
    result = lossrank("pull", case.run.path, file)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert tells(result.stderr, "Error", file, *named)


# Which kind of file


def test_a_file_that_is_not_there_or_of_no_kind(case: Case, lossrank: Lossrank) -> None:
    missing = lossrank("pull", case.run.path, case.folder / "none.csv")
    assert tells(missing.stderr, "Error", case.folder / "none.csv")
    odd = lossrank("pull", case.run.path, case.folder / "a.txt")
    assert tells(odd.stderr, "Error", case.folder / "a.txt", "--from", *SOURCES)
    server = lossrank("pull", case.run.path, case.folder / "a.csv", "--from", "rubrix")
    assert tells(server.stderr, "Error", "rubrix", case.folder / "a.csv")


def test_a_refused_word_is_not_in_the_log_file(case: Case, lossrank: Lossrank) -> None:
    file = case.folder / "a.csv"
    file.write_text(f"record_id,decision\n{record_id(case.run.data_fingerprint, 1)},somebody's text\n")
    result = lossrank("pull", case.run.path, file, "--log-file", case.folder / "log")
    assert "somebody's text" in result.stderr
    assert "somebody" not in (case.folder / "log").read_text()
