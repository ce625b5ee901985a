"""OpenVINO in single precision."""

from benchmarks.candidates.openvino_runtime import OpenVinoScorer
from benchmarks.protocol import Info, Job, Scorer

INFO = Info("OpenVINO, sorted", ("openvino", "tokenizers", "numpy"), sorts=True, tolerance=1e-3)


def load(job: Job) -> Scorer:
    """Read the plain graph with a hint for fp32, without which OpenVINO would use bfloat16 on some processors."""
    import openvino

    return OpenVinoScorer(openvino.Core().read_model(job.graph), job, INFERENCE_PRECISION_HINT="f32")
