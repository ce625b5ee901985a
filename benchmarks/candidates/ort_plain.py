"""onnxruntime on optimum's unchanged graph, in batches of 32 in the data's order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.batches import in_order, load_tokenizer, pad, tokenise
from benchmarks.protocol import BATCH, Info, Job, Scored, Scorer, cross_entropy

INFO = Info("onnxruntime, batches in data order", ("onnxruntime", "tokenizers", "numpy"), sorts=False)


def load(job: Job) -> Scorer:
    """Open a session on all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.cores
    session = onnxruntime.InferenceSession(str(job.graph), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    tokenizer = load_tokenizer(job.folder, job.limit)

    def score(texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        ids = tokenise(tokenizer, texts)
        logits = np.empty((len(ids), len(job.classes)), dtype=np.float32)
        for rows in in_order(len(ids), BATCH):
            inputs = pad(ids, rows)
            logits[rows] = session.run(None, {name: inputs[name] for name in names})[0]
        return Scored(cross_entropy(logits, labels))

    return score
