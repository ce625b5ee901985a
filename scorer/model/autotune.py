"""calibrate(): find the number of tokens per batch that is fastest on this machine, measured on rows of the run.

Small batches stay in a CPU's caches; large batches spread an operator's fixed cost over more tokens. 512 tokens suit
most machines. Another size is chosen only if it is clearly faster, so that repeated runs tend to get the same batches.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from scorer.model.calibration import Calibration
from scorer.model.engine import Engine
from scorer.model.session import Session
from scorer.model.tokenizer import TokenWindow

DEFAULT = 512
_SIZES = (512, 1024, 256, 2048, 4096)
_CLEARLY = 1.05  # times as fast as the default
_ROUNDS = 3
_BATCHES = 8  # per thread and round, at the default size
_SHARE = 0.03  # the most of the run's expected time that calibration may take; if it needs more, the default is used


def calibrate(
    session: Session,
    runners: ThreadPoolExecutor,
    tokens: TokenWindow,
    pad_id: int,
    num_classes: int,
    num_rows: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Calibration:
    """Choose the batch size for a run of ``num_rows`` rows by timing some of its texts, in at most 3% of its time.

    The fastest size replaces the default if its median speed in three interleaved rounds is more than 5% higher.
    """
    sample = _sample(tokens, DEFAULT * _BATCHES * session.threads)
    count = int(sample.lengths.sum())

    def speed(size: int) -> float:
        started = clock()
        Engine(session, runners, size, pad_id).start(sample, num_classes).logits()
        return count / max(clock() - started, 1e-9)

    if not count:
        return Calibration(DEFAULT, {}, "no text to time batches on")
    speed(DEFAULT)  # the first run allocates
    pace = speed(DEFAULT)
    expected = num_rows * float(tokens.lengths.mean()) / pace
    if expected * _SHARE < _ROUNDS * len(_SIZES) * count / pace:
        return Calibration(DEFAULT, {}, f"a run of about {expected:.0f} s is too short to try others")
    speeds: dict[int, list[float]] = {size: [] for size in _SIZES}
    for _ in range(_ROUNDS):
        for size in _SIZES:
            speeds[size].append(speed(size))
    medians = {size: float(np.median(measured)) for size, measured in speeds.items()}
    best = max(medians, key=lambda size: medians[size])
    chosen = best if medians[best] > _CLEARLY * medians[DEFAULT] else DEFAULT
    return Calibration(chosen, {str(size): medians[size] for size in sorted(medians)}, "tried on this data")


def _sample(tokens: TokenWindow, wanted: int) -> TokenWindow:
    """Return every k-th text in order of length: texts of all lengths, with about ``wanted`` tokens in total."""
    order = np.argsort(tokens.lengths, kind="stable")
    step = max(1, int(tokens.lengths.sum()) // max(wanted, 1))
    return tokens.take(order[min(step // 2, len(order) - 1) :: step])
