"""`apply --diff` beside its output, and the columns of a CSV file that only look like numbers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support.commands import Lossrank
from tests.support.publishing import decide


@pytest.fixture
def versions(tiny_bundle: ModelBundle, tmp_path: Path) -> Path:
    """A run over a CSV file with two columns of decimals, one of which loses something as numbers."""
    lines = [f"w{i} w1,{i % 4},1.{i % 5}0,{i / 8!r}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label,version,share", *lines]) + "\n")
    score_dataset(tiny_bundle, tmp_path / "a.csv", tmp_path / "run", ScoreOptions(threads=1))
    with DecisionStore(RunDirectory.open(tmp_path / "run")) as store:
        store.decide(3, "discarded", annotator="ann")
    return tmp_path / "run"


@pytest.mark.parametrize(("out", "diff"), [("o.parquet", "o.parquet"), ("o", "o/changes.csv")])
def test_the_changes_do_not_take_the_outputs_place(
    versions: Path, lossrank: Lossrank, tmp_path: Path, out: str, diff: str
) -> None:
    (tmp_path / "o").mkdir()
    result = lossrank("apply", versions, "-o", tmp_path / out, "--diff", tmp_path / diff)
    assert result.exit_code == 1
    assert not (tmp_path / "o.parquet").exists()


def test_decimals_that_a_number_would_not_write_again_stay_text(
    versions: Path, lossrank: Lossrank, tmp_path: Path
) -> None:
    assert lossrank("apply", versions, "-o", tmp_path / "o.parquet").exit_code == 0
    table = pq.read_table(tmp_path / "o.parquet")
    assert table["version"].to_pylist() == [f"1.{i % 5}0" for i in range(40)]
    assert table["share"].to_pylist() == [i / 8 for i in range(40)]


def test_a_text_column_named_like_one_of_the_changes_keeps_both_whatever_else_is_there(
    tiny_bundle: ModelBundle, lossrank: Lossrank, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"row": ["w1"], "source_row": ["w2"], "label": ["World"]}), tmp_path / "a.parquet")
    options = ScoreOptions(threads=1, text_column="row", text_pair_column="source_row")
    score_dataset(tiny_bundle, tmp_path / "a.parquet", tmp_path / "run", options)
    decide(tmp_path / "run", {0: "discarded"})
    result = lossrank("apply", tmp_path / "run", "--diff", tmp_path / "changes.parquet", "--with-texts")
    assert result.exit_code == 0, result.output
    table = pq.read_table(tmp_path / "changes.parquet")
    assert [table[name][0].as_py() for name in ("row", "source_source_row", "source_row")] == [0, "w1", "w2"]


def test_files_for_programs_have_the_texts_as_they_are_also_what_a_spreadsheet_would_run(
    tiny_bundle: ModelBundle, lossrank: Lossrank, tmp_path: Path
) -> None:
    text = "=w1+1"
    pq.write_table(pa.table({"text": [text], "label": ["World"]}), tmp_path / "a.parquet")
    score_dataset(tiny_bundle, tmp_path / "a.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {0: "discarded"})
    for command in (["rank", "-o"], ["apply", "--with-texts", "--diff"]):
        file = tmp_path / f"{command[0]}.csv"
        assert lossrank(command[0], tmp_path / "run", *command[1:], file).exit_code == 0
        assert pyarrow.csv.read_csv(file)["text"].to_pylist() == [text]
