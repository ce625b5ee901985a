"""Score a text-classification data set by model loss and rank its rows.

The package needs only numpy, pyarrow, msgspec, tokenizers and onnxruntime. A public name's module is imported when the
name is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scorer.audit.rank import RankedRow, join_source, rank
    from scorer.audit.verify import Verification, verify
    from scorer.data.opening.open import open_source
    from scorer.data.source import Source
    from scorer.errors import BundleError, DeviceError, LabelError, LossrankError, RunError, SourceError
    from scorer.model.bundle import ModelBundle
    from scorer.pipeline.loop import Progress
    from scorer.pipeline.options import ScoreOptions
    from scorer.pipeline.plan import Plan
    from scorer.pipeline.score import score_dataset
    from scorer.run.directory import RunDirectory
    from scorer.run.manifest import RunStats
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

_NAMES = {
    "scorer.audit.rank": ("RankedRow", "join_source", "rank"),
    "scorer.audit.verify": ("Verification", "verify"),
    "scorer.data.opening.open": ("open_source",),
    "scorer.data.source": ("Source",),
    "scorer.errors": ("BundleError", "DeviceError", "LabelError", "LossrankError", "RunError", "SourceError"),
    "scorer.model.bundle": ("ModelBundle",),
    "scorer.pipeline.loop": ("Progress",),
    "scorer.pipeline.options": ("ScoreOptions",),
    "scorer.pipeline.score": ("Plan", "score_dataset"),
    "scorer.run.manifest": ("RunStats",),
    "scorer.run.directory": ("RunDirectory",),
    "scorer.run.status": ("RunStatus", "run_status"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
