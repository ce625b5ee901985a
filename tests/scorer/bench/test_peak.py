"""peak: the products are real ones, counted right, on as many threads as asked for."""

import itertools
import os
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from scorer.bench import peak
from scorer.bench.peak import SHAPES, best_rate, matmul_model, matrix_peak


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (4, 200, 300)])
def test_the_model_written_by_hand_is_a_matrix_product(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    random = np.random.default_rng(0)
    left, weight = random.normal(size=(m, k)).astype(np.float32), random.normal(size=(k, n)).astype(np.float32)
    written = matmul_model(weight)
    model = onnx.load_from_string(written)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    assert np.array_equal(numpy_helper.to_array(model.graph.initializer[0]), weight)
    session = ort.InferenceSession(written, providers=["CPUExecutionProvider"])
    (found,) = session.run(["c"], {"a": left})
    np.testing.assert_allclose(found, left @ weight, rtol=1e-4, atol=1e-5)


def test_the_rate_is_that_of_the_best_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    # Read before and after each repeat: two to warm up, then repeats of 0.04, 0.01 and 0.06 seconds.
    lengths = [9.0, 0.005, 0.04, 0.01, 0.06]
    clock = iter([at for end, length in zip(itertools.accumulate(lengths), lengths, strict=True)
                  for at in (end - length, end)])  # fmt: skip
    monkeypatch.setattr(peak, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    done: list[int] = []
    rate = best_rate(lambda: done.append(1), 2, 0.1)
    # 0.005 seconds a product: four of them in a repeat, on each of two threads.
    assert len(done) == 2 * (1 + 1 + 3 * 4)
    assert rate == pytest.approx(2 * 4 / 0.01)


def test_it_is_the_largest_of_all_shapes_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float]] = []
    rates = iter([3.0, 1.0, 2.0, 7.0, 1.0, 1.0])

    def fake(product: peak.Product, threads: int, seconds: float) -> float:
        product()
        asked.append((threads, seconds))
        return next(rates)

    monkeypatch.setattr(peak, "best_rate", fake)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    operations = [2.0 * m * k * n for m, k, n in SHAPES]
    found = matrix_peak(3, 6.0)
    assert found == max(3 * operations[0], 7 * operations[1], 2 * operations[1], operations[2])
    # onnxruntime on three threads, numpy by one call of three threads of its own.
    assert asked == [(3, 1.0), (1, 1.0)] * len(SHAPES)


def test_numpy_is_left_out_where_it_would_use_more_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(peak, "best_rate", lambda product, threads, seconds: float(asked.append(threads) or 1))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    matrix_peak(2)
    assert asked == [2] * len(SHAPES)


def test_a_measurement_is_a_number_of_operations_a_second() -> None:
    found = matrix_peak(2, 0.01)
    assert np.isfinite(found)
    assert found > 1e6


def test_threads_must_be_positive() -> None:
    with pytest.raises(ValueError, match="threads is 0; it must be at least 1"):
        matrix_peak(0)
