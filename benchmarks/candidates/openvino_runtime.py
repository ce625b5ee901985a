"""OpenVINO's native runtime on length-sorted batches, with the better of its two performance hints."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.batches import by_length, load_tokenizer, pad, tokenise
from benchmarks.protocol import Job, Scored, cross_entropy

# Tokens per batch with padding, by hint: LATENCY runs one batch on all cores, THROUGHPUT one on each core.
_BATCH_TOKENS = {"LATENCY": 2048, "THROUGHPUT": 1024}


class OpenVinoScorer:
    """A compiled model; the warm-up finds which hint is faster on this machine."""

    def __init__(self, model: Any, job: Job, **properties: Any) -> None:
        import openvino

        self._job = job
        self._tokenizer = load_tokenizer(job.folder, job.limit)
        self._names = [port.get_any_name() for port in model.inputs]
        core = openvino.Core()
        common = {"INFERENCE_NUM_THREADS": job.cores, "EXECUTION_MODE_HINT": "PERFORMANCE", **properties}
        self._compiled = {
            hint: core.compile_model(model, "CPU", {"PERFORMANCE_HINT": hint, **common}) for hint in _BATCH_TOKENS
        }
        self._seconds: dict[str, float] = {}

    def __call__(self, texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        """Return the losses of the rows; the first call tries each hint twice and keeps the faster one."""
        if len(self._compiled) > 1:
            for hint in [*self._compiled] * 2:
                started = time.perf_counter()
                self._logits(hint, texts)
                self._seconds[hint] = time.perf_counter() - started
            best = min(self._compiled, key=self._seconds.__getitem__)
            self._compiled = {best: self._compiled[best]}
        (hint,) = self._compiled
        notes = {"hint": hint, "batch_tokens": _BATCH_TOKENS[hint], "hint_seconds": self._seconds}
        return Scored(cross_entropy(self._logits(hint, texts), labels), notes=notes)

    def _logits(self, hint: str, texts: Sequence[str]) -> NDArray[np.float32]:
        import openvino

        ids = tokenise(self._tokenizer, texts)
        logits = np.empty((len(ids), len(self._job.classes)), dtype=np.float32)

        def keep(request: Any, rows: NDArray[np.int64]) -> None:
            logits[rows] = request.get_output_tensor(0).data

        queue = openvino.AsyncInferQueue(self._compiled[hint])
        queue.set_callback(keep)
        for rows in by_length(ids, _BATCH_TOKENS[hint]):
            inputs = pad(ids, rows)
            queue.start_async({name: inputs[name] for name in self._names}, rows)
        queue.wait_all()
        return logits
