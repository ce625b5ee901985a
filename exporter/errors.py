"""Every way an export can end without a bundle, as one tree.

    LossrankError
    └── ExportError
        ├── MissingExtraError   torch, transformers or optimum is not installed
        ├── OutputError         the output folder: there already, not a bundle, not writable, disk full
        ├── ModelError          the model: not found, not a classifier, can't be exported faithfully
        ├── ConversionError     a library failed on the way; ``log`` holds what it said
        └── ParityError         the bundle does not compute what torch computes

The message is one line, as for every LossrankError.
"""

from scorer.errors import LossrankError


class ExportError(LossrankError):
    """The model was not exported; nothing was left behind and nothing destroyed."""


class MissingExtraError(ExportError):
    """The libraries of the ``export`` extra are not installed."""


class OutputError(ExportError):
    """The bundle can't be written where it was asked for."""


class ModelError(ExportError):
    """The model can't be found, or can't be exported so that its losses would be right."""


class ConversionError(ExportError):
    """A library failed while it loaded, ran or converted the model.

    ``log`` is what the libraries printed, warned and logged until then; it was kept off the screen.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class ParityError(ExportError):
    """The exported graph's logits or losses differ from torch's by more than the tolerance."""
