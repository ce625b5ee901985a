"""screen: what could be among the worst is scored again, no more than that, and it is said how sure that is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer.model.losses import cross_entropy
from scorer.pipeline.screen import control_rows, control_sample, doubt, screen
from scorer.run.directory import RunDirectory
from scorer.run.manifest import ScreenReport, ShardNotes
from scorer.run.schema import replace_rows, score_schema
from scorer.run.start import locked_run
from tests.support.manifests import manifest

CLASSES = ("a", "b")
Rows = NDArray[np.int64]
Losses = NDArray[np.float64]


def loss_of(doubts: Losses) -> Losses:
    """Undo ``doubt``; rounded to what a shard holds."""
    return np.logaddexp(0.0, doubts).astype(np.float32).astype(np.float64)


@dataclass
class Screened:
    """A run of known losses (NaN: bad logits) in nats, whose rows are scored again by looking them up."""

    int8: Losses
    fp32: Losses
    control: Rows
    labelled: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, np.bool_))
    shard_rows: int = 100
    asked: list[int] = field(default_factory=list)
    fail_after: int | None = None  # shards written

    def __post_init__(self) -> None:
        if not len(self.labelled):
            self.labelled = np.ones(len(self.int8), np.bool_)

    @property
    def sampled(self) -> Rows:
        return self.control[self.labelled[self.control]]

    def table(self, rows: Rows, losses: Losses, precision: str) -> pa.Table:
        """Return rows as ``score_table`` makes them, null where a screen does not look."""
        labelled, bad = self.labelled[rows], np.isnan(losses[rows])
        columns: dict[str, Any] = {
            "row": rows,
            "label": pa.array(np.zeros(len(rows)), pa.int32(), mask=~labelled),
            "loss": pa.array(losses[rows], pa.float32(), mask=~labelled | bad),
            "status": np.select([bad, labelled], ["bad_logits", "ok"], "no_label").tolist(),
            "precision": pa.array([precision] * len(rows), pa.string(), mask=bad),
        }
        schema = score_schema(CLASSES)
        return pa.table([pa.array(columns.get(each.name, pa.nulls(len(rows))), each.type) for each in schema], schema)

    @contextmanager
    def begun(self, path: Path) -> Iterator[RunDirectory]:
        """Open the run, what is new of it in int8."""
        plan = manifest(
            {
                "bundle": {"path": "bundle", "sha256": "b" * 64, "model": "m", "class_names": list(CLASSES)},
                "data": {"name": "d", "fingerprint": "f" * 64, "rows": len(self.int8), "spec": {"kind": "table"}},
                "columns": {"text": "text", "text_pair": None, "label": "label", "id": None},
                "labels": None,
                "options": {
                    "shard_rows": self.shard_rows,
                    "batch_tokens": 512,
                    "precision": "screen",
                    "screen_top": 10,
                },
                "machine": {},
            }
        )
        with locked_run(path, plan) as run:
            for index in run.missing_shards():
                rows = np.arange(*run.shard_range(index))
                notes = ShardNotes(tokens=index)
                run.write_shard(index, self.table(rows, self.int8, "int8"), notes)
            yield run

    def rescorer(self, run: RunDirectory) -> Callable[[Callable[[int], Rows]], None]:
        def rescore(wanted: Callable[[int], Rows]) -> None:
            for index in range(run.num_shards):
                rows = wanted(index)
                if not len(rows):
                    continue
                if self.fail_after is not None and len(self.asked) >= self.fail_after:
                    raise KeyboardInterrupt
                again = self.table(rows, self.fp32, "fp32")
                run.write_shard(index, replace_rows(run.read_shard(index), again), run.notes(index))
                self.asked.append(len(rows))

        return rescore

    def screen(self, path: Path, top_k: int) -> ScreenReport:
        with self.begun(path) as run:
            return screen(run, top_k, self.control, self.rescorer(run))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Give a new folder, as often as an example of a property asks."""
    return lambda: tmp_path_factory.mktemp("screen") / "run"


def scores(path: Path) -> pa.Table:
    run = RunDirectory(path, {})
    files = sorted((run.path / "scores").iterdir())
    return pa.concat_tables([pa.parquet.read_table(file) for file in files])


def shard_bytes(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((path / "scores").iterdir())]


def in_fp32(path: Path) -> Rows:
    precision = np.array(scores(path)["precision"].to_pylist(), dtype=object)
    return np.flatnonzero(precision == "fp32")


def worst(losses: Losses, k: int) -> set[int]:
    return set(np.argsort(-np.nan_to_num(losses, nan=-1.0), kind="stable")[:k].tolist())


def made(n: int, seed: int, noise: Callable[[np.random.Generator], Losses], shard_rows: int = 100) -> Screened:
    """Rows as a good classifier's, most of them certain; ``noise`` is by how much int8 is too low, in log-odds."""
    random = np.random.default_rng(seed)
    true = random.normal(-5.0, 3.0, size=n)
    return Screened(loss_of(true - noise(random)), loss_of(true), control_sample(n, seed), shard_rows=shard_rows)


def normal(scale: float, n: int) -> Callable[[np.random.Generator], Losses]:
    return lambda random: random.normal(0.0, scale, size=n)


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
        assert report.control.as_dict() == {
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
