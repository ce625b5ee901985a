"""`lossrank pull RUN OTHER`: what was decided of a run's rows holds in the next one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Decision
from lossrank.review.store import read_decisions
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, tells
from tests.support.publishing import ANNOTATOR, decide
from tests.support.tiny import CLASSES, make_bundle, make_texts

NAMES = [CLASSES[i % 4] for i in range(40)]


@pytest.fixture
def score(tiny_bundle: ModelBundle, tmp_path: Path) -> Callable[..., Path]:
    """Score rows, or data that lie there, as a run of the name."""

    def scored(
        name: str, data: pa.Table | Path, id_column: str | None = None, bundle: ModelBundle = tiny_bundle
    ) -> Path:
        if isinstance(data, pa.Table):
            pq.write_table(data, tmp_path / f"{name}.parquet", row_group_size=10)
            data = tmp_path / f"{name}.parquet"
        options = ScoreOptions(threads=1, shard_rows=15, id_column=id_column)
        score_dataset(bundle, data, tmp_path / name, options)
        return tmp_path / name

    return scored


@pytest.fixture
def first(score: Callable[..., Path]) -> Path:
    """A run of 40 rows with four decisions."""
    run = score("first", pa.table({"text": make_texts(40), "label": NAMES, "key": [f"k{i}" for i in range(40)]}))
    decide(run, {3: KEPT, 8: "Sports", 21: DISCARDED, 30: NAMES[30]})
    return run


def held(run: Path) -> dict[int, Decision]:
    return read_decisions(RunDirectory.open(run)) or {}


def verdicts(run: Path) -> dict[int, tuple[str, str | None]]:
    return {row: (one.verdict, one.label) for row, one in held(run).items()}


def test_another_models_run_of_the_same_data_takes_them_over(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    second = score("second", tmp_path / "first.parquet")
    result = lossrank("pull", second, first)
    assert counts(result.stdout) == [4, 2, 1, 1, 4]  # answers, kept, relabelled, discarded, new
    assert verdicts(second) == {3: (KEPT, None), 8: (RELABELLED, "Sports"), 21: (DISCARDED, None), 30: (KEPT, None)}
    moments = {row: one.decided_at for row, one in held(first).items()}
    assert {row: one.decided_at for row, one in held(second).items()} == moments
    assert {(one.annotator, one.source) for one in held(second).values()} == {(ANNOTATOR, "run")}
    assert counts(lossrank("pull", second, first).stdout) == [4, 2, 1, 1, 0]


def test_what_apply_wrote_keeps_the_labels_that_people_gave(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    lossrank("apply", first, "-o", tmp_path / "corrected")
    second = score("second", tmp_path / "corrected")
    assert lossrank("pull", second, first).exit_code == 0
    assert verdicts(second) == {3: (KEPT, None), 8: (KEPT, None), 21: (DISCARDED, None), 30: (KEPT, None)}
    decide(second, {5: "World"})
    lossrank("apply", second, "-o", tmp_path / "again")
    third = score("third", tmp_path / "again")
    assert lossrank("pull", third, second).exit_code == 0
    assert verdicts(third)[5] == (KEPT, None)


def test_rows_are_found_by_their_ids_where_some_are_gone(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    table = pq.read_table(tmp_path / "first.parquet")
    with_ids = score("ids", tmp_path / "first.parquet", "key")
    decide(with_ids, {3: KEPT, 8: "Sports", 21: DISCARDED})
    fewer = score("fewer", table.slice(5), "key")
    result = lossrank("pull", fewer, with_ids)
    assert result.exit_code == 3
    assert counts(result.stderr) == [1]  # record is left out
    assert verdicts(fewer) == {3: (RELABELLED, "Sports"), 16: (DISCARDED, None)}


def test_rows_that_were_discarded_and_are_gone_are_not_missed(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    with_ids = score("ids", tmp_path / "first.parquet", "key")
    decide(with_ids, {2: "Sports", 3: DISCARDED, 8: "Sports"})
    fewer = score("fewer", pq.read_table(tmp_path / "first.parquet").slice(5), "key")
    result = lossrank("pull", fewer, with_ids)
    assert counts(result.stderr) == [1]  # record is left out
    assert counts(result.stdout) == [1, 0, 1, 0, 1]


def test_other_rows_of_as_many_are_left_out_by_their_ids(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    with_ids = score("ids", tmp_path / "first.parquet", "key")
    decide(with_ids, {3: KEPT, 8: "Sports"})
    table = pa.table({"text": make_texts(40), "label": NAMES, "key": [f"z{i}" for i in range(40)]})
    result = lossrank("pull", score("other", table, "key"), with_ids)
    assert result.exit_code == 3
    assert counts(result.stdout)[0] == 0


def test_a_newer_decision_here_is_not_taken_back_by_an_older_one_there(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    second = score("second", tmp_path / "first.parquet")
    earlier = score("earlier", tmp_path / "first.parquet")
    decide(earlier, {8: "World"})
    decide(first, {8: "Sci/Tech"})
    lossrank("pull", second, first)
    result = lossrank("pull", second, earlier)
    assert counts(result.stdout.splitlines()[1]) == [1]  # older than what was decided here
    assert verdicts(second)[8] == (RELABELLED, "Sci/Tech")


def test_what_apply_wrote_of_another_run_with_as_many_rows_is_refused(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    unrelated = score("unrelated", pa.table({"text": make_texts(41)[1:], "label": NAMES}))
    decide(unrelated, {3: KEPT, 8: "Sports", 21: DISCARDED, 30: KEPT, 31: KEPT})
    lossrank("apply", unrelated, "-o", tmp_path / "corrected")
    told = error_line(lossrank("pull", score("second", tmp_path / "corrected"), first))
    assert "/first, so" in told
    assert tells(told, "id")


def edited(name: str, table: pa.Table) -> pa.Table:
    """What ``apply`` wrote, and somebody changed since."""
    if name == "a row more":
        return pa.concat_tables([table, table.slice(0, 1)])
    place = table.column_names.index("label" if "label" in name else "label_status")
    values = table.column(place).to_pylist()
    values[8 if name == "a label" else 15] = {"a label": "Business", "a status": "kept"}[name]
    return table.set_column(place, table.field(place), pa.array(values, table.field(place).type))


@pytest.mark.parametrize("what", ["a label", "a status", "a row more"])
def test_what_apply_wrote_is_none_any_more_when_it_is_changed(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path, what: str
) -> None:
    lossrank("apply", first, "-o", tmp_path / "corrected.parquet")
    table = pq.read_table(tmp_path / "corrected.parquet")
    assert lossrank("pull", score("same", table), first).exit_code == 0
    told = error_line(lossrank("pull", score("changed", edited(what, table)), first))
    assert "/first, so" in told
    assert tells(told, "id")


@pytest.mark.parametrize("lacks", ["k1", None])
def test_what_apply_wrote_needs_no_good_ids(
    score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path, lacks: str | None
) -> None:
    ids = [lacks if i == 8 else f"k{i}" for i in range(40)]
    first = score("first", pa.table({"text": make_texts(40), "label": NAMES, "key": ids}), "key")
    decide(first, {3: KEPT, 8: "Sports"})
    lossrank("apply", first, "-o", tmp_path / "corrected")
    second = score("second", tmp_path / "corrected", "key")
    assert lossrank("pull", second, first).exit_code == 0
    assert set(held(second)) == {3, 8}


def test_classes_that_another_model_writes_otherwise_are_the_same(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    small = make_bundle(tmp_path / "small", classes=tuple(name.lower() for name in CLASSES))
    lossrank("apply", first, "-o", tmp_path / "corrected")
    second = score("second", tmp_path / "corrected", bundle=small)
    assert counts(lossrank("pull", second, first).stdout)[:4] == [4, 3, 0, 1]
    again = score("again", tmp_path / "first.parquet", bundle=small)
    assert lossrank("pull", again, first).exit_code == 0
    assert verdicts(again)[8] == (RELABELLED, "sports")


def test_ids_in_one_run_only_match_nothing(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    with_ids = score("ids", tmp_path / "first.parquet", "key")
    decide(with_ids, {3: KEPT})
    fewer = pq.read_table(tmp_path / "first.parquet").slice(5)
    for run, other in [(score("fewer", fewer), with_ids), (score("fewer ids", fewer, "key"), first)]:
        assert tells(error_line(lossrank("pull", run, other)), "id_column")


def test_data_that_were_moved_are_read_where_they_lie_now(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    lossrank("apply", first, "-o", tmp_path / "corrected")
    second = score("second", tmp_path / "corrected")
    (tmp_path / "corrected").rename(tmp_path / "moved")
    assert tells(error_line(lossrank("pull", second, first)), tmp_path / "corrected", "--data")
    assert lossrank("pull", second, first, "--data", tmp_path / "moved").exit_code == 0
    assert len(held(second)) == 4


def test_a_run_of_other_data_is_refused_though_it_has_as_many_rows(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    other = score("other", pa.table({"text": make_texts(41)[1:], "label": NAMES}))
    told = error_line(lossrank("pull", other, first))
    assert "/other is" in told
    assert tells(told, "data", "id_column")
    lossrank("apply", first, "-o", tmp_path / "corrected")
    decide(first, {9: KEPT})  # the corrected data know nothing of it
    late = lossrank("pull", score("late", tmp_path / "corrected"), first)
    assert tells(error_line(late), "id_column")
    assert verdicts(other) == {}


def test_a_run_that_can_not_be_pulled_is_one_line(
    first: Path, score: Callable[..., Path], lossrank: Lossrank, tmp_path: Path
) -> None:
    second = score("second", tmp_path / "first.parquet")
    assert tells(error_line(lossrank("pull", first, first)), f"{first} is the run to pull into")
    assert tells(error_line(lossrank("pull", first, second)), f"no row of {second}", "decision")
    beside = lossrank("pull", second, first, tmp_path / "a.csv")
    assert tells(error_line(beside), f"{first} is a run", "other files")
    shutil.rmtree(tmp_path / "first" / "scores")
    assert lossrank("pull", second, first).exit_code == 1
    assert json.loads((second / "run.json").read_text())["summary"]["rows"] == 40
    assert verdicts(second) == {}
