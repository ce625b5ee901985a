"""Find the mislabelled rows of a text-classification data set by model loss.

A public name's module is imported when the name is first used, so that `import lossrank` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

from lossrank.siblings import refuse_others

if TYPE_CHECKING:
    from exporter.errors import ExportError
    from lossrank.api import diff, import_probs, open_run, status, verify
    from lossrank.bundles import bench, export, load_bundle, write_label_map
    from lossrank.decisions import Decisions
    from lossrank.errors import ArgumentError
    from lossrank.health import Health
    from lossrank.page.review import Review
    from lossrank.progress import Step
    from lossrank.publish.apply import Applied
    from lossrank.ranking import Ranking
    from lossrank.report.report import Report
    from lossrank.review.compare import Comparison
    from lossrank.review.decide import DISCARD, KEEP
    from lossrank.review.decision import Decision
    from lossrank.review.log import Logged
    from lossrank.review.pull import Pulled
    from lossrank.review.servers.server import ReviewError
    from lossrank.run import Run
    from lossrank.scoring import score
    from scorer.audit.rank import RankedRow
    from scorer.audit.verify import Verification
    from scorer.bench.bench import BenchResult
    from scorer.errors import BundleError, DeviceError, LabelError, LossrankError, RunError, SourceError
    from scorer.model.bundle import ModelBundle
    from scorer.pipeline.label_template import LabelTemplate
    from scorer.run.manifest import RunStats
    from scorer.run.status import RunStatus

_NAMES = {
    "lossrank.bundles": ("export", "load_bundle", "bench", "write_label_map"),
    "lossrank.scoring": ("score",),
    "lossrank.api": ("import_probs", "open_run", "verify", "status", "diff"),
    "lossrank.run": ("Run",),
    "lossrank.ranking": ("Ranking",),
    "scorer.audit.rank": ("RankedRow",),
    "lossrank.health": ("Health",),
    "lossrank.decisions": ("Decisions",),
    "lossrank.review.decision": ("Decision",),
    "lossrank.review.decide": ("KEEP", "DISCARD"),
    "lossrank.page.review": ("Review",),
    "lossrank.review.log": ("Logged",),
    "lossrank.review.pull": ("Pulled",),
    "lossrank.publish.apply": ("Applied",),
    "lossrank.report.report": ("Report",),
    "lossrank.review.compare": ("Comparison",),
    "scorer.audit.verify": ("Verification",),
    "scorer.run.status": ("RunStatus",),
    "scorer.run.manifest": ("RunStats",),
    "scorer.bench.bench": ("BenchResult",),
    "scorer.pipeline.label_template": ("LabelTemplate",),
    "scorer.model.bundle": ("ModelBundle",),
    "lossrank.progress": ("Step",),
    "scorer.errors": ("LossrankError", "SourceError", "LabelError", "BundleError", "DeviceError", "RunError"),
    "lossrank.errors": ("ArgumentError",),
    "lossrank.review.servers.server": ("ReviewError",),
    "exporter.errors": ("ExportError",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "DISCARD",
    "KEEP",
    "Applied",
    "ArgumentError",
    "BenchResult",
    "BundleError",
    "Comparison",
    "Decision",
    "Decisions",
    "DeviceError",
    "ExportError",
    "Health",
    "LabelError",
    "LabelTemplate",
    "Logged",
    "LossrankError",
    "ModelBundle",
    "Pulled",
    "RankedRow",
    "Ranking",
    "Report",
    "Review",
    "ReviewError",
    "Run",
    "RunError",
    "RunStats",
    "RunStatus",
    "SourceError",
    "Step",
    "Verification",
    "__version__",
    "bench",
    "diff",
    "export",
    "import_probs",
    "load_bundle",
    "open_run",
    "score",
    "status",
    "verify",
    "write_label_map",
]

refuse_others()

__version__: str


if not TYPE_CHECKING:  # else every name would be there for a type checker

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            value = getattr(importlib.import_module(_MODULES[name]), name)
        elif name == "__version__":
            from importlib.metadata import version

            value = version("lossrank")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
