"""screen: what could be among the worst is scored again, no more than that, and it is said how sure that is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scorer.model.losses import cross_entropy
from scorer.pipeline.screen import control_sample
from scorer.run.manifest import ScreenReport
from tests.scorer.pipeline.screen.helpers import (
    Losses,
    Screened,
    in_fp32,
    made,
    normal,
    worst,
)


def shard_bytes(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((path / "scores").iterdir())]


class TestCertainty:
    def test_losses_that_round_to_zero_do_not_make_the_margin(self, tmp_path: Path) -> None:
        """A model most of whose logits are about 36 apart, where a float64 softmax ends."""
        random = np.random.default_rng(0)
        true = np.where(np.arange(5000) % 10 == 0, random.normal(-5.0, 3.0, 5000), random.normal(-36.0, 3.0, 5000))
        int8, fp32 = (
            cross_entropy(np.stack([np.zeros(5000), doubts], axis=1), np.zeros(5000, np.int64)).astype(np.float32)
            for doubts in (true - random.normal(0.0, 0.3, 5000), true)
        )
        run = Screened(int8.astype(np.float64), fp32.astype(np.float64), control_sample(5000, 2), shard_rows=2500)
        report = run.screen(tmp_path / "run", 50)
        assert report.margin < 10
        assert report.rescored < 500


class TestResume:
    def interrupted(self, path: Path, fail_after: int, bad: str) -> None:
        run = made(1000, 8, normal(0.5, 1000), shard_rows=200)
        run.control = run.control[::2]
        if bad:
            # Some of the worst, which are scored again first, and some that follow.
            lost = [*sorted(worst(run.int8, 12))[::4], *sorted(worst(run.int8, 45) - worst(run.int8, 22))[::3]]
            getattr(run, bad)[lost] = np.nan
        whole = replace(run, asked=[])
        expected = whole.screen(path / "whole", 20)
        assert len(whole.asked) == 10  # five shards, twice
        run.fail_after = fail_after
        with pytest.raises(KeyboardInterrupt):
            run.screen(path / "run", 20)
        assert len(run.asked) == fail_after
        resumed = replace(run, fail_after=None)
        assert resumed.screen(path / "run", 20) == expected
        assert shard_bytes(path / "run") == shard_bytes(path / "whole")

    @pytest.mark.parametrize("bad", ["", "int8"])
    @pytest.mark.parametrize("fail_after", [0, 3, 5, 7, 9])
    def test_it_ends_where_an_uninterrupted_one_does(self, tmp_path: Path, fail_after: int, bad: str) -> None:
        self.interrupted(tmp_path, fail_after, bad)

    @pytest.mark.parametrize("fail_after", [3, 7, 9])
    def test_also_where_fp32_gives_no_loss(self, tmp_path: Path, fail_after: int) -> None:
        self.interrupted(tmp_path, fail_after, "fp32")

    def test_doing_it_twice_changes_nothing(self, tmp_path: Path) -> None:
        run = made(1000, 9, normal(0.5, 1000), shard_rows=300)
        first = run.screen(tmp_path / "run", 20)
        before = shard_bytes(tmp_path / "run")
        assert run.screen(tmp_path / "run", 20) == first
        assert shard_bytes(tmp_path / "run") == before


class TestRecall:
    ROWS = 40_000

    def recall(self, path: Path, noise: Callable[[np.random.Generator], Losses], seed: int = 11) -> ScreenReport:
        report = made(self.ROWS, seed, noise, shard_rows=self.ROWS // 2).screen(path, 400)
        assert report.estimated_recall == pytest.approx(max(0.0, 1 - report.expected_missed / 400))
        return report

    def test_large_errors_are_admitted(self, folder: Callable[[], Path]) -> None:
        small = self.recall(folder(), normal(0.2, self.ROWS))
        large = self.recall(folder(), lambda random: random.laplace(0.0, 0.8, size=self.ROWS))
        assert small.estimated_recall > 0.9999
        assert large.expected_missed > 10 * small.expected_missed

    @pytest.mark.parametrize("seed", range(3))
    def test_heavy_tailed_errors_cost_rows_and_not_the_worst(self, folder: Callable[[], Path], seed: int) -> None:
        run = made(self.ROWS, seed, lambda random: 0.2 * random.standard_t(1.5, size=self.ROWS), self.ROWS // 2)
        path = folder()
        report = run.screen(path, 400)
        assert len(worst(run.fp32, 400) - set(in_fp32(path).tolist())) <= 4
        assert report.rescored > 10 * 400

    def test_an_exact_int8_misses_nothing(self, folder: Callable[[], Path]) -> None:
        report = self.recall(folder(), lambda random: np.zeros(self.ROWS))
        assert report.expected_missed == pytest.approx(0.0, abs=1e-9)
        assert report.margin == 0.0
