"""apply on folders: Hive partitions, splits, archives and fastText files are published as one plain data set."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, open_source
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells
from tests.support.publishing import decide

LABELS = ("World", "Sports", "Business", "Sci/Tech")
ROWS = [{"text": f"w{i} number {i}", "label": LABELS[i // 5]} for i in range(20)]
BY_FOLDER = sorted(ROWS, key=lambda row: row["label"])


def hive(folder: Path) -> Path:
    pytest.importorskip("pandas")
    pa.Table.from_pylist(ROWS).to_pandas().to_parquet(folder / "d", partition_cols=["label"])
    return folder / "d"


def hive_of_csv(folder: Path) -> Path:
    for label in LABELS:
        place = folder / "d" / f"label={label.replace('/', '%2F')}"
        place.mkdir(parents=True)
        (place / "a.csv").write_text("text\n" + "".join(f"{row['text']}\n" for row in ROWS if row["label"] == label))
    return folder / "d"


def fasttext(folder: Path) -> Path:
    (folder / "d.txt").write_text("".join(f"__label__{row['label']} {row['text']}\n" for row in BY_FOLDER))
    return folder / "d.txt"


def zipped(folder: Path) -> Path:
    lines = "".join(f"{row['text']},{row['label']}\n" for row in BY_FOLDER)
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        archive.writestr("in/d.csv", f"text,label\n{lines}")
    return folder / "d.zip"


@pytest.mark.parametrize("make", [hive, hive_of_csv, fasttext, zipped])
def test_the_rows_are_published_with_their_labels(
    tmp_path: Path, lossrank: Lossrank, tiny_bundle: ModelBundle, make: Callable[[Path], Path]
) -> None:
    data, run = make(tmp_path), tmp_path / "run"
    assert lossrank("score", tiny_bundle.path, data, "-o", run).exit_code == 0
    again = lossrank("score", tiny_bundle.path, data, "-o", run)
    assert again.exit_code == 0, again.output
    assert lossrank("verify", run).exit_code == 0
    decide(run, {0: "World", 7: "kept", 19: "Sports"})
    for output in (tmp_path / "out.parquet", tmp_path / "out"):
        assert lossrank("apply", run, "-o", output).exit_code == 0
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["text", "label", "original_label", "label_status"]
    assert out["text"].to_pylist() == [row["text"] for row in BY_FOLDER]
    assert out["original_label"].to_pylist() == [row["label"] for row in BY_FOLDER]
    expected = [row["label"] for row in BY_FOLDER]
    expected[0], expected[19] = "World", "Sports"
    assert out["label"].to_pylist() == expected
    published = [row for batch in open_source(tmp_path / "out").read(["label"]) for row in batch["label"].to_pylist()]
    assert published == expected
    assert tells(error_line(lossrank("apply", run, "-o", data, "--force")), data)


def test_the_split_that_was_scored_is_published(tmp_path: Path, lossrank: Lossrank, tiny_bundle: ModelBundle) -> None:
    for name, rows in (("train.csv", ROWS), ("test.csv", ROWS[:5])):
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / name).write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows))
    run = tmp_path / "run"
    asked = lossrank("score", tiny_bundle.path, tmp_path / "d", "-o", run)
    assert asked.exit_code == 1
    assert tells(error_line(asked), "splits train, test", "--split")
    assert lossrank("score", tiny_bundle.path, tmp_path / "d", "--split", "test", "-o", run).exit_code == 0
    decide(run, {0: "Sports"})
    assert tells(error_line(lossrank("apply", run, "-o", tmp_path / "out")), "test split", "--allow-test-split")
    assert lossrank("apply", run, "-o", tmp_path / "out", "--allow-test-split").exit_code == 0
    assert [file.name for file in (tmp_path / "out" / "data").iterdir()] == ["test-00000-of-00001.parquet"]


def test_the_plan_says_where_labels_come_from(tmp_path: Path, lossrank: Lossrank, tiny_bundle: ModelBundle) -> None:
    result = lossrank("score", tiny_bundle.path, hive_of_csv(tmp_path), "-o", tmp_path / "run")
    assert "label from the names of folders, such as label=Business" in result.output
