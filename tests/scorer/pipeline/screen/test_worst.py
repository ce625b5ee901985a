"""screen: what could be among the worst is scored again, no more than that, and it is said how sure that is."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.pipeline.screen import control_rows, control_sample, doubt
from scorer.run.manifest import ScreenReport
from tests.scorer.pipeline.screen.helpers import (
    in_fp32,
    loss_of,
    made,
    normal,
    scores,
    worst,
)


class TestDoubt:
    @settings(max_examples=300, deadline=None)
    @given(st.floats(1e-9, 1e4) | st.floats(1e-9, 1e-3) | st.floats(0.6, 0.8))
    def test_it_is_the_log_of_the_odds(self, loss: float) -> None:
        with localcontext(prec=100):
            expected = float((Decimal(loss).exp() - 1).ln())
        assert doubt(np.array([loss]))[0] == pytest.approx(expected, rel=1e-13, abs=1e-15)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.floats(2**-29, 1e4, width=32), min_size=2, max_size=20, unique=True))
    def test_it_grows_with_the_loss(self, losses: list[float]) -> None:
        assert (np.diff(doubt(np.array(sorted(losses), np.float32))) > 0).all()

    def test_no_loss_is_too_small_or_too_large(self) -> None:
        doubts = doubt(np.array([0.0, 1e-45, 1e-9, 88.0, 710.0, 1e4, 1e300, np.inf]))
        assert np.isfinite(doubts[:-1]).all()
        assert doubts[:3].tolist() == [doubts[0]] * 3
        assert (np.diff(doubts[2:]) > 0).all()
        assert doubts[-3:].tolist() == [1e4, 1e300, np.inf]

    def test_float32_is_not_rounded_on_the_way(self) -> None:
        loss = np.array([1e-9, 0.3, 20.0], np.float32)
        assert doubt(loss).dtype == np.float64
        assert doubt(loss).tolist() == doubt(loss.astype(np.float64)).tolist()


class TestControl:
    @pytest.mark.parametrize(
        ("num_rows", "count"),
        [(1, 1), (199, 199), (201, 200), (10_000, 200), (10_050, 201), (50_000, 1000), (100_000, 2000), (10**6, 2000)],
    )
    def test_its_size(self, num_rows: int, count: int) -> None:
        rows = control_sample(num_rows, 5)
        assert len(rows) == count
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
        assert 0 <= rows[0] <= rows[-1] < num_rows

    def test_the_seed_decides(self) -> None:
        assert control_sample(5000, 3).tolist() == control_sample(5000, 3).tolist()
        assert control_sample(5000, 3).tolist() != control_sample(5000, 4).tolist()

    def test_it_comes_from_everywhere(self) -> None:
        counts = np.bincount(control_sample(10**6, 1) // 100_000, minlength=10)
        assert counts.min() > 140
        assert counts.max() < 260


class TestWorst:
    @settings(max_examples=25, deadline=None)
    @given(
        st.integers(20, 700),
        st.integers(1, 60),
        st.integers(60, 300),
        st.floats(0.01, 3.0),
        st.integers(0, 10**6),
    )
    def test_they_are_fp32s_where_no_error_is_larger_than_the_margin(
        self, folder: Callable[[], Path], n: int, top_k: int, shard_rows: int, bound: float, seed: int
    ) -> None:
        run = made(n, seed, lambda random: random.uniform(-bound, bound, size=n), shard_rows)
        low = run.control[::3]  # the sample shows errors a bit larger than any other row's
        run.int8[low] = loss_of(doubt(run.fp32[low]) - 1.01 * bound)
        path = folder()
        report = run.screen(path, top_k)
        assert report.margin >= bound
        again, found = in_fp32(path), scores(path)["loss"].to_numpy()
        assert worst(run.fp32, top_k) <= set(again.tolist())
        assert report.threshold == np.sort(run.fp32)[-min(top_k, n)]
        assert found[again].tolist() == run.fp32[again].tolist()
        rest = np.setdiff1d(np.arange(n), again)
        assert found[rest].tolist() == run.int8[rest].tolist()

    @pytest.mark.parametrize("seed", range(3))
    def test_what_is_scored_again_is_what_could_be_among_them(self, tmp_path: Path, seed: int) -> None:
        """The whole rule again, on all rows at once."""
        n, top_k = 8000, 80
        run = made(n, seed, normal(0.3, n), shard_rows=1000)
        report = run.screen(tmp_path / "run", top_k)

        first = np.sort(run.int8)[-top_k]
        known = np.union1d(np.flatnonzero(run.int8 >= first), run.control)
        threshold = np.sort(run.fp32[known])[-top_k]
        errors = doubt(run.fp32) - doubt(run.int8)
        groups = (np.sort(errors[rows]) for rows in (run.control, np.setdiff1d(known, run.control)))
        margin = max(group[int(np.ceil(0.999 * (len(group) - 1)))] for group in groups)
        chosen = np.union1d(known, np.flatnonzero(doubt(run.int8) >= doubt(np.array([threshold]))[0] - margin))
        assert in_fp32(tmp_path / "run").tolist() == chosen.tolist()
        assert report.margin == pytest.approx(margin)
        assert sum(run.asked) == len(chosen)
        assert report.rescored == len(chosen) - len(run.control)
        assert top_k <= report.rescored < 5 * top_k
        kth = np.sort(run.fp32[chosen])[-top_k]
        assert report.threshold == kth
        sample = errors[run.control]
        start = np.quantile(sample, 0.95)
        excess = np.mean(sample[sample >= start] - start)
        rest = doubt(np.array([kth]))[0] - doubt(np.delete(run.int8, chosen))
        assert report.expected_missed == pytest.approx((0.05 * np.exp(-(rest - start) / excess)).sum())
        off = np.abs(run.fp32 - run.int8)[run.control]
        assert report.control.to_dict() == {
            "rows": 200,
            "mean_error": pytest.approx(off.mean()),
            "error_quantiles": {str(q): pytest.approx(np.quantile(off, q), abs=1e-9) for q in (0.5, 0.9, 0.99, 0.999)},
            "largest_error": pytest.approx(off.max()),
        }

    def test_int8_that_is_too_high_costs_no_margin(self, tmp_path: Path) -> None:
        run = made(3000, 4, lambda random: -random.uniform(0.0, 5.0, size=3000), shard_rows=1000)
        report = run.screen(tmp_path / "run", 30)
        assert report.margin == 0.0
        assert worst(run.fp32, 30) - set(in_fp32(tmp_path / "run").tolist()) == set()

    def test_the_sample_is_of_rows_that_have_a_label(self, tmp_path: Path) -> None:
        run = made(5000, 6, normal(0.2, 5000), shard_rows=700)
        run.labelled = np.arange(5000) % 13 == 0
        with run.begun(tmp_path / "run") as opened:
            rows = control_rows(opened, 3)
        assert len(rows) == len(np.unique(rows)) == 200
        assert (np.diff(rows) > 0).all()
        assert run.labelled[rows].all()
        assert rows.tolist() == np.flatnonzero(run.labelled)[control_sample(385, 3)].tolist()


class TestLabels:
    def test_without_labels_nothing_is_scored_again(self, tmp_path: Path) -> None:
        run = made(300, 0, normal(0.3, 300))
        run.labelled[:] = False
        assert run.screen(tmp_path / "run", 10) == ScreenReport(top_k=10, rescored=0)
        assert run.asked == []

    def test_rows_without_a_label_are_left_alone(self, tmp_path: Path) -> None:
        run = made(900, 1, normal(0.3, 900))
        run.labelled = np.arange(900) % 3 > 0
        run.int8[::9] = np.nan  # bad logits and no label
        report = run.screen(tmp_path / "run", 20)
        again = in_fp32(tmp_path / "run")
        assert run.labelled[again].all()
        assert worst(np.where(run.labelled, run.fp32, -1.0), 20) <= set(again.tolist())
        assert report.control.rows == len(run.sampled) < len(run.control)

    @pytest.mark.parametrize("top_k", [40, 41, 1000])
    def test_fewer_rows_than_are_wanted(self, tmp_path: Path, top_k: int) -> None:
        run = made(60, 2, normal(0.3, 60), shard_rows=25)
        run.labelled[40:] = False
        run.control = np.arange(0, 60, 10)
        report = run.screen(tmp_path / "run", top_k)
        assert in_fp32(tmp_path / "run").tolist() == list(range(40))
        assert report.rescored == 40 - 4
        assert report.threshold == run.fp32[:40].min()
        assert (report.expected_missed, report.estimated_recall) == (0.0, 1.0)
