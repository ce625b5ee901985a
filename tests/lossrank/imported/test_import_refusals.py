"""What import_probs can't read for certain ends before a run is made, in one line with the option that decides."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import lossrank as lr
from scorer.errors import NotThereError
from tests.lossrank.imported.helpers import ROWS, Floats, imported, some_probs, some_rows, write
from tests.support.facts import facts
from tests.support.tiny import CLASSES

NUMBERS: dict[str, tuple[Callable[[Floats], Any], tuple[object, ...]]] = {
    "logits": (lambda probs: np.log(probs), ("logits=True", f"{ROWS:,}")),
    "percentages": (lambda probs: probs * 100, ("sum to 100", "percentages")),
    "independent": (lambda probs: np.full_like(probs, 0.5), ("do not sum to 1", 2, "classes")),
    "nan": (lambda probs: probs * np.nan, ("NaN",)),
    "fewer rows": (lambda probs: probs[:-1], (f"{ROWS:,}", ROWS - 1)),
    "more rows": (lambda probs: np.concatenate([probs, probs[:1]]), (f"{ROWS:,}", f"{ROWS + 1:,}")),
    "one column": (lambda probs: probs[:, 0], ("shape", "numpy.column_stack")),
    "three axes": (lambda probs: probs[None], (f"(1, {ROWS}, 4)", "[rows, classes]")),
    "whole numbers": (lambda probs: (probs > 0.5).astype(int), ("int64", "float32")),
    "other columns": (lambda probs: probs[:, :3], ("classes", 4, 3)),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("is_file", [False, True], ids=["array", "npy"])
def test_numbers_that_are_no_probabilities(kind: str, is_file: bool, tmp_path: Path) -> None:
    change, named = NUMBERS[kind]
    numbers = change(some_probs())
    np.save(tmp_path / "p.npy", numbers)
    given = tmp_path / "p.npy" if is_file else numbers
    with pytest.raises(lr.SourceError, match=facts(*named, *(("p.npy",) if is_file else ()))) as caught:
        imported(some_rows(), given, tmp_path / "run")
    assert len(str(caught.value)) <= 400
    assert not (tmp_path / "run").exists()


def test_probabilities_are_no_logits(tmp_path: Path) -> None:
    with pytest.raises(lr.SourceError, match=facts("0..1", "logits")):
        imported(some_rows(), some_probs(), tmp_path / "run", logits=True)
    assert not (tmp_path / "run").exists()


def test_most_rows_bad_after_the_first_look_ends_the_run_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.pipeline.imported._FIRST_ROWS", 100)
    probs = some_probs()
    probs[450:] = 0.7
    with pytest.raises(lr.SourceError, match=facts(550, f"{ROWS:,}", "sum to 1")):
        imported(some_rows(), probs, tmp_path / "run")
    assert not lr.verify(tmp_path / "run").complete
    probs[550:] = some_probs()[550:]
    assert imported(some_rows(), probs, tmp_path / "few").stats.by_status == {"ok": 900, "bad_probs": 100}


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (None, ("classes", 4)),
        (("a", "b", "a", "c"), ("classes", "'a'")),
        (("a", "", "b", "c"), ("classes",)),
        ("nothing.txt", ("nothing.txt", "classes")),
    ],
)
def test_class_names_that_an_array_can_not_have(
    classes: Any, named: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(lr.SourceError, match=facts(*named)):
        imported(some_rows(), some_probs(), tmp_path / "run", classes=classes)


@pytest.mark.parametrize("label_names", [True, False], ids=["names", "numbers"])
def test_class_names_in_another_order_than_the_columns(label_names: bool, tmp_path: Path) -> None:
    rows = some_rows()
    if not label_names:
        numbers = pa.array([CLASSES.index(label) for label in rows["label"].to_pylist()])
        rows = rows.set_column(1, "label", numbers)
    swapped = [CLASSES[1], CLASSES[0], *CLASSES[2:]]
    if label_names:
        with pytest.raises(lr.LabelError, match=facts("classes", "order", "label_map")):
            imported(rows, some_probs(), tmp_path / "run", classes=swapped)
        assert imported(rows, some_probs(), tmp_path / "run").stats.accuracy == pytest.approx(0.9)
    else:  # a number is the index of a column, whatever its name
        assert imported(rows, some_probs(), tmp_path / "run", classes=swapped).stats.accuracy == pytest.approx(0.9)


def test_columns_that_are_no_classes(tmp_path: Path) -> None:
    probs = some_probs()
    table = pa.table(
        {**{name: probs[:, i] for i, name in enumerate(CLASSES)}, "when": pa.array([0] * ROWS, pa.date32())}
    )
    with pytest.raises(lr.SourceError, match=facts("when", "date32", "classes")):
        imported(some_rows(), table, tmp_path / "run", classes=None)
    with pytest.raises(lr.SourceError, match=facts("'Sport'", "'Sports'", "classes")):
        imported(some_rows(), table, tmp_path / "run", classes=("World", "Sport"))
    number = table.drop_columns(["when"]).append_column("number", pa.array(range(ROWS)))
    with pytest.raises(lr.SourceError, match=facts("classes", "logits")):
        imported(some_rows(), number, tmp_path / "run", classes=None)


def test_kinds_that_hold_no_table() -> None:
    for given in (some_probs().tolist(), 5, [0.5, 0.5]):
        with pytest.raises(TypeError, match=facts("probs", "numpy")):
            imported(some_rows(), given, Path("run"))
    assert not Path("run").exists()


def test_a_masked_value_is_no_number(tmp_path: Path) -> None:
    masked = np.ma.masked_array(some_probs(), mask=False)
    masked[7, 0] = np.ma.masked
    run = imported(some_rows(), masked, tmp_path / "run")
    assert run.stats.by_status == {"ok": ROWS - 1, "bad_probs": 1}


def test_files_that_hold_no_probabilities(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "bare.csv", some_probs(), delimiter=",")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    (tmp_path / "text.npy").write_text("no array")
    whole = write(some_probs(), tmp_path / "p.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-100])
    for name, named in {
        "bare.csv": ("header", "first line"),
        "objects.npy": ("no plain numbers",),
        "text.npy": ("numpy.save",),
        "cut.npy": ("numpy.save",),
        "weights.pkl": (".npy", ".parquet"),
        "": ("folder",),
    }.items():
        (tmp_path / "weights.pkl").touch()
        with pytest.raises(lr.SourceError, match=facts(*named)) as caught:
            imported(some_rows(), tmp_path / name, tmp_path / "run")
        assert "unsafely" not in str(caught.value)
    with pytest.raises(NotThereError, match=facts("gone.npy")):
        imported(some_rows(), tmp_path / "gone.npy", tmp_path / "run")
    with pytest.raises(lr.SourceError, match=facts("s3://bucket/p.npy", "copy")):
        imported(some_rows(), "s3://bucket/p.npy", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    write(some_probs(), tmp_path / "p.npy").chmod(0)
    with pytest.raises(lr.SourceError, match=facts("p.npy")):
        imported(some_rows(), tmp_path / "p.npy", tmp_path / "run")
