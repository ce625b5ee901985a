"""matrix_peak(): the best rate at which this machine multiplies fp32 matrices, on a number of cores."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.model.session import import_onnxruntime

# [m, k] times [k, n]: a square product, MiniLM's feed-forward and BERT's projections on a batch of 1,024 tokens. Larger
# products (1024, 768, 3072 and 2048 cubed) were 1 to 12% slower, and their memory would count as the run's.
SHAPES = ((512, 512, 512), (1024, 384, 1536), (1024, 768, 768))
_REPEAT_SECONDS = 0.02  # long enough to hide the start of threads, short enough that some repeats are undisturbed
_LEAST_REPEATS = 3

Product = Callable[[], object]


def matrix_peak(threads: int, seconds: float = 1.0) -> float:
    """Return the largest measured rate, in floating-point operations per second; a multiply-add counts as two.

    The rate is the best of many short repeats, over a few shapes and two libraries, after a warm-up. The best is taken,
    not the average, because a peak that is too low makes scoring look too fast. Measuring takes about ``seconds``
    seconds, more on a slow machine.

    Raises:
        ValueError: ``threads`` is not positive.
        DeviceError: onnxruntime is missing or installed twice.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; it must be at least 1")
    ort = import_onnxruntime()
    random = np.random.default_rng(0)
    # onnxruntime 1.32 gets 445 GFLOP/s of two Zen 5 cores (240 of one), numpy 2.4's OpenBLAS 0.3.31 gets 229 (121),
    # because OpenBLAS has no AVX-512 kernel for that CPU. On other CPUs numpy may be faster, so numpy is tried too,
    # unless it would use more than ``threads`` cores: it starts a thread for each core of the affinity mask.
    with_numpy = threads >= len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else False
    best = 0.0
    for m, k, n in SHAPES:
        left = random.standard_normal((m, k), dtype=np.float32)
        right = random.standard_normal((k, n), dtype=np.float32)
        products = [(_by_onnxruntime(ort, left, right), threads)]
        if with_numpy:
            products.append((_by_numpy(left, right), 1))
        for product, at_once in products:
            share = seconds / len(SHAPES) / len(products)
            best = max(best, 2.0 * m * k * n * best_rate(product, at_once, share))
    return best


def best_rate(product: Product, threads: int, seconds: float) -> float:
    """Return the calls of ``product`` per second, summed over ``threads`` threads, in the best of the repeats.

    Repeats go on for about ``seconds`` seconds.
    """

    def repeat(calls: int) -> float:
        def work(_: int) -> None:
            for _ in range(calls):
                product()

        started = time.perf_counter()
        for _ in executor.map(work, range(threads)):
            pass
        return max(time.perf_counter() - started, 1e-9)

    with ThreadPoolExecutor(threads, thread_name_prefix="peak") as executor:
        repeat(1)  # starts the threads, and allocates the memory that the library keeps
        calls = max(1, round(_REPEAT_SECONDS / repeat(1)))
        times: list[float] = []
        while len(times) < _LEAST_REPEATS or sum(times) < seconds:
            times.append(repeat(calls))
    return threads * calls / min(times)


def _by_onnxruntime(ort: ModuleType, left: NDArray[np.float32], right: NDArray[np.float32]) -> Product:
    """Return a product that onnxruntime computes as in ``OrtSession``: on one core, with weights packed beforehand."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(matmul_model(right), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["c"], {"a": left})


def _by_numpy(left: NDArray[np.float32], right: NDArray[np.float32]) -> Product:
    out: NDArray[Any] = np.empty((len(left), right.shape[1]), np.float32)
    return lambda: np.matmul(left, right, out=out)


def matmul_model(weight: NDArray[np.float32]) -> bytes:
    """Return an ONNX model of ``c [m, n] = a [m, k] @ weight [k, n]``, written without the onnx package.

    The field numbers come from onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
    """
    k, n = weight.shape

    def value(name: str, columns: int) -> bytes:
        dimensions = _field(1, _field(2, b"m")) + _field(1, _field(1, columns))
        return _field(1, name.encode()) + _field(2, _field(1, _field(1, 1) + _field(2, dimensions)))

    node = _field(1, b"a") + _field(1, b"b") + _field(2, b"c") + _field(4, b"MatMul")
    tensor = _field(1, k) + _field(1, n) + _field(2, 1) + _field(8, b"b") + _field(9, weight.astype("<f4").tobytes())
    graph = _field(1, node) + _field(2, b"matmul") + _field(5, tensor)
    graph += _field(11, value("a", k)) + _field(12, value("c", n))
    opset = _field(1, b"") + _field(2, 17)
    return _field(1, 9) + _field(7, graph) + _field(8, opset)  # IR version 9


def _field(number: int, value: int | bytes) -> bytes:
    """Return a field of a protobuf message: a varint, or bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    low = bytearray()
    while value > 0x7F:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*low, value])
