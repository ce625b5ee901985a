"""transformers' own pipeline on torch, in batches of 32."""

from benchmarks.candidates.pipelines import score_by_pipeline
from benchmarks.protocol import Info, Job, Scorer

INFO = Info("transformers pipeline, torch", ("torch", "transformers", "tokenizers"), sorts=False)


def load(job: Job) -> Scorer:
    """Load the model with torch."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    torch.set_num_threads(job.cores)
    model = AutoModelForSequenceClassification.from_pretrained(job.folder)
    tokenizer = AutoTokenizer.from_pretrained(job.folder)
    return score_by_pipeline(pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu"), job)
