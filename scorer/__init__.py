"""Score a text-classification data set by model loss and rank its rows.

Needs numpy, pyarrow, tokenizers and onnxruntime, nothing heavier; importing it loads no torch.
"""

from scorer.bundle import ModelBundle
from scorer.errors import BundleError, DeviceError, LabelError, LossrankError, RunError, SourceError
from scorer.options import ScoreOptions
from scorer.pipeline import Plan, score_dataset
from scorer.rank import RankedRow, join_source, rank
from scorer.run import RunDirectory
from scorer.source import Source, open_source
from scorer.status import RunStatus, run_status
from scorer.summary import RunStats
from scorer.verify import Verification, verify
from scorer.work import Progress

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
