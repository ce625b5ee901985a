"""Turn a Hugging Face text classifier into a bundle that scores without torch. Only an export imports torch."""

from exporter.errors import (
    ConversionError,
    ExportError,
    MissingExtraError,
    ModelError,
    OutputError,
    ParityError,
)
from exporter.export import export_model
from scorer.model.bundle_manifest import Parity

__all__ = [
    "ConversionError",
    "ExportError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "Parity",
    "ParityError",
    "export_model",
]
