"""score with overwrite: a run that holds decisions is set aside whole, and its decisions carry over or are counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossrank as lr
from lossrank.review import carried
from lossrank.review.database import count_decisions
from lossrank.review.store import DecisionStore, read_decisions
from scorer import ModelBundle, RunDirectory, RunError
from scorer.run import start
from tests.scorer.pipeline.score.test_reuse import as_older
from tests.support.commands import Lossrank
from tests.support.facts import facts, tells
from tests.support.tiny import CLASSES, make_texts

COUNT = 60
Held = dict[int, tuple[str, str | None, str]]


def rows_of(count: int = COUNT) -> list[dict[str, Any]]:
    texts = make_texts(count, seed=4, longest=20)
    return [{"id": f"n{i}", "text": f"w{i} {text}", "label": CLASSES[i % 4]} for i, text in enumerate(texts)]


def write(file: Path, rows: list[dict[str, Any]], *, ids: bool = True) -> None:
    table = pa.Table.from_pylist(rows)
    pq.write_table(table if ids else table.drop_columns("id"), file)


def score(bundle: ModelBundle, folder: Path, *, ids: bool = True, **options: Any) -> list[str]:
    """Score the data and return the notes."""
    notes: list[str] = []

    def note(step: lr.Step) -> None:
        if step.note is not None:
            notes.append(step.note)

    data, run = folder / "data.parquet", folder / "run"
    options = {"threads": 1, "batch_tokens": 300, "shard_rows": 25, "id_column": "id" if ids else None, **options}
    lr.score(bundle, data, run, progress=note, **options)
    return notes


def held(run: Path) -> Held:
    found = read_decisions(RunDirectory.open(run)) or {}
    return {row: (one.verdict, one.label, one.annotator) for row, one in found.items()}


def decide(run: Path) -> Held:
    """Decide rows 0 to 19: kept, relabelled to the next class, discarded, in turn."""
    with DecisionStore(RunDirectory.open(run)) as store:
        for row in range(20):
            verdict = ("kept", "relabelled", "discarded")[row % 3]
            label = CLASSES[(row + 1) % 4] if verdict == "relabelled" else None
            store.decide(row, verdict, label, annotator=("ann", "bob")[row % 2])
    return held(run)


def aside_of(folder: Path) -> Path:
    (found,) = folder.glob("run.before-*")
    return found


@pytest.fixture
def reviewed(tiny_bundle: ModelBundle, tmp_path: Path) -> Held:
    """The decisions of a run of the data with ids."""
    write(tmp_path / "data.parquet", rows_of())
    score(tiny_bundle, tmp_path)
    return decide(tmp_path / "run")


def changed() -> tuple[list[dict[str, Any]], dict[int, int]]:
    """Return the rows in reverse order, without 0 and 1, with 2 and 3 edited; and where decided rows are now."""
    rows = rows_of()
    for row in rows[2:4]:
        row["text"] += " w1"
    rows = rows[:1:-1]
    return rows, {int(row["id"][1:]): at for at, row in enumerate(rows) if 4 <= int(row["id"][1:]) < 20}


@pytest.mark.parametrize("ids", [True, False])
def test_decisions_on_unchanged_texts_carry_over_and_the_others_stay_aside(
    tiny_bundle: ModelBundle, tmp_path: Path, ids: bool
) -> None:
    write(tmp_path / "data.parquet", rows_of(), ids=ids)
    score(tiny_bundle, tmp_path, ids=ids)
    before = decide(tmp_path / "run")
    stored = read_decisions(RunDirectory.open(tmp_path / "run")) or {}
    rows, places = changed()
    write(tmp_path / "data.parquet", rows, ids=ids)
    with pytest.raises(RunError, match=facts("data.parquet", "has changed since", "`overwrite=True`", 20, "decisions")):
        score(tiny_bundle, tmp_path, ids=ids)
    first, last = score(tiny_bundle, tmp_path, ids=ids, overwrite=True)
    aside = aside_of(tmp_path)
    assert tells(first, 20, aside)
    assert tells(last, 16, 20, 4, aside)
    assert held(tmp_path / "run") == {places[row]: decision for row, decision in before.items() if row in places}
    assert held(aside) == before
    now = read_decisions(RunDirectory.open(tmp_path / "run")) or {}
    assert {now[at].decided_at for at in places.values()} == {stored[row].decided_at for row in places}
    assert score(tiny_bundle, tmp_path, ids=ids) == []  # carried over once


def test_an_equal_id_with_another_text_carries_nothing_over(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    rows = rows_of()
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        row["id"] = other["id"]
    write(tmp_path / "data.parquet", rows)
    assert tells(score(tiny_bundle, tmp_path, overwrite=True)[-1], "0 of 20")
    assert held(tmp_path / "run") == {}


def test_texts_that_occur_twice_carry_over_only_in_their_rows(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    rows = rows_of()
    rows[5]["text"] = rows[40]["text"]
    rows[6]["text"] = rows[41]["text"]
    write(tmp_path / "data.parquet", rows, ids=False)
    score(tiny_bundle, tmp_path, ids=False)
    before = decide(tmp_path / "run")
    rows[6], rows[50] = rows[50], rows[6]
    write(tmp_path / "data.parquet", rows, ids=False)
    assert tells(score(tiny_bundle, tmp_path, ids=False, overwrite=True)[-1], 19, 20, 1)
    assert held(tmp_path / "run") == {row: one for row, one in before.items() if row != 6}


def test_a_decision_says_the_same_class_if_the_label_has_changed(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    rows = rows_of()
    rows[1]["label"] = CLASSES[2]  # as row 1 was relabelled
    rows[3]["label"] = CLASSES[0]  # row 3 was kept as CLASSES[3]
    rows[2]["label"] = CLASSES[0]  # row 2 was discarded
    write(tmp_path / "data.parquet", rows)
    score(tiny_bundle, tmp_path, overwrite=True)
    assert reviewed[1] == ("relabelled", CLASSES[2], "bob")
    wanted = {1: ("kept", None, "bob"), 3: ("relabelled", CLASSES[3], "bob"), 2: ("discarded", None, "ann")}
    assert held(tmp_path / "run") == {**reviewed, **wanted}


def test_discard_decisions_replaces_the_run_without_them(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    write(tmp_path / "data.parquet", changed()[0])
    with pytest.raises(RunError, match=facts("discard_decisions", "overwrite")):
        score(tiny_bundle, tmp_path, discard_decisions=True)
    assert held(tmp_path / "run") == reviewed
    assert score(tiny_bundle, tmp_path, overwrite=True, discard_decisions=True) == []
    assert not list(tmp_path.glob("run.before-*"))
    assert held(tmp_path / "run") == {}
    decide(tmp_path / "run")  # the new run has a store of its own


def test_a_run_without_decisions_is_replaced_in_place(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    write(tmp_path / "data.parquet", rows_of())
    score(tiny_bundle, tmp_path)
    with DecisionStore(RunDirectory.open(tmp_path / "run")) as store:
        store.decide(0, "kept", annotator="ann")
        store.undo("ann")
    write(tmp_path / "data.parquet", changed()[0])
    assert score(tiny_bundle, tmp_path, overwrite=True) == []
    assert not list(tmp_path.glob("run.before-*"))
    decide(tmp_path / "run")


def test_a_mistake_before_the_first_row_leaves_the_run_in_its_place(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    with pytest.raises(lr.SourceError):
        score(tiny_bundle, tmp_path, overwrite=True, text_column="txet")
    assert held(tmp_path / "run") == reviewed
    assert not list(tmp_path.glob("run.before-*"))


class Killed(BaseException):
    """Stands in for the end of the process."""


def killing(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def killed(*args: Any, **kwargs: Any) -> Any:
        if after:
            function(*args, **kwargs)
        raise Killed

    return killed


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [
        (start, "_set_aside", False),
        (start, "_set_aside", True),
        (start, "_start", False),
        (start, "_start", True),
        (carried, "read_decisions", False),
        (carried, "_carried", True),
    ],
)
def test_a_kill_at_any_point_loses_no_decision_and_the_same_command_finishes(
    tiny_bundle: ModelBundle,
    tmp_path: Path,
    reviewed: Held,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    after: bool,
) -> None:
    rows, places = changed()
    write(tmp_path / "data.parquet", rows)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, killing(getattr(module, name), after=after))
        with pytest.raises(Killed):
            score(tiny_bundle, tmp_path, overwrite=True)
    here = [*tmp_path.glob("run.before-*"), tmp_path / "run"]
    assert [count_decisions(place) for place in here if count_decisions(place)] == [20]
    assert tells(score(tiny_bundle, tmp_path, overwrite=True)[-1], 16, 20, 4)
    assert held(tmp_path / "run") == {places[row]: decision for row, decision in reviewed.items() if row in places}
    assert held(aside_of(tmp_path)) == reviewed


@pytest.mark.parametrize("again", [{}, {"overwrite": True}])
def test_a_run_that_was_stopped_while_scoring_carries_over_when_it_is_finished(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held, again: dict[str, bool]
) -> None:
    rows, places = changed()
    write(tmp_path / "data.parquet", rows)

    def press(step: lr.Step) -> None:
        if step.scoring and step.done > 30:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"threads": 1, "batch_tokens": 300, "shard_rows": 25, "id_column": "id"}
    with pytest.raises(KeyboardInterrupt):
        lr.score(tiny_bundle, tmp_path / "data.parquet", tmp_path / "run", overwrite=True, progress=press, **options)
    assert tells(score(tiny_bundle, tmp_path, **again)[-1], 16, 20)
    assert held(tmp_path / "run") == {places[row]: decision for row, decision in reviewed.items() if row in places}
    assert held(aside_of(tmp_path)) == reviewed


def test_an_undone_decision_does_not_come_back(tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held) -> None:
    score(tiny_bundle, tmp_path, overwrite=True)
    with DecisionStore(RunDirectory.open(tmp_path / "run")) as store:
        assert store.undo("bob")
    assert score(tiny_bundle, tmp_path) == []
    assert len(held(tmp_path / "run")) == 19


def test_runs_of_older_versions_carry_over_if_their_data_is_there(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    as_older(tmp_path / "run")
    assert tells(score(tiny_bundle, tmp_path, overwrite=True, max_tokens=20)[-1], "20 of 20")
    assert held(tmp_path / "run") == reviewed
    as_older(tmp_path / "run")
    write(tmp_path / "data.parquet", changed()[0])
    note = score(tiny_bundle, tmp_path, overwrite=True)[-1]
    assert tells(note, "could not carry over", "data.parquet", "has changed since")
    assert len(list(tmp_path.glob("run.before-*"))) == 2
    assert held(tmp_path / "run") == {}


def test_the_command_says_where_the_run_and_its_decisions_are(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    write(tmp_path / "data.parquet", changed()[0])
    command = ["score", tiny_bundle.path, tmp_path / "data.parquet", "-o", tmp_path / "run", "--id-column", "id"]
    refused = lossrank(*command)
    assert refused.exit_code == 1
    assert tells(refused.stderr, "has changed since", "--overwrite", "20 decisions", "--reuse")
    done, aside = lossrank(*command, "--overwrite"), aside_of(tmp_path)
    assert done.exit_code == 0
    assert tells(done.stderr, aside, "16 of 20")
    assert held(aside) == reviewed
    assert lossrank("verify", aside).exit_code == 1  # its data has changed
    gone = lossrank(*command, "--overwrite", "--discard-decisions")
    assert gone.exit_code == 0
    assert held(tmp_path / "run") == {}
    assert held(aside) == reviewed


def test_decisions_that_cant_be_read_are_not_overwritten_unless_discarded(
    tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held
) -> None:
    for file in (tmp_path / "run").glob("review.sqlite-*"):
        file.unlink()
    (tmp_path / "run" / "review.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(RunError, match=facts("review.sqlite", "discard_decisions")):
        score(tiny_bundle, tmp_path, overwrite=True)
    assert score(tiny_bundle, tmp_path) == []  # a resume does not read them
    assert (tmp_path / "run" / "review.sqlite").read_bytes().startswith(b"no database")
    score(tiny_bundle, tmp_path, overwrite=True, discard_decisions=True)
    assert held(tmp_path / "run") == {}


def test_a_link_to_a_run_stays_a_link(tiny_bundle: ModelBundle, tmp_path: Path, reviewed: Held) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").rename(tmp_path / "disk" / "tonight")
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "tonight")
    assert tells(score(tiny_bundle, tmp_path, overwrite=True)[-1], "20 of 20")
    assert (tmp_path / "run").is_symlink()
    assert held(tmp_path / "run") == reviewed
    (aside,) = (tmp_path / "disk").glob("tonight.before-*")
    assert held(aside) == reviewed
