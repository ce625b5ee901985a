"""Whatever is changed in a run.json: one line, or a right answer, from every command that reads it."""

import copy
import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import jinja2
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import vl_convert
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, SourceError, score_dataset
from scorer.data import hf_datasets as hub
from scorer.run.manifest import Manifest, RunStats
from scorer.run.manifest_file import read_manifest
from tests.support import short_and_long
from tests.support.facts import facts, tells
from tests.support.tiny import make_bundle, weights

Lossrank = Callable[..., click.testing.Result]
Place = tuple[str | int, ...]
ROWS, SHARD_ROWS, SCREEN_TOP = 300, 120, 20
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


def valued(document: Any, at: Place) -> Any:
    for key in at:
        document = document[key]
    return document


def similar(value: Any) -> Any:
    """Return the empty value of a text, a list or an object, and another number."""
    if isinstance(value, str | list | dict):
        return type(value)()
    return 7 if value is None else not value if isinstance(value, bool) else value + 1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """The tiny bundle with another model, if not by much, as its int8 variant."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "bundle", int8=weights().round(1))


@pytest.fixture(scope="module")
def scored(rows: pa.Table, bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and its finished runs, one in fp32 and one with a screen."""
    folder = tmp_path_factory.mktemp("scored")
    pq.write_table(rows.slice(0, ROWS), folder / "news.parquet")
    for precision, top in (("fp32", None), ("screen", SCREEN_TOP)):
        options = ScoreOptions(shard_rows=SHARD_ROWS, threads=1, precision=precision, screen_top=top)
        score_dataset(bundle, folder / "news.parquet", folder / precision, options)
    return folder


@pytest.fixture(autouse=True, scope="module")
def once() -> Iterator[None]:
    """Draw each chart and compile the page's template once: what comes of them follows from their source alone.

    For each of the reports anew, that took two thirds of the time.
    """
    vegalite_to_svg, compiled = vl_convert.vegalite_to_svg, jinja2.Environment.compile
    draw = functools.cache(lambda spec: vegalite_to_svg(json.loads(spec)))
    code: dict[str, Any] = {}

    def compile_once(self: jinja2.Environment, source: str, *arguments: Any) -> Any:
        if source not in code:
            code[source] = compiled(self, source, *arguments)
        return code[source]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vl_convert, "vegalite_to_svg", lambda spec: draw(json.dumps(spec)))
        patched.setattr(jinja2.Environment, "compile", compile_once)
        yield


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a path that was changed into a name from being looked up."""

    def refused(name: str, *arguments: object) -> None:
        raise SourceError("no hub here")

    monkeypatch.setattr(hub, "load", refused)
    monkeypatch.setattr(hub, "stream", refused)


def refuse_surprises(
    lossrank: Lossrank, scored: Path, bundle: ModelBundle, run: Path, whole: Any, tried: slice = slice(None)
) -> None:
    """Make sure that a run of ``scored``, whose name is the precision, is mended or refused in one line.

    ``tried`` chooses some of the commands that read a run.
    """
    precision = run.name
    summary = json.loads((scored / precision / "run.json").read_text())["summary"]
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(scored / precision, run)
    (run / "run.json").write_text(json.dumps(whole))
    score = ["score", bundle.path, scored / "news.parquet", "-o", run, "--shard-rows", SHARD_ROWS, "--threads", 1]
    screen = ["--precision", "screen", "--screen-top", SCREEN_TOP] if precision == "screen" else []
    commands: list[list[object]] = [
        ["status", run],
        ["status", run, "--json"],
        ["verify", run],
        ["verify", run, "--json"],
        ["rank", run, "--top", 5],
        ["report", run, "--format", "md", "--top", 5],
        ["report", run, "-o", run.parent / "report.html", "--top", 5, "--force"],
        ["log", run, "--to", "jsonl", "-o", run.parent / "worst.jsonl", "--force"],
    ]
    for command in (*commands[tried], [*score, *screen, "--json"]):
        result = lossrank(*command)  # raises what is no error of ours
        refused = command[0] == "log" and " refused: " in result.stderr  # such as the records of a class without a name
        assert result.exit_code == 3 if refused else result.exit_code in (0, 1), (command, result.stderr)
        if result.exit_code == 1:
            (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
            assert line == result.stderr.splitlines()[-1]
    if result.exit_code == 0:  # of `score`
        said = json.loads(result.stdout)
        # Not its tokens: those are known from run.json alone.
        for name in ("rows", "mean_loss", "accuracy", "by_status", "by_precision", "truncated", "screen"):
            assert said[name] == summary[name]
        assert pq.read_table(run / "scores").equals(pq.read_table(scored / precision / "scores"))


@pytest.mark.parametrize("precision", ["fp32", "screen"])
@short_and_long("examples", 8, 120)
def test_one_changed_value_is_one_line_or_a_right_answer(
    lossrank: Lossrank,
    scored: Path,
    bundle: ModelBundle,
    tmp_path: Path,
    offline: None,
    precision: str,
    examples: int,
) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(pick=st.integers(0, 10**6), new=st.just(GONE) | JSON, cut_off=st.booleans())
    def check(pick: int, new: object, cut_off: bool) -> None:
        whole = json.loads((scored / precision / "run.json").read_text())
        if cut_off:
            del whole["summary"], whole["shards"]["part-00001.parquet"]
        every = list(places(whole))
        # Batches of another size round otherwise, and a resumed run keeps the size that its manifest has.
        assume(not cut_off or every[pick % len(every)] != ("options", "batch_tokens"))
        damaged = changed(whole, every[pick % len(every)], new)
        refuse_surprises(lossrank, scored, bundle, tmp_path / precision, damaged)

    check()


@short_and_long("share, step", (8, 4), (1, 1))
def test_every_value_may_be_another_one_of_its_kind(
    lossrank: Lossrank, scored: Path, bundle: ModelBundle, tmp_path: Path, offline: None, share: int, step: int
) -> None:
    """Such a value is the hardest to see; of the run with a screen those that the screen reads or says are tried.

    One value in ``step`` is tried, with `score` and with one in ``share`` of the other commands.
    """
    tried: set[Place] = set()
    for precision in ("fp32", "screen"):
        whole = json.loads((scored / precision / "run.json").read_text())
        for i, at in enumerate([place for place in places(whole) if place not in tried][::step]):
            new = similar(valued(whole, at))
            damaged = changed(whole, at, new)
            refuse_surprises(lossrank, scored, bundle, tmp_path / precision, damaged, slice(i % share, None, share))
        tried = {at for at in places(whole) if at[0] not in ("data", "options")}


@pytest.mark.parametrize("part", ["summary", "history", "calibration", "machines"])
def test_a_damaged_part_that_is_made_anew_may_be_taken_out(
    lossrank: Lossrank, scored: Path, bundle: ModelBundle, tmp_path: Path, part: str
) -> None:
    shutil.copytree(scored / "fp32", tmp_path / "run")
    whole = json.loads((scored / "fp32" / "run.json").read_text())
    score = "score", bundle.path, scored / "news.parquet", "-o", tmp_path / "run", "--shard-rows", SHARD_ROWS
    (tmp_path / "run" / "run.json").write_text(json.dumps(whole | {part: 7}))
    for command in (("status", tmp_path / "run"), score):
        result = lossrank(*command)
        assert result.exit_code == 1
        line = result.stderr.splitlines()[-1]
        assert line.startswith(f"Error: {tmp_path / 'run' / 'run.json'} ")
        assert f"remove {part!r}" in line
    (tmp_path / "run" / "run.json").write_text(json.dumps(changed(whole, (part,), GONE)))
    assert lossrank(*score).exit_code == 0
    assert lossrank("verify", tmp_path / "run").exit_code == 0


@pytest.mark.parametrize("part", ["bundle", "data", "columns", "options", "shards"])
@pytest.mark.parametrize("new", [GONE, None])
def test_a_part_that_is_needed_is_named_and_the_run_can_be_started_anew(
    lossrank: Lossrank, scored: Path, bundle: ModelBundle, tmp_path: Path, part: str, new: object
) -> None:
    shutil.copytree(scored / "fp32", tmp_path / "run")
    whole = json.loads((scored / "fp32" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(changed(whole, (part,), new)))
    with pytest.raises(RunError, match=rf"run\.json .*\b{part}\b.*overwrite=True"):
        read_manifest(tmp_path / "run")
    score = "score", bundle.path, scored / "news.parquet", "-o", tmp_path / "run"
    assert lossrank(*score).exit_code == 1
    assert lossrank(*score, "--overwrite").exit_code == 0


def test_a_run_with_a_setting_of_a_newer_lossrank_is_read_but_not_resumed(
    lossrank: Lossrank, scored: Path, bundle: ModelBundle, tmp_path: Path
) -> None:
    shutil.copytree(scored / "fp32", tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    whole = json.loads(file.read_text())
    whole["options"]["normalise"] = "nfkc"
    whole["labels"]["how"] = "in other words"  # which decide nothing
    del whole["shards"]["part-00001.parquet"], whole["summary"]
    file.write_text(json.dumps(whole))
    assert lossrank("status", tmp_path / "run").exit_code == 0
    score = "score", bundle.path, scored / "news.parquet", "-o", tmp_path / "run", "--shard-rows", SHARD_ROWS
    refused = lossrank(*score)
    assert refused.exit_code == 1
    assert tells(refused.stderr, "options", "normalise", "nfkc", "upgrade", "--overwrite")
    assert json.loads(file.read_text()) == whole
    del whole["options"]["normalise"]
    file.write_text(json.dumps(whole))
    assert lossrank(*score).exit_code == 0


def test_bytes_that_are_not_utf_8_are_one_line(scored: Path, tmp_path: Path) -> None:
    shutil.copytree(scored / "fp32", tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    file.write_bytes(file.read_bytes().replace(b"news.parquet", b"news\xff.parquet"))
    with pytest.raises(RunError, match=facts(file, "`overwrite=True`")):
        read_manifest(tmp_path / "run")


def test_every_number_that_a_summary_must_have_is_looked_at(scored: Path) -> None:
    whole = json.loads((scored / "fp32" / "run.json").read_text())
    assert set(whole) <= set(Manifest.__struct_fields__)
    assert set(whole["summary"]) == set(RunStats.__struct_fields__)
    for name in whole["summary"]:
        for new in ("?",) if name in ("reused", "zero_probs") else (GONE, "?"):  # older versions lack them
            with pytest.raises(msgspec.ValidationError, match=name):
                msgspec.convert(changed(whole["summary"], (name,), new), RunStats)


def test_more_shards_than_a_manifest_can_list_are_refused(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.run.manifest._MOST_SHARDS", 9)
    with pytest.raises(RunError, match=facts("1,000", 9, 100, "`shard_rows`")):
        score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(shard_rows=100))
    monkeypatch.setattr("scorer.run.manifest._MOST_SHARDS", 10)
    score_dataset(tiny_bundle, rows, tmp_path / "run", ScoreOptions(shard_rows=100))
    assert RunDirectory.open(tmp_path / "run").num_shards == 10
