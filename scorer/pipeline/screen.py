"""The screen: find the K worst rows of a run by fp32 loss, while most rows are run in int8 only.

First, int8 scores all rows. Second, fp32 rescores the K worst rows by int8 and a random control sample of the rows that
have labels; the K-th largest fp32 loss is then the threshold. Third, fp32 rescores every other
row whose int8 loss, raised by a margin that errors of int8 rarely exceed, reaches the threshold.

Errors are compared as log-odds against the label, ``log((1 - p) / p)``. Quantisation moves the log-odds of a certain
and of a doubtful row about equally far, while the loss in nats of a certain row hardly moves at all.

Every choice depends only on the int8 losses, which stay in the shards, and on the fp32 losses of the rows chosen
before, so that a resumed screen makes the same choices.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer.errors import RunError
from scorer.pipeline.rescored import int8_losses
from scorer.run.directory import RunDirectory
from scorer.run.manifest import ControlErrors, ScreenReport
from scorer.run.schema import BAD_LOGITS_STATUS, NO_MEMORY_STATUS, OK

Rows = NDArray[np.int64]
Doubts = NDArray[np.float64]

_CONTROL_ONE_IN, _CONTROL_LEAST, _CONTROL_MOST = 50, 200, 2000
_MARGIN = 0.999  # the quantile of the errors that the margin allows for
_TAIL = 0.95  # the quantile above which errors are taken to fall off exponentially
_QUANTILES = (0.5, 0.9, 0.99, 0.999)
_SMALLEST = 1e-9  # nats; smaller losses are mostly the rounding of a softmax close to 1


def control_sample(count: int, seed: int) -> Rows:
    """Return 2% of the numbers below ``count``, at least 200 and at most 2,000 of them, drawn at random, ascending."""
    size = min(count, max(_CONTROL_LEAST, min(count // _CONTROL_ONE_IN, _CONTROL_MOST)))
    return np.sort(np.random.default_rng(seed).choice(count, size=size, replace=False)).astype(np.int64)


def control_seed(run: RunDirectory) -> int:
    """Return the random seed of a run's control sample, which is the same for the same data."""
    return int(run.data_fingerprint[:12], 16)


def control_rows(run: RunDirectory, seed: int) -> Rows:
    """Return the rows of a run's control sample, ascending, drawn from those that have a label.

    Raises:
        RunError: a shard can't be read.
    """
    ends = np.cumsum([np.count_nonzero(shard.labelled) for shard in _shards(run)])
    drawn = control_sample(int(ends[-1]), seed)
    parts = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
    starts = [0, *ends[:-1].tolist()]
    return np.concatenate(
        [
            shard.row[shard.labelled][part - start]
            for shard, part, start in zip(_shards(run), parts, starts, strict=True)
        ]
    )


def doubt(loss: NDArray[Any]) -> Doubts:
    """Return the log-odds against the label, ``log(exp(loss) - 1)``, of losses in nats, each taken as at least 1e-9."""
    positive = np.maximum(loss.astype(np.float64), _SMALLEST)
    result: Doubts = positive + np.log(-np.expm1(-positive))  # exp(loss) alone would overflow
    return result


def screen(
    run: RunDirectory, top_k: int, control: Rows, rescore: Callable[[Callable[[int], Rows]], None]
) -> ScreenReport:
    """Rescore in fp32 every row that could be among the worst, and estimate how many of them were missed.

    Args:
        run: a run whose shards are all scored in int8.
        top_k: how many of the worst rows to find.
        control: the control sample's rows, ascending.
        rescore: scores rows in fp32; its argument is a function that returns the rows to score in the i-th shard.

    Returns:
        The report for ``run.json``. Its estimates are too optimistic if int8 has large errors for a kind of rows of
        which the control sample has hardly any.

    Raises:
        RunError: a shard can't be read or written.
    """
    first = _kth_largest((shard.int8[shard.labelled] for shard in _shards(run)), top_k)
    if first is None:
        return ScreenReport(top_k=top_k, rescored=0)
    rescore(lambda index: _Shard.read(run, index).first(first, control))

    known = [shard.known(first, control) for shard in _shards(run)]
    threshold = _kth_largest((fp32 for _, fp32, _ in known), top_k)
    int8, fp32, sampled = np.concatenate(known, axis=1)
    errors = doubt(fp32) - doubt(int8)
    # The groups have different errors: the worst rows by int8 are often rows whose losses int8 put too high.
    groups = [group for group in (errors[sampled == 1], errors[sampled == 0]) if np.isfinite(group).any()]
    margin, cut = None, -np.inf
    if threshold is not None and groups:
        margin = max(0.0, *(_quantile(group, _MARGIN) for group in groups))
        cut = float(doubt(np.array([threshold]))[0]) - margin
    rescore(lambda index: _Shard.read(run, index).left(first, cut, control))
    return _report(run, top_k, control, margin, _Tail.of(groups[0]) if groups else None)


def screen_again(run: RunDirectory) -> ScreenReport:
    """Return the screen's report for a finished run, counted again from its shards.

    Raises:
        RunError: the run is no screen.
        RunError: a shard can't be read.
    """
    top_k = run.manifest.options.screen_top
    if top_k is None:
        precision = run.manifest.options.precision
        raise RunError(f"{run.path} has `precision` {precision!r}; score it with `precision='screen'` to get a report")
    return screen(run, top_k, control_rows(run, control_seed(run)), lambda wanted: None)


@dataclass(frozen=True)
class _Shard:
    """A shard's rows [n] and their losses in nats, NaN where a row has no loss.

    ``labelled`` [n] marks the rows that have a usable label; ``int8`` is infinite where such a row has no int8 loss.
    """

    row: Rows
    int8: Doubts
    fp32: Doubts
    labelled: NDArray[np.bool_]

    @classmethod
    def read(cls, run: RunDirectory, index: int) -> "_Shard":
        table = run.read_shard(index, ["row", "label", "loss", "precision", "int8_loss", "status"])
        again, ok = _equal(table["precision"], "fp32"), _equal(table["status"], OK)
        failed = _equal(table["status"], BAD_LOGITS_STATUS) | _equal(table["status"], NO_MEMORY_STATUS)
        labelled = ok | (failed & table["label"].is_valid().to_numpy())
        int8 = _losses(int8_losses(table))
        # int8 may overflow where fp32 does not, so a row without an int8 loss is not ruled out.
        int8[labelled & np.isnan(int8)] = np.inf
        return cls(table["row"].to_numpy(), int8, np.where(again, _losses(table["loss"]), np.nan), labelled)

    def first(self, first: float, control: Rows) -> Rows:
        """Return the labelled rows whose int8 loss is at least ``first`` (nats) or which are in the control sample."""
        return self.row[self.labelled & ((self.int8 >= first) | np.isin(self.row, control))]

    def left(self, first: float, cut: float, control: Rows) -> Rows:
        """Return the labelled rows, without the sample, below ``first`` (int8 nats) and from ``cut`` (log-odds) up."""
        chosen = self.labelled & (self.int8 < first) & (doubt(self.int8) >= cut)
        return self.row[chosen & ~np.isin(self.row, control)]

    def known(self, first: float, control: Rows) -> Doubts:
        """Return three values for each row rescored first [3, m]: int8 loss, fp32 loss, and 1 if the sample has it."""
        sampled = np.isin(self.row, control)
        chosen = ((self.int8 >= first) | sampled) & np.isfinite(self.fp32)
        return np.stack([self.int8[chosen], self.fp32[chosen], sampled[chosen]])


@dataclass(frozen=True)
class _Tail:
    """The tail of the errors: above their 95% quantile, larger errors are exponentially rarer (peaks over threshold).

    The method is from Pickands, Statistical inference using extreme order statistics (1975). The tail index is taken
    as 0.
    """

    start: float
    scale: float

    @classmethod
    def of(cls, errors: Doubts) -> "_Tail":
        errors = errors[np.isfinite(errors)]
        start = float(np.quantile(errors, _TAIL))
        return cls(start, max(float(np.mean(errors[errors >= start] - start)), 1e-9))

    def beyond(self, sizes: Doubts) -> Doubts:
        """Return the probability [n] of an error larger than each size [n]."""
        result: Doubts = (1 - _TAIL) * np.exp(-np.maximum(sizes - self.start, 0.0) / self.scale)
        return result


def _report(run: RunDirectory, top_k: int, control: Rows, margin: float | None, tail: _Tail | None) -> ScreenReport:
    threshold = _kth_largest((shard.fp32[np.isfinite(shard.fp32)] for shard in _shards(run)), top_k)
    if threshold is None:  # no row that has a label has a loss
        return ScreenReport(top_k=top_k, rescored=0)
    reach = float(doubt(np.array([threshold]))[0])
    missed = rescored = 0.0
    sample: list[Doubts] = []
    for shard in _shards(run):
        left = shard.labelled & np.isnan(shard.fp32)
        if tail is not None:
            missed += float(tail.beyond(reach - doubt(shard.int8[left])).sum())
        sampled = np.isin(shard.row, control)
        rescored += int(np.count_nonzero(np.isfinite(shard.fp32) & ~sampled))
        both = sampled & np.isfinite(shard.fp32) & np.isfinite(shard.int8)
        sample.append(np.stack([shard.int8[both], shard.fp32[both]]))
    int8, fp32 = np.concatenate(sample, axis=1)
    apart = np.abs(fp32 - int8)
    return ScreenReport(
        top_k=top_k,
        rescored=int(rescored),
        threshold=threshold,
        margin=margin,
        expected_missed=missed,
        estimated_recall=max(0.0, 1.0 - missed / top_k),
        control=ControlErrors(
            rows=len(apart),
            mean_error=float(apart.mean()) if len(apart) else 0.0,
            error_quantiles={str(q): float(np.quantile(apart, q)) for q in _QUANTILES} if len(apart) else {},
            largest_error=float(apart.max(initial=0.0)),
        ),
    )


def _shards(run: RunDirectory) -> Iterator[_Shard]:
    return (_Shard.read(run, index) for index in range(run.num_shards))


def _quantile(errors: Doubts, share: float) -> float:
    return float(np.quantile(errors[np.isfinite(errors)], share, method="higher"))


def _kth_largest(parts: Iterator[Doubts], k: int) -> float | None:
    """Return the k-th largest value of all parts, the smallest value if there are fewer than k, None if none."""
    largest = np.zeros(0)
    for part in parts:
        largest = np.concatenate([largest, part])
        if len(largest) > k:
            largest = np.partition(largest, len(largest) - k)[-k:]
    return float(largest.min()) if len(largest) else None


def _equal(column: pa.ChunkedArray, word: str) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = pc.equal(column, word).fill_null(False).to_numpy()
    return result


def _losses(column: pa.ChunkedArray) -> Doubts:
    result: Doubts = column.combine_chunks().fill_null(float("nan")).to_numpy(zero_copy_only=False).astype(np.float64)
    return result
