"""The errors that end an export without a bundle.

    LossrankError
    └── ExportError
        ├── MissingExtraError   torch, transformers or optimum is not installed
        ├── OutputError         the output folder exists, is not a bundle or can't be written, or the disk is full
        ├── ModelError          the model is not found, is not a classifier or can't be exported with correct losses
        ├── ConversionError     a library failed; ``log`` has its output
        └── ParityError         the bundle does not compute what torch computes

The message is one line, as for every LossrankError.
"""

from scorer.errors import LossrankError


class ExportError(LossrankError):
    """The model was not exported; no partial bundle is left, and an older bundle is unchanged."""


class MissingExtraError(ExportError):
    """The libraries of the ``export`` extra are not installed."""


class OutputError(ExportError):
    """The bundle can't be written to the output folder."""


class ModelError(ExportError):
    """The model can't be found, or can't be exported with correct losses."""


class ConversionError(ExportError):
    """A library failed while it loaded, ran or converted the model.

    ``log`` has what the libraries printed, warned and logged before the failure, none of which was shown.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class ParityError(ExportError):
    """The exported graph's logits or losses differ from torch's by more than the tolerance."""
