"""lossrank with precision fp32."""

from benchmarks.candidates.lossrank import lossrank_info, score_by_lossrank
from benchmarks.protocol import Job, Scorer

INFO = lossrank_info("fp32")


def load(job: Job) -> Scorer:
    """Open the bundle."""
    return score_by_lossrank(job, "fp32")
