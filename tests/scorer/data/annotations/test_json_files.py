"""JSON files of annotation tools, as open_source reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scorer import SourceError, open_source
from scorer.data.annotations.columns import refuse_columns
from scorer.data.annotations.recognise import shape_of
from scorer.data.columns import choose_columns
from scorer.data.read_options import ReadOptions
from tests.scorer.data.annotations.helpers import Record, shape, write
from tests.scorer.data.annotations.test_argilla import classified, flat, nested
from tests.scorer.data.annotations.test_doccano import exported
from tests.scorer.data.annotations.test_label_studio import annotation, task
from tests.scorer.data.annotations.test_label_studio import choice as ls_choice
from tests.scorer.data.annotations.test_prodigy import binary, choice
from tests.scorer.data.formats.helpers import column, problems


def spacy(text: str, label: str | None) -> Record:
    return {"text": text, "cats": {name: float(name == label) for name in ("World", "Sports")}}


EXPORTS: dict[str, Callable[[int, str | None], Record]] = {
    "Prodigy": lambda n, label: binary(f"text {n}", label or "Sports", "accept" if label else "reject", n),
    "Prodigy, choice": lambda n, label: choice(f"text {n}", [label] if label else []),
    "spaCy's cats": lambda n, label: spacy(f"text {n}", label),
    "doccano": lambda n, label: exported(n, *[label] if label else []),
    "Label Studio": lambda n, label: task(n, annotation(ls_choice(label)) if label else annotation(cancelled=True)),
    "Argilla": lambda n, label: nested(n, *[label] if label else []),
    "Argilla, flat": lambda n, label: flat(n, [label or "Sports"], ["submitted" if label else "discarded"]),
    "Argilla 1": lambda n, label: classified(n, label or "Sports", "Validated" if label else "Discarded"),
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_every_text_gets_its_own_label(tool: str, tmp_path: Path) -> None:
    given = ["World", None, "Sports", "World", None, "Sports"] * 300
    records: list[Any] = [EXPORTS[tool](n, label) for n, label in enumerate(given)]
    records.insert(1500, {"nothing": "of the tool"})
    source = open_source(write(tmp_path / "a.jsonl", records))
    columns = choose_columns(source.schema)
    assert (columns.text, columns.label) == ("text", "label")
    assert source.num_rows == 1801
    found = list(zip(column(source, "text"), column(source, "label"), problems(source), strict=True))
    odd = found.pop(1500)
    assert found == [(f"text {n}", label, None) for n, label in enumerate(given)]
    if tool == "doccano":  # a record without a list of labels has none
        assert odd == (None, None, None)
    else:
        assert odd[:2] == (None, None)
        assert str(odd[2]).startswith("a.jsonl record 1501: ")
    (note,) = source.notes
    assert note.startswith(f"a.jsonl: read as {tool.split(',')[0]}: ")
    assert "600 " in note or "601 " in note
    assert note.endswith("records have no label")


@pytest.mark.parametrize("tool", EXPORTS)
def test_a_row_is_plain_once_it_is_read(tool: str, tmp_path: Path) -> None:
    # A corrected data set is scored again; what people then say in `label` counts.
    records = [EXPORTS[tool](n, label) for n, label in enumerate(["World", None, "Sports"])]
    found = shape(records)
    rows = [found.row(record, None) for record in records]
    assert shape_of(rows) is None
    schema = open_source(write(tmp_path / "a.jsonl", records)).schema
    refuse_columns(schema)
    assert set(schema.names) == {name for row in rows for name in row}


def test_a_part_of_the_rows_is_read_as_the_whole(tmp_path: Path) -> None:
    tasks = [task(n, annotation(ls_choice("World"))) for n in range(4500)]
    source = open_source(write(tmp_path / "a.jsonl", tasks))
    batches = pa.Table.from_batches(source.read(["text", "label"], 4300, 4302)).to_pylist()
    assert [(row["text"], row["label"]) for row in batches] == [("text 4300", "World"), ("text 4301", "World")]


@pytest.mark.parametrize(("annotators", "label"), [("majority", "World"), ("first", "Sports")])
def test_annotators_decide(annotators: str, label: str, tmp_path: Path) -> None:
    given = [annotation(ls_choice(name), at=at) for at, name in enumerate(["Sports", "World", "World"])]
    file = write(tmp_path / "a.jsonl", [task(1, *given)])
    source = open_source(file, read=ReadOptions(annotators=annotators))
    assert column(source, "label") == [label]
    assert source.notes == ("a.jsonl: read as Label Studio: annotators disagree on 1 record",)
    with pytest.raises(SourceError, match=r"^a.jsonl: people gave the record with id 1 different labels"):
        open_source(file)


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^a.jsonl: the records look like doccano's and have several labels"):
        open_source(write(tmp_path / "a.jsonl", [exported(1, "World", "Sports")]))
    twice = [choice("late", ["DELIVERY"]), choice("late", ["REFUND"])]
    with pytest.raises(SourceError, match=r"^b.jsonl: Prodigy's records give 1 of the texts different"):
        open_source(write(tmp_path / "b.jsonl", twice))


def test_the_training_pairs_of_spacy_are_records(tmp_path: Path) -> None:
    pairs = [[f"text {n}", {"cats": {"World": 1.0, "Sports": 0.0}}] for n in range(3)]
    source = open_source(write(tmp_path / "a.jsonl", [*pairs, ["text 3", {"entities": []}]]))
    assert column(source, "text") == ["text 0", "text 1", "text 2", None]
    assert column(source, "label") == ["World"] * 3 + [None]
    assert problems(source) == [None] * 3 + ["a.jsonl line 4: a list, not an object"]


def test_plain_records_are_plain(tmp_path: Path) -> None:
    records = [{"question": "a", "answer": "accept"}, {"question": "b", "answer": "no"}]
    source = open_source(write(tmp_path / "a.jsonl", records))
    assert source.notes == ()
    assert column(source, "answer") == ["accept", "no"]
