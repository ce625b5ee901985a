"""Records for review: what they hold, which rows have none, and the file of them."""

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossrank.review.files.kinds import FILES
from lossrank.review.records import Refusal, build_records
from lossrank.review.servers.rubrix.record import accept, agent_name, encode, record_body
from lossrank.review.servers.server import Form
from scorer import RankedRow, RunError
from scorer.run.manifest import RunColumns
from tests.support.facts import facts
from tests.support.fake_rubrix import make_record

FORM = Form(("World", "Sports", "Business"), ("text",))
RUN: Any = SimpleNamespace(
    class_names=("World", "Sports", "Business"),
    data_fingerprint="0123456789abcdef" * 4,
    model_name="some/model",
    data_name="ag_news",
    columns=RunColumns(text="text", text_pair=None, label="label", id=None),
)
ROW = RankedRow(
    rank=1,
    row=7,
    id=None,
    label=0,
    predicted=1,
    loss=4.5,
    label_prob=0.01,
    top_prob=0.75,
    margin=-0.74,
    entropy=0.5,
    n_tokens=9,
    truncated=False,
    precision="fp32",
    probs=(0.01, 0.75, 0.24),
    given_name="World",
    predicted_name="Sports",
)


def build(row: RankedRow, run: Any = RUN, **columns: Any) -> Any:
    """Build the one record of one row, or its refusal."""
    source = pa.table({name: pa.array([value], None if value else pa.string()) for name, value in columns.items()})
    records, refused = build_records(run, [row], source)
    return (records + refused)[0]


def test_a_record_is_the_tutorials() -> None:
    record = build(ROW, text="Wall St. falls")
    assert record_body(record) == {
        "id": "0123456789ab-000000007",
        "inputs": {"text": "Wall St. falls"},
        "multi_label": False,
        "prediction": {"agent": "some/model", "labels": [{"class": "Sports", "score": 0.75}]},
        "annotation": {"agent": "ag_news", "labels": [{"class": "World", "score": 1.0}]},
        "status": "Default",
        "metadata": {
            "rank": 1,
            "row": 7,
            "predicted": "Sports",
            "given": "World",
            "loss": 4.5,
            "margin": -0.74,
            "entropy": 0.5,
        },
        "event_timestamp": None,
    }


def test_a_row_without_a_label_has_no_annotation_and_no_loss() -> None:
    row = dataclasses.replace(ROW, label=None, loss=None, label_prob=None, margin=None)
    body = record_body(build(row, text="Wall St. falls"))
    assert body["annotation"] is None
    assert body["metadata"] == {"rank": 1, "row": 7, "predicted": "Sports", "entropy": 0.5}


def test_the_users_id_comes_along() -> None:
    record = build(dataclasses.replace(ROW, id="doc-9"), text="x")
    assert record.metadata["id"] == "doc-9"
    assert record.id == "0123456789ab-000000007"


@pytest.mark.parametrize(
    ("column", "field"),
    [("headline", "headline"), ("a.b c", "a_b_c"), ("text", "text_pair"), ("..", "text_pair"), ("标题", "标题")],
)
def test_a_pair_goes_in_under_its_own_name(column: str, field: str) -> None:
    run = SimpleNamespace(**{**vars(RUN), "columns": RunColumns(text="body", text_pair=column, label=None, id=None)})
    assert build(ROW, run, **{"body": "one", column: "two"}).inputs == {"text": "one", field: "two"}
    assert build(ROW, run, **{"body": "one", column: None}).inputs == {"text": "one"}


def test_a_number_column_is_logged_as_text_and_a_float_stays_one() -> None:
    record = build(dataclasses.replace(ROW, loss=4), text=["a", "b"])  # type: ignore[arg-type]
    assert record.inputs == {"text": "['a', 'b']"}
    assert b'"loss":4.0' in encode(record)  # the first value sets the field's type on the server


@pytest.mark.parametrize(
    ("row", "text", "reason"),
    [
        (ROW, None, "the row has no text"),
        (dataclasses.replace(ROW, loss=math.nan), "x", "the loss is nan, not a finite number"),
        (dataclasses.replace(ROW, loss=math.inf), "x", "the loss is inf, not a finite number"),
        (dataclasses.replace(ROW, top_prob=math.nan), "x", "the probability is nan, not a finite number"),
    ],
)
def test_a_row_that_makes_no_record_says_why(row: RankedRow, text: str | None, reason: str) -> None:
    assert build(row, text=text) == Refusal(7, reason)


def test_a_text_that_is_not_utf8_costs_only_itself() -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"], pa.binary()).buffers())
    rows = [ROW, dataclasses.replace(ROW, row=8, rank=2)]
    records, refused = build_records(RUN, rows, pa.table({"text": broken}))
    assert [record.row for record in records] == [8]
    assert refused == [Refusal(7, "the text is not valid UTF-8")]


def test_another_number_of_source_rows_is_a_bug() -> None:
    with pytest.raises(ValueError, match=facts(1, 2)):
        build_records(RUN, [ROW], pa.table({"text": ["a", "b"]}))


@given(st.lists(st.integers(0, 10**9 - 1), min_size=2))
def test_ids_sort_as_rows_do(rows: list[int]) -> None:
    source = pa.table({"text": ["x"] * len(rows)})
    records, _ = build_records(RUN, [dataclasses.replace(ROW, row=row) for row in rows], source)
    assert [record.row for record in sorted(records, key=lambda record: record.id)] == sorted(rows)


@given(st.text())
def test_any_text_goes_through_unchanged(text: str) -> None:
    line = encode(make_record(1, inputs={"text": text}))
    assert b"\n" not in line
    assert json.loads(line)["inputs"] == {"text": text}


@given(st.text())
def test_any_name_makes_an_agent_that_can_be_indexed(name: str) -> None:
    agent = agent_name(name)
    assert 1 <= len(agent) <= 64
    assert all(part.strip() for part in agent.split("."))


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("andi611/distilbert-base-uncased-ner-agnews", "andi611/distilbert-base-uncased-ner-agnews"),
        ("/home/somebody/data/ag_news.parquet", "ag_news.parquet"),
        ("./data/ag_news.parquet", "ag_news.parquet"),
        ("../..", "unknown"),
        (".hidden", "hidden"),
        ("a..b.", "a.b"),
        (" ", "unknown"),
        ("m" * 100, "m" * 64),
    ],
)
def test_agents_are_names_not_paths(name: str, agent: str) -> None:
    assert agent_name(name) == agent


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"given": "g" * 129}, "the given label has 129 characters; Rubrix takes 1 to 128"),
        ({"given": ""}, "the given label has 0 characters; Rubrix takes 1 to 128"),
        ({"predicted": ("p" * 200, 0.5)}, "the predicted label has 200 characters; Rubrix takes 1 to 128"),
        ({"predicted": ("p", 1.01)}, "the predicted label's probability is 1.01; Rubrix takes 0 to 1"),
        ({"predicted": ("p", -0.1)}, "the predicted label's probability is -0.1; Rubrix takes 0 to 1"),
        ({"predicted": ("p", math.nan)}, "the predicted label's probability is nan; Rubrix takes 0 to 1"),
        ({"metadata": {"loss": math.inf}}, "a number in the metadata is not finite"),
        ({"inputs": {"text": "\ud800"}}, "the text can't be written as UTF-8"),
    ],
)
def test_what_rubrix_would_refuse_is_not_sent(changes: dict[str, Any], reason: str) -> None:
    good = make_record(1)
    assert accept([make_record(3, **changes), good]) == ([good], [Refusal(3, reason)])


def test_the_longest_label_and_a_rounded_probability_pass() -> None:
    record = make_record(1, given="g" * 128, predicted=("p" * 128, 1.0005))
    assert accept([record]) == ([record], [])
    assert record_body(record)["prediction"]["labels"][0]["score"] == 1.0


def test_the_file_has_a_line_for_each_record(tmp_path: Path) -> None:
    records = [make_record(1, inputs={"text": "a\nb\u2028c 😀\x00"}), make_record(2, rank=2, given=None)]
    FILES["jsonl"].write(tmp_path / "worst.jsonl", records)
    lines = [json.loads(line) for line in (tmp_path / "worst.jsonl").read_bytes().split(b"\n")[:-1]]
    assert lines[0] == {
        "rank": 1,
        "row": 1,
        "record_id": "abc-000000001",
        "given": "World",
        "predicted": "Business",
        "probability": 0.75,
        "loss": 2.5,
        "decision": None,
        "annotator": None,
        "text": "a\nb\u2028c 😀\x00",
    }
    assert (lines[1]["rank"], lines[1]["row"], lines[1]["given"]) == (2, 2, None)
    assert [path.name for path in tmp_path.iterdir()] == ["worst.jsonl"]


def test_a_file_is_replaced_only_when_forced(tmp_path: Path) -> None:
    file = tmp_path / "worst.jsonl"
    file.write_text("mine")
    with pytest.raises(RunError, match=facts(file, "exists", "`force=True`")):
        FILES["jsonl"].write(file, [make_record(1)])
    assert file.read_text() == "mine"
    FILES["jsonl"].write(file, [make_record(1)], force=True)
    assert json.loads(file.read_text())["record_id"] == "abc-000000001"


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "worst.jsonl"
    file.write_text("mine")
    with pytest.raises(ValueError, match="not JSON compliant"):
        FILES["jsonl"].write(file, [make_record(1), make_record(2, metadata={"loss": math.nan})], force=True)
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["worst.jsonl"]


def test_a_file_in_no_folder_or_that_is_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=facts(tmp_path / "nowhere", "not a folder")):
        FILES["jsonl"].write(tmp_path / "nowhere" / "worst.jsonl", [])
    with pytest.raises(RunError, match=facts(tmp_path, "is a folder")):
        FILES["jsonl"].write(tmp_path, [], force=True)
