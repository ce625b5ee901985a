"""CTranslate2's encoder on length-sorted batches, with the classifier's head in numpy.

CTranslate2 has the encoders of BERT and DistilBERT but no classifiers, so the user must write the head.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.batches import by_length, load_tokenizer, tokenise
from benchmarks.protocol import Info, Job, Scored, Scorer, cross_entropy

INFO = Info("CTranslate2, sorted", ("ctranslate2", "tokenizers", "numpy"), sorts=True, tolerance=1e-3)
_BATCH_TOKENS = 2048

Head = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def load(job: Job) -> Scorer:
    """Convert the model once; the warm-up chooses between one batch per core and one batch on all cores."""
    import ctranslate2

    folder = job.graph.with_name("ctranslate2")
    if not folder.exists():
        part = folder.with_name("ctranslate2.part")
        ctranslate2.converters.TransformersConverter(str(job.folder)).convert(str(part), force=True)
        part.rename(folder)
    ways = {"a batch per core": (job.cores, 1), "a batch on all cores": (1, job.cores)}
    encoders = {
        way: ctranslate2.Encoder(str(folder), "cpu", compute_type="float32", inter_threads=inter, intra_threads=intra)
        for way, (inter, intra) in ways.items()
    }
    tokenizer = load_tokenizer(job.folder, job.limit)
    head = _head(job.folder)
    seconds: dict[str, float] = {}

    def logits(way: str, texts: Sequence[str]) -> NDArray[np.float32]:
        ids = tokenise(tokenizer, texts)
        found = np.empty((len(ids), len(job.classes)), dtype=np.float32)

        def run(rows: NDArray[np.int64]) -> None:
            hidden = encoders[way].forward_batch([ids[row] for row in rows]).last_hidden_state
            found[rows] = head(np.array(hidden)[:, 0])

        with ThreadPoolExecutor(ways[way][0]) as pool:
            list(pool.map(run, by_length(ids, _BATCH_TOKENS)))
        return found

    def score(texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        if len(encoders) > 1:  # the warm-up
            for way in [*ways] * 2:
                started = time.perf_counter()
                logits(way, texts)
                seconds[way] = time.perf_counter() - started
            for way in sorted(encoders, key=seconds.__getitem__)[1:]:
                del encoders[way]
        (way,) = encoders
        notes = {"threads": way, "threads_seconds": seconds, "batch_tokens": _BATCH_TOKENS}
        return Scored(cross_entropy(logits(way, texts), labels), notes=notes)

    return score


def _head(folder: Path) -> Head:
    """Return the head of BERT or DistilBERT: a function from the first token's hidden states to logits."""
    from safetensors.numpy import load_file

    weights: dict[str, Any] = load_file(folder / "model.safetensors")
    bert = "bert.pooler.dense.weight" in weights
    first = "bert.pooler.dense" if bert else "pre_classifier"

    def head(hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        inner = hidden @ weights[f"{first}.weight"].T + weights[f"{first}.bias"]
        inner = np.tanh(inner) if bert else np.maximum(inner, 0)
        return inner @ weights["classifier.weight"].T + weights["classifier.bias"]

    return head
