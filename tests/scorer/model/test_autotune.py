"""calibrate: the default batch size is left only for one that is clearly faster; the clock is the test's own."""

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from scorer.model.autotune import DEFAULT, calibrate
from scorer.model.buckets import Bucket
from scorer.model.calibration import Calibration
from scorer.model.tokenizer import TokenWindow

SIZES = [256, 512, 1024, 2048, 4096]
OTHER = DEFAULT * 2
SAMPLE = 4096  # tokens a thread
LENGTH = 16  # divides every size: a batch has as many tokens as its size
MANY = 10_000_000
Speed = Callable[[int, int], float]  # tokens a second of a batch size, the n-th time that it is tried


class Simulated:
    """A session whose batches take the time that a test says, on a clock of its own."""

    device = "cpu"

    def __init__(self, speed: Speed, threads: int = 1) -> None:
        self.threads = threads
        self.lengths: list[list[int]] = []  # of each batch
        self.tried: list[int] = []  # batch sizes, in the order of the rounds
        self._speed = speed
        self._seconds = 0.0

    def clock(self) -> float:
        return self._seconds

    def run(self, bucket: Bucket) -> NDArray[np.float32]:
        size = bucket.input_ids.size
        fed = sum(map(sum, self.lengths))
        self.lengths.append(bucket.attention_mask.sum(axis=1).tolist())
        if fed % SAMPLE == 0:  # a new round over the whole sample
            self.tried.append(size)
        self._seconds += size / self._speed(size, self.tried.count(size))
        return np.zeros((len(bucket.row), 2), dtype=np.float32)


def window_of(lengths: list[int]) -> TokenWindow:
    """Texts that are all different."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenWindow(offsets, np.arange(offsets[-1], dtype=np.int32), None, np.zeros(len(lengths), np.bool_))


def chosen(session: Simulated, rows: int = MANY, lengths: list[int] | None = None) -> Calibration:
    with ThreadPoolExecutor(1) as runners:
        window = window_of([LENGTH] * 1024 if lengths is None else lengths)
        return calibrate(session, runners, window, 0, 2, rows, session.clock)


def steady(speeds: dict[int, float] | None = None) -> Speed:
    """The same speed each time, 1,000 tokens a second where none is given."""
    return lambda size, nth: (speeds or {}).get(size, 1000.0)


@pytest.mark.parametrize(
    ("speeds", "size"),
    [
        ({}, DEFAULT),
        ({OTHER: 1040.0, 4096: 1045.0}, DEFAULT),
        ({OTHER: 1060.0}, OTHER),
        ({4096: 1060.0}, 4096),
        ({256: 1500.0, 2048: 1600.0}, 2048),
        ({DEFAULT: 2000.0}, DEFAULT),
        ({DEFAULT: 2000.0, 256: 2095.0}, DEFAULT),
        ({DEFAULT: 2000.0, 256: 2110.0}, 256),
    ],
)
def test_a_size_has_to_be_a_twentieth_faster(speeds: dict[int, float], size: int) -> None:
    assert chosen(Simulated(steady(speeds))).batch_tokens == size


@pytest.mark.parametrize(("fast", "size"), [({1}, DEFAULT), ({2}, DEFAULT), ({1, 3}, OTHER), ({2, 3}, OTHER)])
def test_the_median_of_three_rounds_decides(fast: set[int], size: int) -> None:
    found = chosen(Simulated(lambda tokens, nth: 9000.0 if tokens == OTHER and nth in fast else 1000.0))
    assert found.batch_tokens == size


def test_a_slow_first_round_is_not_held_against_the_default() -> None:
    """Its first two are of no account: one warms up, one measures the pace; then one round of three is slow."""
    slow = {1, 2, 3}
    found = chosen(Simulated(lambda tokens, nth: 100.0 if tokens == DEFAULT and nth in slow else 1000.0))
    assert found.batch_tokens == DEFAULT
    assert found.tokens_per_second[str(DEFAULT)] == pytest.approx(1000.0)


def test_the_first_run_does_not_set_the_pace() -> None:
    """It takes so long that the run would seem long enough to try other sizes."""
    session = Simulated(lambda size, nth: 1.0 if nth == 1 else 1000.0)
    assert "a run of about 1600 s is too short" in chosen(session, rows=100_000).why


def test_the_rounds_are_interleaved() -> None:
    session = Simulated(steady())
    chosen(session)
    warm, rounds = session.tried[:2], [session.tried[at : at + 5] for at in (2, 7, 12)]
    assert warm == [DEFAULT, DEFAULT]
    assert len(session.tried) == 17
    assert rounds[0] == rounds[1] == rounds[2]
    assert sorted(rounds[0]) == SIZES


def test_what_was_tried_is_recorded() -> None:
    speeds = dict.fromkeys(SIZES, 900.0) | {4096: 1100.0}
    found = chosen(Simulated(lambda size, nth: speeds[size] + nth))
    record = json.loads(json.dumps(found.to_dict()))
    assert record == {
        "batch_tokens": 4096,
        # The second of three rounds; the default was run twice before.
        "tokens_per_second": pytest.approx({str(n): speeds[n] + (4 if n == DEFAULT else 2) for n in SIZES}),
        "why": "tried on this data",
    }
    assert list(record["tokens_per_second"]) == [str(size) for size in SIZES]


@pytest.mark.parametrize(("rows", "rounds"), [(1, 2), (127_000, 2), (129_000, 17)])
def test_trying_may_take_three_hundredths_of_the_run(rows: int, rounds: int) -> None:
    # 15 tries of 4,096 tokens are 3% of 2,048,000 tokens, of 128,000 rows of 16.
    session = Simulated(steady({OTHER: 2000.0}))
    found = chosen(session, rows)
    assert len(session.tried) == rounds
    if rounds == 2:
        assert found == Calibration(DEFAULT, {}, f"a run of about {rows * 16 / 1000:.0f} s is too short to try others")
    else:
        assert found.batch_tokens == OTHER


@pytest.mark.parametrize("lengths", [[], [0], [0] * 50])
def test_without_text_nothing_is_tried(lengths: list[int]) -> None:
    session = Simulated(steady())
    assert chosen(session, lengths=lengths) == Calibration(DEFAULT, {}, "no text to time batches on")
    assert session.lengths == []


@pytest.mark.parametrize("threads", [1, 3])
def test_the_sample_has_texts_of_all_lengths_and_so_many_tokens_a_thread(threads: int) -> None:
    lengths = np.random.default_rng(0).permutation(np.arange(1, 513)).tolist() * 2
    session = Simulated(steady(), threads)
    chosen(session, rows=1, lengths=lengths)
    fed = sorted(itertools.chain(*session.lengths))[::2]  # two rounds
    assert sum(fed) == pytest.approx(SAMPLE * threads, rel=0.1)
    steps = np.diff([0, *fed, 513])
    assert steps.max() <= 1.5 * np.median(steps)


def test_a_few_texts_are_all_tried() -> None:
    session = Simulated(steady())
    chosen(session, rows=1, lengths=[3, 0, 1, 200])
    assert sorted(itertools.chain(*session.lengths)) == [1, 1, 3, 3, 200, 200]


def test_very_long_texts_are_tried_too() -> None:
    session = Simulated(steady())
    chosen(session, rows=1, lengths=[3 * SAMPLE])
    assert session.lengths
