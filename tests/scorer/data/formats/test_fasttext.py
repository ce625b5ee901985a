"""fastText's files: one row a line, with its label first."""

import gzip
from pathlib import Path

import pytest

from scorer import ModelBundle, SourceError, open_source, score_dataset
from scorer.data.formats.base import CHUNK
from tests.scorer.data.formats.helpers import column, problems, write
from tests.support.facts import facts


@pytest.mark.parametrize(
    ("line", "label", "text"),
    [
        ("__label__World Oil prices rise", "World", "Oil prices rise"),
        ("__label__Sci-Tech\tA new chip", "Sci-Tech", "A new chip"),
        ("__label__Sci/Tech , a  new   chip ", "Sci/Tech", ", a  new   chip"),
        ("__label__very_good fine", "very_good", "fine"),
        ('__label__1 "quoted", as it is', "1", '"quoted", as it is'),
        ("  __label__é ça", "é", "ça"),
        ("__label__World", "World", None),
        ("__label__ no name", None, "no name"),
        ("__label__World see my__label__x and label__x", "World", "see my__label__x and label__x"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_line(tmp_path: Path, line: str, label: str | None, text: str | None, end: str) -> None:
    whole = "\ufeff__label__Sports first\n\n" + "__label__Sports more\n" * 30 + f" \n{line}{end}"
    source = open_source(write(tmp_path / "a.txt", whole))
    assert source.schema.names == ["text", "label"]
    assert column(source, "text") == ["first", *["more"] * 30, text]
    assert column(source, "label") == ["Sports"] * 31 + [label]
    assert set(problems(source)) == {None}


def test_rows_are_read_in_parts_and_when_compressed(tmp_path: Path) -> None:
    lines = [f"__label__c{i % 3} text {i}" for i in range(CHUNK + 10)]
    source = open_source(write(tmp_path / "a.txt.gz", gzip.compress("\n".join(lines).encode())))
    assert source.num_rows == len(lines)
    assert [row["text"] for batch in source.read(["text"], CHUNK - 2, CHUNK + 2) for row in batch.to_pylist()] == [
        f"text {i}" for i in range(CHUNK - 2, CHUNK + 2)
    ]


def test_lines_without_a_label_are_counted_while_they_are_few(tmp_path: Path) -> None:
    lines = [f"__label__World text {i}" for i in range(40)]
    lines[6] = "a text alone"
    source = open_source(write(tmp_path / "a.txt", "\n".join(lines)))
    assert column(source, "text")[6] == "a text alone"
    assert column(source, "label")[6] is None
    assert source.notes == ("1 of 40 lines of a.txt have no label (first: line 7)",)
    lines[8:10] = ["more", "and more"]
    with pytest.raises(SourceError, match=facts("a.txt", "3 of 40 lines", "line 7", "line breaks")):
        open_source(write(tmp_path / "a.txt", "\n".join(lines)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Dear reader,\n__label__World x", ("line 1", "__label__", "CSV, JSON lines or Parquet")),
        ("__label__World x\n__label__a __label__b y", ("line 2", "several labels", "__label__a and __label__b")),
        ("__label__World x\n__label__a y __label__b", ("line 2", "__label__a and __label__b")),
        ("__label__World x\ny __label__b", ("line 2", "after its text", "__label__b")),
        (f"__label__{'a' * 900} __label__{'b' * 900}", ("line 1", "several labels")),
        (" \n\n", ("is empty",)),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str, said: tuple[str, ...]) -> None:
    with pytest.raises(SourceError, match=facts("a.txt", *said)) as caught:
        open_source(write(tmp_path / "a.txt", content))
    assert len(str(caught.value)) <= 400


def test_scored(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    labels = ("World", "Sports", "Business", "Sci/Tech")
    data = write(tmp_path / "a.txt", "".join(f"__label__{labels[i % 4]} w{i} number {i}\n" for i in range(20)))
    rows = [{"text": f"w{i} number {i}", "label": labels[i % 4]} for i in range(20)]
    found = score_dataset(tiny_bundle, data, tmp_path / "run")
    plain = score_dataset(tiny_bundle, rows, tmp_path / "plain")
    assert found.by_status == plain.by_status == {"ok": 20}
    assert found.mean_loss == plain.mean_loss
