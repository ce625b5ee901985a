"""Every error a user can meet, as one tree.

    LossrankError
    ├── SourceError     the data: missing, empty, unreadable, a missing column
    │   ├── NotThereError      nothing lies at the given path or address
    │   └── UnreachableError   the store or the hub fails, so that nothing is known about the data
    ├── LabelError      the labels: names that don't match the model's, numbers in another order
    ├── BundleError     the bundle: missing, changed, newer than this version
    ├── DeviceError     onnxruntime: not installed, installed twice, a missing device
    ├── RunError        the run directory: other options, damaged, not writable
    └── (exporter.errors.ExportError)

The message is one line: what was received, what was allowed, what to do. The command line prints it and exits
with ``exit_code``; no traceback is shown. The constructor removes the secrets of addresses from every message, also
from a library's message that it quotes.
"""

from scorer.address import scrubbed

WITHHELD = "the message was only shown on the terminal, because it may quote the data"
_NO_THREAD = ("can't start new thread", "Unknown error: Failed to launch worker thread")  # Python's, pyarrow's
_UNMAPPED = "failed to map segment from shared object"  # the loader's, of a library


class LossrankError(Exception):
    """The root of every error that the user can fix.

    ``quotes_data`` says whether the message may quote the data (a label, a value, or a column's name, which in a CSV
    without a header is a text). Such a message is shown on the terminal and never written to a file.
    """

    exit_code = 1
    quotes_data = False

    def __init__(self, message: str = "", *, quotes_data: bool | None = None) -> None:
        super().__init__(scrubbed(message))
        if quotes_data is not None:
            self.quotes_data = quotes_data


class SourceError(LossrankError):
    """The data can't be read as asked."""


class NotThereError(SourceError):
    """Nothing lies at the given path or address."""


class UnreachableError(SourceError):
    """The store or the hub of the data failed, so that nothing is known about the data."""


class LabelError(LossrankError):
    """The data's labels can't be mapped to the model's classes."""

    quotes_data = True


class BundleError(LossrankError):
    """The bundle directory is missing, damaged or of another version."""


class DeviceError(LossrankError):
    """onnxruntime or the requested device is missing."""


class RunError(LossrankError):
    """The run directory can't be written, resumed or read as asked."""


def shortage(error: BaseException) -> str | None:
    """Return in one line what the machine has too little of, memory or threads, if that caused the error; else None."""
    message = " ".join(str(error).split())
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _UNMAPPED in message):
        return f"not enough memory{f' ({message})' if message else ''}"
    return "the system allows no more threads, or has no memory for one" if message.startswith(_NO_THREAD) else None


def recordable(error: BaseException) -> str:
    """Return an error's message in one line, to be written to a file; ``WITHHELD`` if it may quote the data.

    Of other libraries' errors, only OSErrors and those of a shortage are known not to quote the data.
    """
    if getattr(error, "quotes_data", not isinstance(error, OSError) and shortage(error) is None):
        return WITHHELD if str(error) else ""
    return scrubbed(" ".join(str(error).split()))


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
