"""Score a text-classification data set by model loss and rank its rows.

Needs numpy, pyarrow, tokenizers and onnxruntime, nothing heavier; importing it loads no torch.
"""

from scorer.audit.rank import RankedRow, join_source, rank
from scorer.audit.verify import Verification, verify
from scorer.data.source import Source, open_source
from scorer.errors import BundleError, DeviceError, LabelError, LossrankError, RunError, SourceError
from scorer.model.bundle import ModelBundle
from scorer.pipeline.loop import Progress
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.score import Plan, score_dataset
from scorer.pipeline.summary import RunStats
from scorer.run.directory import RunDirectory
from scorer.run.status import RunStatus, run_status

__all__ = [
    "BundleError",
    "DeviceError",
    "LabelError",
    "LossrankError",
    "ModelBundle",
    "Plan",
    "Progress",
    "RankedRow",
    "RunDirectory",
    "RunError",
    "RunStats",
    "RunStatus",
    "ScoreOptions",
    "Source",
    "SourceError",
    "Verification",
    "join_source",
    "open_source",
    "rank",
    "run_status",
    "score_dataset",
    "verify",
]
