"""Losses from a transformers text-classification pipeline, for the two candidates that are one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import BATCH, Job, Scored, Scorer


def score_by_pipeline(pipe: Any, job: Job) -> Scorer:
    """Return a scorer that asks the pipeline for every class's probability."""

    def score(texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        found = pipe(list(texts), batch_size=BATCH, top_k=None, truncation=True, max_length=job.limit)
        names = [job.classes[label] for label in labels]
        probs = [
            next(each["score"] for each in row if each["label"] == name) for row, name in zip(found, names, strict=True)
        ]
        return Scored(-np.log(np.maximum(np.array(probs, dtype=np.float64), 1e-38)))

    return score
