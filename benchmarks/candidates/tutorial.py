"""The loop of the Rubrix tutorial "Clean labels using your model loss": datasets.map, a collator and torch.

The probabilities that the tutorial also computes, with a softmax over the batch, are left out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import BATCH, Info, Job, Scored, Scorer

INFO = Info("tutorial's loop: datasets.map, torch", ("torch", "transformers", "datasets", "tokenizers"), sorts=False)


def load(job: Job) -> Scorer:
    """Load the model as the tutorial does."""
    import datasets
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    torch.set_num_threads(job.cores)
    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(job.folder)
    model = AutoModelForSequenceClassification.from_pretrained(job.folder).eval()
    collator = DataCollatorWithPadding(tokenizer)
    inputs = tokenizer.model_input_names

    def tokenize(batch: dict[str, Any]) -> Any:
        return tokenizer(batch["text"], truncation=True, max_length=job.limit)

    def loss_per_label(batch: dict[str, list[Any]]) -> dict[str, Any]:
        features = [{name: batch[name][i] for name in inputs} for i in range(len(batch["label"]))]
        with torch.inference_mode():
            logits = model(**collator(features)).logits
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(batch["label"]), reduction="none")
        return {"loss": loss.numpy()}

    def score(texts: Sequence[str], labels: NDArray[np.int64]) -> Scored:
        data = datasets.Dataset.from_dict({"text": list(texts), "label": labels})
        options = {"batched": True, "load_from_cache_file": False, "keep_in_memory": True}
        encoded = data.map(tokenize, **options)
        losses = encoded.map(loss_per_label, batch_size=BATCH, remove_columns=encoded.column_names, **options)
        return Scored(np.asarray(losses.with_format("numpy")["loss"], dtype=np.float64))

    return score
