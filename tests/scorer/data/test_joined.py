"""JoinedText: several text columns are read as one, from every kind of data; the data keeps its own columns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossrank as lr
from scorer import ModelBundle, Source, SourceError, open_source
from scorer.data.labels.counts import count_labels
from tests.support.facts import facts

ROWS = [
    {"title": "w1 w2", "body": "w3", "label": "World"},
    {"title": None, "body": "w4", "label": "Sports"},
    {"title": "w5", "body": None, "label": "World"},
    {"title": None, "body": None, "label": "Business"},
    {"title": "w6", "body": "w7", "label": "Sci/Tech"},
]
JOINED = ["w1 w2 w3", "w4", "w5", None, "w6 w7"]


def csv(path: Path) -> Path:
    lines = [",".join(row[name] or "" for name in row) for row in ROWS]
    path.with_suffix(".csv").write_text("\n".join(["title,body,label", *lines]) + "\n")
    return path.with_suffix(".csv")


def jsonl(path: Path) -> Path:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path.with_suffix(".jsonl")


def parquet(path: Path) -> Path:
    table = pa.Table.from_pylist(ROWS)
    table = table.set_column(0, "title", table["title"].dictionary_encode())
    pq.write_table(table, path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


KINDS: list[Callable[[Path], Any]] = [csv, jsonl, parquet, lambda path: pa.Table.from_pylist(ROWS), lambda path: ROWS]


def texts(source: Source, name: str) -> list[str | None]:
    return [text for batch in source.read([name]) for text in batch.column(name).to_pylist()]


@pytest.mark.parametrize("make", KINDS)
def test_parts_are_joined_and_missing_ones_left_out(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    source = open_source(make(tmp_path / "a")).joining(["title", "body"], " ")
    assert texts(source, "title body") == JOINED
    assert source.take(np.array([4, 0]), ["label", "title body"]).to_pylist() == [
        {"label": "Sci/Tech", "title body": "w6 w7"},
        {"label": "World", "title body": "w1 w2 w3"},
    ]
    assert set(source.take(np.array([0])).column_names) == {"title", "body", "label"}
    assert texts(source.joining(["body", "title"], " | "), "body | title")[0] == "w3 | w1 w2"


@pytest.mark.parametrize("make", KINDS[:3])
def test_a_run_of_joined_columns_is_resumed_ranked_and_published(
    tiny_bundle: ModelBundle, tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    data = make(tmp_path / "a")
    run = lr.score(tiny_bundle, data, tmp_path / "run", text_column=["title", "body"], progress=False)
    assert run.columns.text == "title body"
    plain = [{"text": text, "label": row["label"]} for text, row in zip(JOINED, ROWS, strict=True)]
    alone = lr.score(tiny_bundle, plain, tmp_path / "plain", progress=False)
    same = ["loss", "status", "label", "predicted"]
    assert run.to_pandas()[same].equals(alone.to_pandas()[same])
    again = lr.open_run(tmp_path / "run")
    assert set(again.worst(4).to_pandas()["title body"]) == {text for text in JOINED if text}
    assert lr.verify(again).complete
    again.decide({0: "Sports"}, annotator="ann")
    again.apply(diff=tmp_path / "changes.csv", with_texts=True)
    assert "w1 w2 w3" in (tmp_path / "changes.csv").read_text()
    again.apply(tmp_path / "out.parquet", allow_test_split=True)
    published = pq.read_schema(tmp_path / "out.parquet").names
    assert set(published) >= {"title", "body", "label"}
    assert "title body" not in published
    with pytest.raises(lr.RunError, match=facts("text", "title body")):
        lr.score(tiny_bundle, data, tmp_path / "run", text_column=["body", "title"], progress=False)


@pytest.mark.parametrize(
    ("parts", "join", "message"),
    [
        (["title", "bodi"], " ", facts("'bodi'")),
        (["title", "title"], " ", facts("twice")),
        (["title", "number"], " ", facts("'number'", "int64")),
        (["a", "b"], " ", facts("'a b'", "already")),
    ],
)
def test_parts_that_cannot_be_joined(parts: list[str], join: str, message: str) -> None:
    rows = [{"title": "w1", "number": 1, "a": "w2", "b": "w3", "a b": "w4"}]
    with pytest.raises(SourceError, match=message):
        open_source(rows).joining(parts, join)


@pytest.mark.parametrize("make", [csv, jsonl])
def test_labels_counted_while_a_file_is_opened_are_those_of_a_pass(
    tmp_path: Path, make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(tmp_path / "a")
    with file.open("ab") as stream:
        stream.write(
            b"w,w,caf\xe9\nw,w\n" if make is csv else b'{"label": 5}\n{"label": null}\n{"label": "caf\\u00e9"}\n'
        )
    source = open_source(file)
    counted = count_labels(source, "label")
    monkeypatch.setattr("scorer.data.labels.counts._counted", lambda source, column: None)
    assert counted == count_labels(source, "label")
    assert counted["World"] == 2
    assert len(counted) > 4
