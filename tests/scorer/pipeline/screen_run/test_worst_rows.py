"""Whole runs with int8 and with a screen, on the demo's real transformer: fp32's worst rows, whatever happens."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cli.commands.demo import BUNDLE
from scorer import BundleError, DeviceError, ModelBundle, RunDirectory, RunError, ScoreOptions, rank
from scorer import score_dataset as score
from scorer.run.status import run_status
from tests.scorer.pipeline.screen_run.helpers import OPTIONS, ROWS
from tests.support import short_and_long
from tests.support.facts import facts, tells

Lossrank = Callable[..., Result]


def test_the_worst_rows_are_fp32s_in_fp32s_order(fp32: Path, screened: Path) -> None:
    expected, found = rank(fp32, 60), rank(screened, 60)
    assert [row.row for row in found] == [row.row for row in expected]
    assert {row.precision for row in found} == {"fp32"}
    np.testing.assert_allclose([row.loss for row in found], [row.loss for row in expected], atol=1e-5)


def test_every_row_says_what_its_numbers_are(fp32: Path, screened: Path) -> None:
    exact, table = (pq.read_table(run / "scores").to_pandas() for run in (fp32, screened))
    assert table["precision"].isna().sum() == 1  # the row without text
    again = table["precision"] == "fp32"
    assert 200 < again.sum() < 60 + 200 + 60  # the worst and the control sample share some
    assert (again == table["int8_loss"].notna()).all()
    np.testing.assert_allclose(table["loss"][again], exact["loss"][again], atol=1e-5)
    np.testing.assert_allclose(np.stack(table["probs"][again]), np.stack(exact["probs"][again]), atol=1e-5)
    in_int8 = table["loss"][~again & table["loss"].notna()]
    assert (in_int8 != exact["loss"][in_int8.index]).mean() > 0.9
    assert table["predicted"].isna().sum() == 1
    assert (table["row"] == np.arange(ROWS)).all()


def test_rescoring_leaves_the_content_of_the_rows_as_it_was(fp32: Path, screened: Path) -> None:
    contents = [RunDirectory.open(run).content_fingerprint for run in (fp32, screened)]
    assert contents[0] == contents[1] is not None


def test_rescoring_leaves_the_speed_of_scoring_as_it_was(bundle: ModelBundle, news: pa.Table, tmp_path: Path) -> None:
    run, seen = tmp_path / "run", []
    score(bundle, news, run, OPTIONS, on_progress=lambda progress: seen.append(run_status(run)))
    rescoring = [status for status in seen if status.doing == "rescoring"]
    spent = [status.history[-1].seconds for status in rescoring]
    assert spent[-1] > spent[0]
    (speed,) = {status.rows_per_second for status in rescoring}
    end = run_status(run)
    assert end.rows_per_second == speed == ROWS / end.history[-1].scoring_seconds


def test_run_json_says_how_sure_it_is(screened: Path) -> None:
    manifest = json.loads((screened / "run.json").read_text())
    screen = manifest["screen"]
    table = pq.read_table(screened / "scores").to_pandas()
    again = table[table["precision"] == "fp32"]
    assert screen["top_k"] == 60
    assert screen["control"]["rows"] == 200
    assert screen["rescored"] == len(again) - screen["control"]["rows"]
    assert screen["threshold"] == np.sort(again["loss"])[-60]
    assert 0.99 < screen["estimated_recall"] <= 1
    quantiles = [screen["control"]["error_quantiles"][q] for q in ("0.5", "0.9", "0.99", "0.999")]
    assert quantiles == sorted(quantiles)
    assert 0 < quantiles[0] < quantiles[-1] <= screen["control"]["largest_error"]
    assert manifest["summary"]["by_precision"] == {"fp32": len(again), "int8": ROWS - 1 - len(again)}
    assert manifest["summary"]["screen"] == screen
    assert manifest["options"]["screen_top"] == 60


def worst_rows(run: Path, top_k: int) -> list[dict[str, object]]:
    return [dataclasses.asdict(row) for row in rank(run, top_k)]


def test_int8_alone_is_near_and_says_so(bundle: ModelBundle, news: pa.Table, fp32: Path, tmp_path: Path) -> None:
    stats = score(bundle, news, tmp_path / "run", ScoreOptions(precision="int8", threads=2))
    table = pq.read_table(tmp_path / "run" / "scores").to_pandas()
    exact = pq.read_table(fp32 / "scores").to_pandas()
    assert set(table["precision"].dropna()) == {"int8"}
    assert table["int8_loss"].isna().all()
    assert 0 < np.abs(table["loss"] - exact["loss"]).mean() < 0.02
    assert stats.by_precision == {"int8": ROWS - 1}
    assert stats.screen is None


@short_and_long("examples", 3, 40)
def test_a_rows_loss_is_its_own_in_both_precisions(
    bundle: ModelBundle, news: pa.Table, tmp_path_factory: pytest.TempPathFactory, examples: int
) -> None:
    """fp32 and int8 losses of the same rows in another order and in other batches, windows, shards and threads."""

    def losses(rows: NDArray[np.intp], options: ScoreOptions) -> NDArray[np.float32]:
        run = tmp_path_factory.mktemp("order") / "run"
        score(bundle, news.take(rows), run, options)
        found: NDArray[np.float32] = pq.read_table(run / "scores")["loss"].to_numpy(zero_copy_only=False)
        return found

    apart = {"fp32": 1e-5, "int8": 2e-3}
    plain = {name: losses(np.arange(150), ScoreOptions(threads=1, precision=name)) for name in apart}

    @settings(max_examples=examples, deadline=None)
    @given(
        batch_tokens=st.integers(1, 3000),
        shard_rows=st.integers(20, 400),
        window_rows=st.integers(20, 400),
        threads=st.integers(1, 4),
        seed=st.integers(0, 2**32 - 1),
    )
    def check(batch_tokens: int, shard_rows: int, window_rows: int, threads: int, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(150)
        options = ScoreOptions(
            batch_tokens=batch_tokens, shard_rows=shard_rows, window_rows=min(window_rows, shard_rows), threads=threads
        )
        for precision, most in apart.items():
            found = losses(order, dataclasses.replace(options, precision=precision))
            difference = np.abs(found - plain[precision][order])
            assert np.nanmax(difference) <= most
            assert np.isnan(difference).sum() == 1

    check()


def test_texts_with_the_same_tokens_are_run_once_and_have_the_same_numbers(
    bundle: ModelBundle, news: pa.Table, tmp_path: Path
) -> None:
    stats = score(bundle, news, tmp_path / "run", ScoreOptions(threads=1))
    table = pq.read_table(tmp_path / "run" / "scores").to_pandas()
    assert stats.duplicates >= 100
    first, twin = table.iloc[600:700], table.iloc[-100:]
    assert (first["loss"].to_numpy() == twin["loss"].to_numpy()).all()
    assert stats.tokens < table["n_tokens"].sum()


def test_what_a_screen_needs_is_said(bundle: ModelBundle, news: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=facts("label", "`precision='screen'`")):
        score(bundle, news.select(["text"]), tmp_path / "run", OPTIONS)
    with pytest.raises(BundleError, match=r"has no 'int8' variant; it has: fp32; choose one.*export the model again"):
        score(BUNDLE, news, tmp_path / "run", OPTIONS)
    with pytest.raises(DeviceError, match=facts("int8", "`device='cpu'`", "`precision='fp32'`")):
        score(bundle, news, tmp_path / "run", dataclasses.replace(OPTIONS, device="cuda"))
    with pytest.raises(RunError, match=facts("`precision`", "'int4'", "fp32", "int8", "screen")):
        ScoreOptions(precision="int4")
    with pytest.raises(RunError, match=facts("`screen_top`", "screen", "fp32")):
        ScoreOptions(screen_top=5)
    assert not (tmp_path / "run").exists()


def test_how_many_a_screen_looks_for() -> None:
    screen = ScoreOptions(precision="screen")
    assert [screen.screened(rows) for rows in (10, 5000, 250_000)] == [10, 1000, 2500]
    assert dataclasses.replace(screen, screen_top=7).screened(5000) == 7
    assert ScoreOptions().screened(5000) is None


def test_the_command_line(lossrank: Lossrank, bundle: ModelBundle, news: pa.Table, tmp_path: Path) -> None:
    pq.write_table(news, tmp_path / "news.parquet")
    arguments = ("--precision", "screen", "--screen-top", 20, "--threads", 2)
    result: Result = lossrank("score", bundle.path, tmp_path / "news.parquet", "-o", tmp_path / "run", *arguments)
    assert result.exit_code == 0, result.output
    assert "screen   int8 for every row, fp32 for those that could be among the worst 20" in result.stderr
    screen = json.loads((tmp_path / "run" / "run.json").read_text())["screen"]
    assert f"screen           {screen['rescored']:,} rows were scored again in fp32" in result.stdout
    (worst,) = [line for line in result.stdout.splitlines() if line.split()[:1] == ["worst"]]
    assert tells(worst, 20, f"{screen['estimated_recall']:.1%}", "fp32")
    assert "random rows in both" in result.stdout
    ranked = lossrank("rank", tmp_path / "run", "--top", 20)
    assert "int8" not in ranked.output
    ranked = lossrank("rank", tmp_path / "run", "--top", 700)
    named = (700, 20, "int8", "fp32", "--screen-top", "--precision")
    assert tells(ranked.stderr, *named)
    logged = lossrank("log", tmp_path / "run", "--to", "jsonl", "-o", tmp_path / "worst.jsonl", "--top", 700)
    assert tells(logged.stderr, *named)
    records = [json.loads(line) for line in (tmp_path / "worst.jsonl").read_text().splitlines()]
    marked = [record.get("precision") for record in records]
    assert marked == [None if row["precision"] == "fp32" else "int8" for row in worst_rows(tmp_path / "run", 700)]
