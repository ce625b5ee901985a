"""engine: every text gets its own logits, equal texts are run once, and the bookkeeping adds up."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer.model import engine
from scorer.model.buckets import Bucket
from scorer.model.engine import BatchDone, Engine, distinct
from scorer.model.tokenizer import TokenWindow

PAD, CLASSES = 7, 3
Text = tuple[tuple[int, int], ...]  # (id, type id) of each token
BUDGETS = st.integers(1, 40)
TEXTS = st.lists(  # of so few tokens that many are the same
    st.lists(st.tuples(st.integers(5, 8), st.integers(0, 1)), max_size=4).map(tuple), max_size=30
)


class HandSession:
    """Logits that can be computed by hand from a row's real tokens, their places and types; keeps what it was fed."""

    def __init__(self, device: str = "cpu", fail_at: int | None = None) -> None:
        self.device, self.threads = device, 2
        self.batches: list[list[Text]] = []
        self._fail_at = fail_at
        self._lock = threading.Lock()

    def run(self, bucket: Bucket) -> NDArray[np.float32]:
        types = np.zeros_like(bucket.input_ids) if bucket.token_type_ids is None else bucket.token_type_ids
        rows: list[Text] = [
            tuple(zip(ids[mask == 1].tolist(), kinds[mask == 1].tolist(), strict=True))
            for ids, mask, kinds in zip(bucket.input_ids, bucket.attention_mask, types, strict=True)
        ]
        with self._lock:
            self.batches.append(rows)
            if self._fail_at is not None and len(self.batches) > self._fail_at:
                raise RuntimeError("the model broke")
        return np.array([by_hand(row) for row in rows], dtype=np.float32)


def by_hand(text: Text) -> list[float]:
    """Return the logits of a text, NaN where it has no token."""
    if not text:
        return [float("nan")] * CLASSES
    places = enumerate(text, start=1)
    return [
        float(sum(i * at for at, (i, _) in places)),
        float(len(text)),
        float(sum(10**n * t for n, (_, t) in enumerate(text))),
    ]


def window_of(texts: list[Text], *, type_ids: bool = True) -> TokenWindow:
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    flat = np.array([token for text in texts for token in text], dtype=np.int32).reshape(-1, 2)
    types = flat[:, 1].copy() if type_ids else None
    return TokenWindow(offsets, flat[:, 0].copy(), types, np.zeros(len(texts), dtype=np.bool_))


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as runners:
        yield runners


@pytest.fixture
def single() -> Iterator[ThreadPoolExecutor]:
    """One runner: batches come in the order in which they were handed over."""
    with ThreadPoolExecutor(1) as runners:
        yield runners


@settings(max_examples=150, deadline=None)
@given(TEXTS, BUDGETS)
def test_every_text_gets_its_own_logits_whatever_the_batches(
    pool: ThreadPoolExecutor, texts: list[Text], budget: int
) -> None:
    logits = Engine(HandSession(), pool, budget, PAD).start(window_of(texts), CLASSES).logits()
    assert logits.dtype == np.float32
    assert logits.shape == (len(texts), CLASSES)
    np.testing.assert_array_equal(logits, np.array([by_hand(text) for text in texts]).reshape(-1, CLASSES))


@settings(max_examples=150, deadline=None)
@given(TEXTS, BUDGETS, st.booleans())
def test_equal_tokens_are_run_once_and_counted_as_often_as_they_are_there(
    pool: ThreadPoolExecutor, texts: list[Text], budget: int, type_ids: bool
) -> None:
    if not type_ids:
        texts = [tuple((i, 0) for i, _ in text) for text in texts]
    session, seen = HandSession(), list[BatchDone]()
    running = Engine(session, pool, budget, PAD).start(window_of(texts, type_ids=type_ids), CLASSES)
    running.logits(seen.append)
    wanted = {text for text in texts if text}
    assert sorted(row for batch in session.batches for row in batch) == sorted(wanted)
    some = [text for text in texts if text]  # a text of no token is not run at all
    assert running.duplicates == len(some) - len(set(some))
    assert len(seen) == len(session.batches)
    assert sum(done.rows for done in seen) == sum(1 for text in texts if text)
    assert sum(done.tokens for done in seen) == sum(map(len, wanted))
    sizes = [len(batch) * max(map(len, batch)) for batch in session.batches]
    assert sorted(done.padded_tokens for done in seen) == sorted(sizes)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_distinct_names_the_first_text_of_each_kind(texts: list[Text]) -> None:
    first, same = distinct(window_of(texts))
    assert first.tolist() == [i for i, text in enumerate(texts) if text not in texts[:i]]
    assert [texts[first[place]] for place in same] == texts
    assert first.dtype == same.dtype == np.int64


def test_a_batch_tells_of_the_copies_of_its_own_rows(single: ThreadPoolExecutor) -> None:
    long, short, other = ((5, 0),) * 3, ((6, 0),), ((8, 0),) * 2
    seen = list[BatchDone]()
    window = window_of([short, long, (), short, other, long, short])
    Engine(HandSession(), single, 4, PAD).start(window, CLASSES).logits(seen.append)
    assert seen == [BatchDone(2, 3, 3), BatchDone(1 + 3, 3, 4)]


def test_batches_are_handed_over_at_the_start_the_longest_first(single: ThreadPoolExecutor) -> None:
    session = HandSession()
    texts: list[Text] = [((5, 0),) * n for n in (2, 9, 4, 1, 7)]
    work = Engine(session, single, 9, PAD)
    first, second = work.start(window_of(texts), CLASSES), work.start(window_of(texts[:1]), CLASSES)
    single.shutdown(wait=True)  # nobody has asked for the logits yet
    assert [max(map(len, batch)) for batch in session.batches] == [9, 7, 4, 1, 2]
    assert second.logits()[:, 1].tolist() == [2]
    assert first.logits()[:, 1].tolist() == [2, 9, 4, 1, 7]


@pytest.mark.parametrize("fail_at", [0, 2])
def test_what_a_batch_raises_is_passed_on(single: ThreadPoolExecutor, fail_at: int) -> None:
    texts: list[Text] = [((5, 0),) * n for n in range(1, 6)]
    seen = list[BatchDone]()
    running = Engine(HandSession(fail_at=fail_at), single, 1, PAD).start(window_of(texts), CLASSES)
    with pytest.raises(RuntimeError, match="the model broke"):
        running.logits(seen.append)
    assert len(seen) == fail_at


def test_what_the_callback_raises_is_passed_on(single: ThreadPoolExecutor) -> None:
    def stop(done: BatchDone) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Engine(HandSession(), single, 9, PAD).start(window_of([((5, 0),)]), CLASSES).logits(stop)


@pytest.mark.parametrize(("device", "each"), [("cpu", 1.0), ("cuda", 100.0)])
def test_seconds_are_of_the_processor_on_a_cpu_and_of_the_clock_on_a_gpu(
    single: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, device: str, each: float
) -> None:
    session = HandSession(device)  # the clocks go on when it runs, and only then
    done = session.batches
    clocks = SimpleNamespace(thread_time=lambda: 1.0 * len(done), perf_counter=lambda: 100.0 * len(done))
    monkeypatch.setattr(engine, "time", clocks)
    work = Engine(session, single, 1, PAD)
    assert work.seconds == 0
    for windows in (1, 2):
        work.start(window_of([((5, 0),) * n for n in (1, 2, 3)]), CLASSES).logits()
        assert work.seconds == windows * 3 * each


def test_a_window_without_texts_runs_nothing(pool: ThreadPoolExecutor) -> None:
    session = HandSession()
    running = Engine(session, pool, 9, PAD).start(window_of([]), CLASSES)
    assert running.logits().shape == (0, CLASSES)
    assert (session.batches, running.duplicates) == ([], 0)


class FullSession(HandSession):
    """Has no memory for a text of nine tokens while others run, or never; keeps how many ran beside it."""

    def __init__(self, *, ever: bool) -> None:
        super().__init__()
        self.beside: list[int] = []
        self._ever = ever
        self._running = 0
        self._both = threading.Barrier(2, timeout=60)
        self._failed = threading.Event()

    def run(self, bucket: Bucket) -> NDArray[np.float32]:
        with self._lock:
            self._running += 1
        try:
            if not self._failed.is_set():
                self._both.wait()  # the large text and the first of the others, side by side
            if bucket.input_ids.shape[1] < 9:
                self._failed.wait(60)
                time.sleep(0.02)
                return super().run(bucket)
            self.beside.append(self._running - 1)
            if len(self.beside) == 1 or not self._ever:
                self._failed.set()
                raise MemoryError("Failed to allocate memory")
            time.sleep(0.02)
            self.beside.append(self._running - 1)
            return super().run(bucket)
        finally:
            with self._lock:
                self._running -= 1


LARGE: Text = ((5, 0),) * 9


@pytest.mark.parametrize("others", [1, 8])
def test_a_text_that_memory_was_too_small_for_is_tried_again_when_nothing_else_runs(
    pool: ThreadPoolExecutor, others: int
) -> None:
    session = FullSession(ever=True)
    texts: list[Text] = [LARGE, *(((6, 0),) * n for n in range(8, 8 - others, -1))]
    running = Engine(session, pool, 1, PAD).start(window_of(texts), CLASSES)
    np.testing.assert_array_equal(running.logits(), np.array([by_hand(text) for text in texts]))
    assert session.beside == [1, 0, 0]
    assert not running.no_memory.any()


def test_a_text_that_does_not_fit_alone_is_named_and_the_others_have_their_logits(pool: ThreadPoolExecutor) -> None:
    session = FullSession(ever=False)
    small: Text = ((6, 0),) * 8
    running = Engine(session, pool, 1, PAD).start(window_of([small, LARGE, (), small, LARGE]), CLASSES)
    logits = running.logits()
    np.testing.assert_array_equal(logits[[0, 3]], [by_hand(small)] * 2)
    assert np.isnan(logits[[1, 2, 4]]).all()
    assert running.no_memory.tolist() == [False, True, False, False, True]
    assert session.beside == [1, 0]


def test_a_text_of_pieces_fails_with_one_of_them_and_is_one_duplicate(single: ThreadPoolExecutor) -> None:
    class Small(HandSession):
        def run(self, bucket: Bucket) -> NDArray[np.float32]:
            if bucket.input_ids.shape[1] > 3:
                raise MemoryError
            return super().run(bucket)

    a, b, large = ((5, 0),), ((6, 0),) * 2, ((7, 0),) * 4
    pieces: list[Text] = [a, b, a, b, a, large, a, a, ()]
    of_text = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])
    window = replace(window_of(pieces), truncated=np.zeros(5, dtype=np.bool_), of_text=of_text)
    running = Engine(Small(), single, 1, PAD).start(window, CLASSES)
    logits = running.logits()
    assert running.no_memory.tolist() == [False, False, True, False, False]
    assert np.isnan(logits).all(axis=1).tolist() == [False, False, True, False, True]
    assert running.duplicates == 2  # texts 1 and 3, of four pieces that were not run; of text 2 one piece was
