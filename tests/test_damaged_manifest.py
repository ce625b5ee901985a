"""Whatever is changed in a run.json: one line, or a right answer, from every command that reads it."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, SourceError, hub, score_dataset
from scorer.manifest import _DISPENSABLE, _NEEDED, read_manifest
from scorer.summary import RunStats

Lossrank = Callable[..., click.testing.Result]
Place = tuple[str | int, ...]
ROWS, SHARD_ROWS = 120, 50
GONE = object()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where each value of a document lies."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*at, key))


def changed(document: Any, at: Place, new: object) -> Any:
    """Return a document with another value in one place, or without it."""
    document = copy.deepcopy(document)
    inside = document
    for key in at[:-1]:
        inside = inside[key]
    if new is GONE:
        del inside[at[-1]]
    else:
        inside[at[-1]] = new
    return document


@pytest.fixture(scope="module")
def scored(rows: pa.Table, tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and its finished run."""
    folder = tmp_path_factory.mktemp("scored")
    pq.write_table(rows.slice(0, ROWS), folder / "news.parquet")
    score_dataset(tiny_bundle, folder / "news.parquet", folder / "run", ScoreOptions(shard_rows=SHARD_ROWS, threads=1))
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a path that was changed into a name from being looked up."""

    def refused(name: str, *arguments: object) -> None:
        raise SourceError("no hub here")

    monkeypatch.setattr(hub, "load", refused)
    monkeypatch.setattr(hub, "stream", refused)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pick=st.integers(0, 10**6), new=st.just(GONE) | JSON, cut_off=st.booleans())
def test_one_changed_value_is_one_line_or_a_right_answer(
    lossrank: Lossrank,
    scored: Path,
    tiny_bundle: ModelBundle,
    tmp_path: Path,
    offline: None,
    pick: int,
    new: object,
    cut_off: bool,
) -> None:
    run = tmp_path / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(scored / "run", run)
    whole = json.loads((run / "run.json").read_text())
    summary = whole["summary"]
    if cut_off:
        del whole["summary"], whole["shards"]["part-00001.parquet"]
    every = list(places(whole))
    (run / "run.json").write_text(json.dumps(changed(whole, every[pick % len(every)], new)))
    commands: list[list[object]] = [
        ["status", run],
        ["status", run, "--json"],
        ["verify", run],
        ["verify", run, "--json"],
        ["rank", run, "--top", 5],
        ["report", run, "--format", "md", "--top", 5],
        ["report", run, "-o", tmp_path / "report.html", "--top", 5, "--force"],
        ["log", run, "--to", "jsonl", "-o", tmp_path / "worst.jsonl", "--force"],
        [
            "score",
            tiny_bundle.path,
            scored / "news.parquet",
            "-o",
            run,
            "--shard-rows",
            SHARD_ROWS,
            "--threads",
            1,
            "--json",
        ],
    ]
    for command in commands:
        result = lossrank(*command)  # raises what is no error of ours
        refused = command[0] == "log" and " refused: " in result.stderr  # such as the records of a class without a name
        assert result.exit_code == 3 if refused else result.exit_code in (0, 1), (command, result.stderr)
        if result.exit_code == 1:
            (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
            assert line == result.stderr.splitlines()[-1]
    if result.exit_code == 0:  # of `score`
        said = json.loads(result.stdout)
        # Not its tokens: those are known from run.json alone.
        for name in ("rows", "mean_loss", "accuracy", "by_status", "by_precision", "truncated"):
            assert said[name] == summary[name]
        assert pq.read_table(run / "scores").equals(pq.read_table(scored / "run" / "scores"))


@pytest.mark.parametrize("part", ["summary", "history", "calibration", "machines"])
def test_a_damaged_part_that_is_made_anew_may_be_taken_out(
    lossrank: Lossrank, scored: Path, tiny_bundle: ModelBundle, tmp_path: Path, part: str
) -> None:
    shutil.copytree(scored / "run", tmp_path / "run")
    whole = json.loads((scored / "run" / "run.json").read_text())
    score = "score", tiny_bundle.path, scored / "news.parquet", "-o", tmp_path / "run", "--shard-rows", SHARD_ROWS
    (tmp_path / "run" / "run.json").write_text(json.dumps(whole | {part: 7}))
    for command in (("status", tmp_path / "run"), score):
        result = lossrank(*command)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1] == (
            f"Error: {tmp_path / 'run' / 'run.json'} is damaged: its {part} is not as lossrank writes it; take it out "
            "of the file, and the same `lossrank score` command goes on"
        )
    (tmp_path / "run" / "run.json").write_text(json.dumps(changed(whole, (part,), GONE)))
    assert lossrank(*score).exit_code == 0
    assert lossrank("verify", tmp_path / "run").exit_code == 0


@pytest.mark.parametrize("part", ["bundle", "data", "columns", "options", "shards"])
@pytest.mark.parametrize("new", [GONE, None])
def test_a_part_that_is_needed_is_named_and_the_run_can_be_started_anew(
    lossrank: Lossrank, scored: Path, tiny_bundle: ModelBundle, tmp_path: Path, part: str, new: object
) -> None:
    shutil.copytree(scored / "run", tmp_path / "run")
    whole = json.loads((scored / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(changed(whole, (part,), new)))
    what = "missing" if new is GONE else "not as lossrank writes it"
    with pytest.raises(RunError, match=rf"is damaged: its {part} is {what}; start anew with .* --overwrite`$"):
        read_manifest(tmp_path / "run")
    score = "score", tiny_bundle.path, scored / "news.parquet", "-o", tmp_path / "run"
    assert lossrank(*score).exit_code == 1
    assert lossrank(*score, "--overwrite").exit_code == 0


def test_every_number_that_a_summary_must_have_is_looked_at(scored: Path) -> None:
    whole = json.loads((scored / "run" / "run.json").read_text())
    assert set(whole) - {"format", "machine", "labels"} <= {*_NEEDED, *_DISPENSABLE}
    assert set(whole["summary"]) == set(RunStats.__dataclass_fields__)
    for name in whole["summary"]:
        assert not _DISPENSABLE["summary"](changed(whole["summary"], (name,), GONE))
        assert not _DISPENSABLE["summary"](changed(whole["summary"], (name,), "?"))


def test_more_shards_than_a_manifest_can_list_are_refused(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.manifest.MOST_SHARDS", 9)
    with pytest.raises(RunError, match="1,000 rows make more than 9 shards of 100; give a larger --shard-rows"):
        score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(shard_rows=100))
    monkeypatch.setattr("scorer.manifest.MOST_SHARDS", 10)
    score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(shard_rows=100))
    assert RunDirectory.open(tmp_path / "run").num_shards == 10
