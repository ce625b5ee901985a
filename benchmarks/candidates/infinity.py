"""infinity_emb's `classify` on torch; its engine sorts by length.

It needs an older numpy than lossrank, so it has its own environment; see the Makefile.
"""

import asyncio
import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import BATCH, Info, Job, Scored, Scorer

INFO = Info("infinity_emb classify, torch", ("infinity_emb", "torch", "transformers", "numpy"), sorts=True)


def load(job: Job) -> Scorer:
    """Start the engine, which keeps running between repeats, as in infinity's server."""
    import torch
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    torch.set_num_threads(job.cores)
    logging.disable(logging.WARNING)
    engine = AsyncEmbeddingEngine.from_args(
        EngineArgs(
            model_name_or_path=str(job.folder),
            engine="torch",
            device="cpu",
            dtype="float32",
            batch_size=BATCH,
            bettertransformer=False,
            model_warmup=False,
        )
    )
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.astart())

    def score(texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        rows, _ = loop.run_until_complete(engine.classify(sentences=list(texts), raw_scores=False))
        names = [job.classes[label] for label in labels]
        probs = [{found["label"]: found["score"] for found in row}[name] for row, name in zip(rows, names, strict=True)]
        return Scored(-np.log(np.maximum(np.array(probs, dtype=np.float64), 1e-38)))

    return score
