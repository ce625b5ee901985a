"""transformers' pipeline on optimum's onnxruntime model, in batches of 32."""

from benchmarks.candidates.pipelines import score_by_pipeline
from benchmarks.protocol import Info, Job, Scorer

INFO = Info("optimum ORTModel pipeline", ("optimum-onnx", "onnxruntime", "transformers", "tokenizers"), sorts=False)


def load(job: Job) -> Scorer:
    """Load the plain graph through optimum."""
    import onnxruntime
    import torch
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    torch.set_num_threads(job.cores)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.cores
    model = ORTModelForSequenceClassification.from_pretrained(
        job.graph.parent, file_name=job.graph.name, session_options=options
    )
    tokenizer = AutoTokenizer.from_pretrained(job.folder)
    return score_by_pipeline(pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu"), job)
