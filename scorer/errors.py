"""Every error a user can meet, as one tree.

    LossrankError
    ├── SourceError     the data: missing, empty, unreadable, a column that is not there
    │   └── NotThereError   nothing lies at the place that was named
    ├── LabelError      the labels: names that don't match the model's, numbers in another order
    ├── BundleError     the bundle: missing, changed, newer than this version
    ├── DeviceError     onnxruntime: not installed, installed twice, a device that is not there
    ├── RunError        the run directory: other options, damaged, not writable
    └── (exporter.errors.ExportError)

The message is one line: what was received, what was allowed, what to do. The command line prints it and exits
with ``exit_code``; no traceback is shown.
"""


class LossrankError(Exception):
    """The root of every error that is the user's to mend."""

    exit_code = 1
    quotes_data = False  # whether the message may hold something of the data, which belongs in no log


class SourceError(LossrankError):
    """The data can't be read as asked."""


class NotThereError(SourceError):
    """Nothing lies at the place that was named."""


class LabelError(LossrankError):
    """The data's labels can't be mapped to the model's classes."""

    quotes_data = True


class BundleError(LossrankError):
    """The bundle directory is missing, damaged or of another version."""


class DeviceError(LossrankError):
    """onnxruntime, or the device that was asked for, is not there."""


class RunError(LossrankError):
    """The run directory can't be written, resumed or read as asked."""


def nearest(name: str, allowed: list[str]) -> str:
    """Say which of the allowed names is closest to a mistyped one, as a clause for an error message.

    Returns an empty string when nothing is close.
    """
    import difflib

    folded = {candidate.casefold(): candidate for candidate in allowed}
    match = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return f" (did you mean {folded[match[0]]!r}?)" if match else ""
