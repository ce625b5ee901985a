"""rank(): the same rows and order as sorting everything, with ties by row."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from cli.console import opening, safe
from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, SourceError, join_source, rank, score_dataset
from scorer.data.source import Source
from tests.support.facts import facts
from tests.support.tiny import CLASSES, make_bundle

SMALL = ScoreOptions(batch_tokens=300, shard_rows=128, threads=1)


@pytest.fixture(scope="module")
def run(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """2,000 rows: the second thousand repeats the first, so that every loss has a tie."""
    path = tmp_path_factory.mktemp("rank") / "run"
    score_dataset(tiny_bundle, pa.concat_tables([rows, rows]), path, SMALL)
    return RunDirectory.open(path)


def sorted_by_hand(run: RunDirectory, by: str) -> list[int]:
    table = pq.read_table(run.path / "scores").to_pylist()
    column = {"loss": "loss", "margin": "margin", "self-confidence": "label_prob", "entropy": "entropy"}[by]
    sign = -1 if by in ("loss", "entropy") else 1
    return [row["row"] for row in sorted(table, key=lambda row: (sign * row[column], row["row"]))]


@pytest.mark.parametrize("by", ["loss", "margin", "self-confidence", "entropy"])
@pytest.mark.parametrize("top_k", [1, 2, 500, 2000])
def test_the_order_is_that_of_sorting_everything(run: RunDirectory, by: str, top_k: int) -> None:
    ranked = rank(run, top_k, by=by)
    assert [row.row for row in ranked] == sorted_by_hand(run, by)[:top_k]
    assert [row.rank for row in ranked] == list(range(1, top_k + 1))


def test_500_are_500_not_499(run: RunDirectory) -> None:
    assert len(rank(run, 500)) == 500
    assert len(rank(run)) == 500


def test_a_row_carries_its_own_numbers(run: RunDirectory) -> None:
    table = pq.read_table(run.path / "scores").to_pylist()
    for ranked in rank(run, 50):
        scores = table[ranked.row]
        assert ranked.loss == scores["loss"]
        assert ranked.label == scores["label"]
        assert ranked.predicted == scores["predicted"]
        assert ranked.margin == scores["margin"]
        assert list(ranked.probs) == scores["probs"]
        assert ranked.top_prob == max(ranked.probs)


def test_more_than_there_are_gives_all(run: RunDirectory) -> None:
    assert len(rank(run, 10**6)) == 2000


def test_per_class_takes_the_worst_of_each_given_class(run: RunDirectory) -> None:
    ranked = rank(run, per_class=7)
    everything = rank(run, 2000)
    for label in range(len(CLASSES)):
        expected = [row.row for row in everything if row.label == label][:7]
        assert [row.row for row in ranked if row.label == label] == expected
    assert [row.loss for row in ranked] == sorted((row.loss or 0 for row in ranked), reverse=True)


@pytest.mark.parametrize("pair", ["sports:Sci/Tech", ("Sports", " sci/tech")])
def test_pair_keeps_one_kind_of_confusion(run: RunDirectory, pair: tuple[str, str] | str) -> None:
    everything = rank(run, 2000)
    expected = [row.row for row in everything if (row.label, row.predicted) == (1, 3)]
    assert [row.row for row in rank(run, 2000, pair=pair)] == expected
    assert expected


def test_a_class_name_may_hold_a_colon(rows: pa.Table, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", classes=("a", "a:b", "b", "c"))
    score_dataset(bundle, rows, tmp_path / "run", SMALL)
    assert {(row.label, row.predicted) for row in rank(tmp_path / "run", pair="a:b:c")} == {(1, 3)}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"by": "los"}, ["'los'", "did you mean 'loss'?", "loss", "margin", "self-confidence", "entropy"]),
        ({"top": 0}, ["`top`", 0, 1]),
        ({"per_class": -1}, ["`per_class`", -1, 1]),
        ({"top": 5, "per_class": 5}, ["`top`", "`per_class`"]),
        ({"pair": "World"}, ["`pair`", "'World'", "GIVEN:PREDICTED", "Sports"]),
        ({"pair": "World:Sport"}, ["'Sport'", "did you mean 'Sports'?", "World, Sports, Business, Sci/Tech"]),
    ],
)
def test_wrong_arguments_are_named(run: RunDirectory, arguments: dict[str, object], named: list[object]) -> None:
    with pytest.raises(RunError, match=facts(*named)):
        rank(run, **arguments)  # type: ignore[arg-type]


def test_without_labels_only_entropy_ranks(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, rows.select(["text"]), tmp_path / "run", SMALL)
    with pytest.raises(RunError, match=facts("loss", "no_label", "1,000", "entropy")):
        rank(tmp_path / "run")
    ranked = rank(tmp_path / "run", 10, by="entropy")
    assert [row.label for row in ranked] == [None] * 10
    assert [row.entropy for row in ranked] == sorted((row.entropy for row in ranked), reverse=True)


def test_source_rows_are_joined_by_row_not_by_rank(run: RunDirectory, rows: pa.Table) -> None:
    ranked = rank(run, 300)
    joined = join_source(run, ranked, pa.concat_tables([rows, rows]))
    assert joined.column_names == ["text", "label", "note"]
    for row, note, label in zip(ranked, joined["note"].to_pylist(), joined["label"].to_pylist(), strict=True):
        assert note == f"note {row.row % 1000}"
        assert label == row.label


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_only_the_columns_that_were_scored_are_read_for_a_person(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    data = tmp_path / f"news.{kind}"
    (pq.write_table if kind == "parquet" else pa.csv.write_csv)(rows, data)
    score_dataset(tiny_bundle, data, tmp_path / "run", replace(SMALL, id_column="label"))
    opened = RunDirectory.open(tmp_path / "run")
    read: list[object] = []
    batches = Source._batches

    def spied(source: Source, names: list[str] | None, wanted: Any) -> Any:
        read.append(names)
        return batches(source, names, wanted)

    monkeypatch.setattr(Source, "_batches", spied)
    ranked = rank(opened, 300)
    few, whole = join_source(opened, ranked, scored_only=True), join_source(opened, ranked)
    assert read == [["text", "label"], ["text", "label", "note"]]
    assert whole.column_names == ["text", "label", "note"]
    assert few.equals(whole.select(["text", "label"]))


def test_changed_data_is_not_joined(run: RunDirectory, rows: pa.Table) -> None:
    with pytest.raises(SourceError, match=facts("1,000", "2,000")):
        join_source(run, rank(run, 1), rows)
    with pytest.raises(SourceError, match=facts("in memory", "`data`")):
        join_source(run, rank(run, 1))


def test_ranking_holds_the_worst_and_one_shard(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    lexsort = np.lexsort

    def spy(keys: tuple[np.ndarray, ...]) -> np.ndarray:
        sizes.append(len(keys[0]))
        return lexsort(keys)

    monkeypatch.setattr(np, "lexsort", spy)
    rank(run, 10)
    assert max(sizes) <= 10 + 128


@pytest.mark.parametrize(
    "text",
    ["", "a few  words\n", "的" * 100_000, " \n\x1b" * 30_000 + "late\t\tword", "ab  " * 5000, "e\u0301" * 9000],
)
def test_a_texts_opening_is_where_all_of_it_begins(text: str) -> None:
    whole, shown = safe(text).plain, opening(text).plain
    assert whole.startswith(shown)
    assert len(shown) == min(len(whole), 4096)


@pytest.mark.parametrize("to_file", [False, True])
def test_of_a_text_of_megabytes_no_more_is_prepared_than_is_shown(
    lossrank: Callable[..., Result], tiny_bundle: ModelBundle, tmp_path: Path, to_file: bool
) -> None:
    characters = 5_000_000
    long = "的一是不了" * (characters // 5)
    pq.write_table(pa.table({"text": [long, "w1 w2"], "label": [0, 1]}), tmp_path / "data.parquet")
    score_dataset(tiny_bundle, tmp_path / "data.parquet", tmp_path / "run", SMALL)
    output = ["-o", tmp_path / "worst.parquet"] if to_file else []
    tracemalloc.start()
    try:
        result = lossrank("rank", tmp_path / "run", *output)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert long[:30] in result.stdout
    assert peak < 16 * characters  # the text itself takes a few copies
