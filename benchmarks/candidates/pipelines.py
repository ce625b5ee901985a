"""Compute losses with a transformers text-classification pipeline, for the two candidates that use one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import BATCH, Job, Scored, Scorer


def score_by_pipeline(pipe: Any, job: Job) -> Scorer:
    """Return a scorer that asks the pipeline for the probabilities of all classes."""

    def score(texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        rows = pipe(list(texts), batch_size=BATCH, top_k=None, truncation=True, max_length=job.limit)
        names = [job.classes[label] for label in labels]
        probs = [
            next(found["score"] for found in row if found["label"] == name)
            for row, name in zip(rows, names, strict=True)
        ]
        return Scored(-np.log(np.maximum(np.array(probs, dtype=np.float64), 1e-38)))

    return score
