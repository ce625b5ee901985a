"""diff: what became of the worst rows and of the rows that people decided of, in another run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.compare import compare
from lossrank.review.decision import DISCARDED, KEPT
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from scorer.data import arrow as pieces
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, tells
from tests.support.publishing import decide
from tests.support.tiny import CLASSES

OPTIONS = ScoreOptions(threads=1, shard_rows=300)


@pytest.fixture(scope="module")
def audited(
    lossrank_once: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A run whose worst 20 rows were relabelled to what the model says, five kept and one discarded; and the next."""
    folder = tmp_path_factory.mktemp("diff")
    pq.write_table(rows, folder / "news.parquet")
    score_dataset(tiny_bundle, folder / "news.parquet", folder / "a", OPTIONS)
    worst = rank(folder / "a", 26)
    decide(folder / "a", {row.row: CLASSES[row.predicted] for row in worst[:20]})
    decide(folder / "a", {row.row: KEPT for row in worst[20:25]} | {worst[25].row: DISCARDED})
    assert lossrank_once("apply", folder / "a", "-o", folder / "out.parquet").exit_code == 0
    score_dataset(tiny_bundle, folder / "out.parquet", folder / "b", ScoreOptions(threads=1, shard_rows=170))
    return folder / "a", folder / "b"


@pytest.fixture(scope="module")
def lossrank_once() -> Lossrank:
    from cli import main

    return lambda *arguments: click.testing.CliRunner().invoke(main.run, [str(each) for each in arguments])


def losses(run: Path) -> np.ndarray:
    table = pq.read_table(run / "scores").sort_by("row")
    return np.asarray(table["loss"].to_numpy(), dtype=np.float64)


def test_relabelled_rows_leave_the_worst_and_their_mean_loss_falls(
    lossrank: Lossrank, audited: tuple[Path, Path]
) -> None:
    a, b = audited
    found = json.loads(lossrank("diff", a, b, "--top", 50, "--json").stdout)
    before, after = losses(a), losses(b)
    worst_a, worst_b = ({row.row for row in rank(run, 50)} for run in (a, b))
    assert found["entered"] == len(worst_b - worst_a) == 20
    assert found["left"] == len(worst_a - worst_b) == 20
    assert found["stayed"] == len(worst_a & worst_b) == 30
    relabelled = [row.row for row in rank(a, 20)]
    assert found["groups"]["relabelled"] == {
        "rows": 20,
        "mean_loss_before": pytest.approx(before[relabelled].mean()),
        "mean_loss_after": pytest.approx(after[relabelled].mean()),
        "fell": 20,
    }
    same = found["groups"]["kept"]
    assert (same["rows"], same["fell"]) == (5, 0)
    assert same["mean_loss_before"] == pytest.approx(same["mean_loss_after"], abs=1e-5)
    assert found["groups"]["discarded"]["rows"] == 1
    assert found["groups"]["unreviewed"]["rows"] == 974
    assert (found["matched_by"], found["matched"], found["only_a"], found["only_b"]) == ("row", 1000, 0, 0)
    change = np.abs(after - before)
    assert [row["row_a"] for row in found["moved"]] == np.argsort(-change, kind="stable")[:10].tolist()
    (note,) = found["notes"]
    assert tells(note, "different data", "number", "--id-column")
    assert "`id_column`" not in note


def test_the_rows_that_moved_are_written_to_a_file(
    lossrank: Lossrank, audited: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = audited
    result = lossrank("diff", a, b, "--top", 50, "-o", tmp_path / "moved.parquet")
    assert result.exit_code == 0, result.output
    table = pq.read_table(tmp_path / "moved.parquet")
    before, after = losses(a), losses(b)
    ranks = {row.row: row.rank for row in rank(a, 50)}
    assert len(table) == 70
    for line in table.to_pylist():
        assert line["row_a"] == line["row_b"]
        assert line["loss_a"] == pytest.approx(before[line["row_a"]])
        assert line["loss_b"] == pytest.approx(after[line["row_a"]])
        assert line["rank_a"] == ranks.get(line["row_a"])
        assert (line["what"] == "entered") == (line["rank_a"] is None)
    relabelled = {line["row_a"] for line in table.to_pylist() if line["status"] == "relabelled"}
    assert relabelled == {row.row for row in rank(a, 20)}
    assert any({50, 20, 30} <= set(counts(line)) for line in result.stdout.splitlines())
    assert any(tells(line, 70, tmp_path / "moved.parquet") for line in result.stdout.splitlines())
    refused = lossrank("diff", a, b, "-o", tmp_path / "moved.parquet")
    assert tells(error_line(refused), tmp_path / "moved.parquet", "exists", "--force")


def test_a_run_and_itself_differ_in_nothing_and_no_store_is_made(lossrank: Lossrank, run: Path) -> None:
    for file in run.glob("review.sqlite*"):
        file.unlink()
    found = json.loads(lossrank("diff", run, run, "--by", "margin", "--json").stdout)
    assert (found["entered"], found["left"], found["stayed"], found["moved"]) == (0, 0, 500, [])
    (note,) = found["notes"]
    assert tells(note, "same data")
    assert not (run / "review.sqlite").exists()


@pytest.fixture
def with_ids(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Callable[..., Path]:
    """Score the rows with these ids, in this order, the last with this text."""

    def make(name: str, ids: list[Any], order: list[int] | None = None, last: str = "w1", **options: Any) -> Path:
        table = rows.append_column("key", pa.array(ids))
        table = table.set_column(0, "text", pa.array([*table["text"].to_pylist()[:-1], last]))
        pq.write_table(table if order is None else table.take(order), tmp_path / f"{name}.parquet")
        settings = ScoreOptions(threads=1, shard_rows=170, **options)
        score_dataset(tiny_bundle, tmp_path / f"{name}.parquet", tmp_path / name, settings)
        return tmp_path / name

    return make


def test_rows_that_were_dropped_or_moved_are_matched_by_their_id(with_ids: Callable[..., Path]) -> None:
    ids = [f"id-{i}" for i in range(1000)]
    a = with_ids("a", ids, id_column="key")
    worst = rank(a, 3)
    decide(a, {worst[0].row: KEPT})
    order = [i for i in reversed(range(1000)) if i != worst[1].row]
    b = with_ids("b", ids, order, id_column="key")
    found = compare(RunDirectory.open(a), RunDirectory.open(b), 3)
    assert (found.matched_by, found.matched, found.only_a, found.only_b) == ("id", 999, 1, 0)
    assert (found.entered, found.left, found.stayed) == (1, 1, 2)
    stayed = next(row for row in found.worst if row.row_a == worst[0].row)
    assert (stayed.row_b, stayed.id, stayed.status) == (order.index(worst[0].row), f"id-{worst[0].row}", KEPT)
    gone = next(row for row in found.worst if row.what == "left")
    assert (gone.row_a, gone.row_b, gone.id, gone.loss_b) == (worst[1].row, None, f"id-{worst[1].row}", None)
    assert found.groups[KEPT].mean_loss_before == pytest.approx(found.groups[KEPT].mean_loss_after, abs=1e-5)
    same = with_ids("same", ids, last="w1 w2", id_column="key")
    (note,) = compare(RunDirectory.open(a), RunDirectory.open(same), 3).notes
    assert tells(note, "different data", "number", "ids")
    # As many rows in another order: their numbers say nothing.
    c = with_ids("c", ids, list(reversed(range(1000))), id_column="key")
    again = compare(RunDirectory.open(a), RunDirectory.open(c), 3)
    assert (again.matched_by, again.entered, again.left, again.stayed) == ("id", 0, 0, 3)
    assert again.moved == ()  # what other batches change is rounding
    assert again.groups["unreviewed"].fell == 0


def test_rows_without_an_id_match_no_row(with_ids: Callable[..., Path]) -> None:
    ids = [None, None, *(f"id-{i}" for i in range(2, 1000))]
    a, b = with_ids("a", ids, id_column="key"), with_ids("b", ids, list(reversed(range(1000))), id_column="key")
    found = compare(RunDirectory.open(a), RunDirectory.open(b), 3)
    assert (found.matched_by, found.matched, found.only_a, found.only_b) == ("id", 998, 2, 2)


def test_rows_that_can_not_be_matched_are_refused(lossrank: Lossrank, with_ids: Callable[..., Path]) -> None:
    ids = [f"id-{i}" for i in range(1000)]
    a, b = with_ids("a", ids, id_column="key"), with_ids("b", ids, list(range(900)))
    said = error_line(lossrank("diff", a, b))
    assert tells(said, a, "1,000", b, 900, "id_column")
    twice = with_ids("twice", ["id-5", "id-5", *ids[2:]], list(range(900)), id_column="key")
    for one, other in ((a, twice), (twice, a)):
        assert tells(error_line(lossrank("diff", one, other)), twice, "id", "key")


def test_pieces_are_the_rows_of_the_stream_whatever_their_sizes() -> None:
    table = pa.table({"n": list(range(100))})
    stream = pieces.Pieces(iter(table.to_batches(max_chunksize=7)))
    taken = [stream.take(size)["n"].to_pylist() for size in (1, 20, 3, 7, 60, 30)]
    assert [len(part) for part in taken] == [1, 20, 3, 7, 60, 9]
    assert [n for part in taken for n in part] == list(range(100))
