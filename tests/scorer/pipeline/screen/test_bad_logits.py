"""screen: what could be among the worst is scored again, no more than that, and it is said how sure that is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.pipeline.rescored import replace_rows
from scorer.run.manifest import ScreenReport
from scorer.run.schema import score_schema
from tests.scorer.pipeline.screen.helpers import CLASSES, Screened, in_fp32, made, normal, scores, worst


class TestBadLogits:
    def test_where_int8_gave_none_fp32_is_asked(self, tmp_path: Path) -> None:
        run = made(2000, 3, normal(0.1, 2000), shard_rows=500)
        bad = np.setdiff1d(np.arange(0, 2000, 97), run.control)
        run.int8[bad] = np.nan
        report = run.screen(tmp_path / "run", 40)
        table = scores(tmp_path / "run")
        assert set(bad.tolist()) <= set(in_fp32(tmp_path / "run").tolist())
        assert set(table["status"].to_pylist()) == {"ok"}
        assert table["loss"].to_numpy()[bad].tolist() == run.fp32[bad].tolist()
        assert table["int8_loss"].take(bad).to_pylist() == [None] * len(bad)
        assert worst(run.fp32, 40) <= set(in_fp32(tmp_path / "run").tolist())
        assert np.isfinite(report.margin)

    def test_more_than_the_worst_are_without_one(self, tmp_path: Path) -> None:
        run = made(2000, 3, normal(0.1, 2000), shard_rows=500)
        bad = np.setdiff1d(np.arange(0, 2000, 20), run.control)
        run.int8[bad] = np.nan
        run.screen(tmp_path / "run", 40)
        assert worst(run.fp32, 40) <= set(in_fp32(tmp_path / "run").tolist())

    @pytest.mark.parametrize("sampled", [True, False])
    def test_int8_gives_none_at_all(self, tmp_path: Path, sampled: bool) -> None:
        run = made(400, 3, normal(0.1, 400))
        run.int8[:] = np.nan
        run.labelled[run.control] = sampled
        report = run.screen(tmp_path / "run", 40)
        assert in_fp32(tmp_path / "run").tolist() == np.flatnonzero(run.labelled).tolist()
        assert report.rescored == 200

    def test_the_worst_have_none_and_no_row_of_the_sample_a_label(self, tmp_path: Path) -> None:
        run = made(400, 3, normal(0.1, 400))
        run.labelled[run.control] = False
        rest = np.flatnonzero(run.labelled)
        run.int8[rest[::4]] = np.nan
        run.screen(tmp_path / "run", 40)
        assert worst(np.where(run.labelled, run.fp32, -1.0), 40) <= set(in_fp32(tmp_path / "run").tolist())

    def test_in_the_control_sample_too(self, tmp_path: Path) -> None:
        run = made(2000, 3, normal(0.1, 2000), shard_rows=500)
        run.int8[run.control[:50]] = np.nan
        report = run.screen(tmp_path / "run", 40)
        assert report.control.rows == 150
        assert worst(run.fp32, 40) <= set(in_fp32(tmp_path / "run").tolist())

    def test_where_fp32_gives_none_there_is_no_loss(self, tmp_path: Path) -> None:
        run = made(2000, 5, normal(0.1, 2000), shard_rows=500)
        bad = list(worst(run.int8, 3))
        run.fp32[bad] = np.nan
        report = run.screen(tmp_path / "run", 40)
        table = scores(tmp_path / "run")
        assert {table["status"][row].as_py() for row in bad} == {"bad_logits"}
        assert worst(run.fp32, 40) <= set(in_fp32(tmp_path / "run").tolist())
        assert report.threshold == np.sort(run.fp32[~np.isnan(run.fp32)])[-40]

    def test_fp32_gives_none_at_all(self, tmp_path: Path) -> None:
        run = made(400, 3, normal(0.1, 400))
        run.fp32[:] = np.nan
        assert run.screen(tmp_path / "run", 40) == ScreenReport(top_k=40, rescored=0)
        assert set(scores(tmp_path / "run")["status"].to_pylist()) == {"bad_logits"}


class TestReplacedRows:
    """``replace_rows``: rows that were scored again take their places."""

    SCREENED = Screened(int8=np.arange(10.0), fp32=np.arange(10.0) + 0.25, control=np.zeros(0, np.int64))

    @settings(max_examples=100, deadline=None)
    @given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.integers(0, 1000))
    def test_each_in_its_place_with_its_int8_loss(self, some: set[int], more: set[int], start: int) -> None:
        run = replace(self.SCREENED, int8=np.arange(start + 10.0), fp32=np.arange(start + 10.0) + 0.25)
        run.labelled = np.arange(start + 10) % 5 > 0
        rows = start + np.arange(10)
        table = run.table(rows, run.int8, "int8")
        for chosen in (some, more, more):
            table = replace_rows(table, run.table(start + np.array(sorted(chosen), np.int64), run.fp32, "fp32"))
        assert table.schema.equals(score_schema(CLASSES), check_metadata=True)
        again = some | more
        for i, row in enumerate(table.to_pylist()):
            at, labelled = start + i, (start + i) % 5 > 0
            assert row["row"] == at
            assert row["precision"] == ("fp32" if i in again else "int8")
            assert row["loss"] == ((at + 0.25 if i in again else at) if labelled else None)
            assert row["int8_loss"] == (at if i in again and labelled else None)

    def test_a_second_time_changes_nothing(self) -> None:
        rows = np.array([2, 3, 7])
        again = self.SCREENED.table(rows, self.SCREENED.fp32, "fp32")
        once = replace_rows(self.SCREENED.table(np.arange(10), self.SCREENED.int8, "int8"), again)
        assert replace_rows(once, again).equals(once)

    def test_nor_where_fp32_has_no_loss(self) -> None:
        rows, fp32 = np.array([2, 3, 7]), np.full(10, np.nan)
        again = self.SCREENED.table(rows, fp32, "fp32")
        once = replace_rows(self.SCREENED.table(np.arange(10), self.SCREENED.int8, "int8"), again)
        assert once["int8_loss"].take(rows).to_pylist() == [2, 3, 7]
        assert replace_rows(once, again).equals(once)
