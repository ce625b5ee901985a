"""Every error a user can meet, as one tree.

    LossrankError
    ├── SourceError     the data: missing, empty, unreadable, a missing column
    │   ├── NotThereError      nothing lies at the given path or address
    │   └── UnreachableError   the store or the hub fails, so that nothing is known about the data
    ├── LabelError      the labels: names that don't match the model's class names, numbers in another order
    ├── BundleError     the bundle: missing, changed, newer than this version
    ├── DeviceError     onnxruntime: not installed, installed twice, a missing device
    ├── RunError        the run directory: made with other options, damaged, not writable
    └── (exporter.errors.ExportError)

The message is one line: what was received, what was allowed, what to do. The command line prints it and exits
with ``exit_code``; no traceback is shown. The constructor removes the secrets from every address in
a message, also if the message quotes a library's message. SourceError and LabelError, whose messages have names of the
data, cut theirs to 400 characters.
"""

from scorer.address import scrubbed
from scorer.text import shortened

_LONGEST = 400  # characters of a message on the terminal
WITHHELD = "the message was only shown on the terminal, because it may quote the data"
_NO_THREAD = ("can't start new thread", "Unknown error: Failed to launch worker thread")  # from Python, pyarrow
_UNMAPPED = "failed to map segment from shared object"  # how the loader reports too little memory for a library


class LossrankError(Exception):
    """The root of every error that the user can fix.

    ``quotes_data`` says whether the message may quote the data (a label, a value, or a column's name, which in a CSV
    file without a header is one of the texts). Such a message is shown on the terminal and never written to a file.
    """

    exit_code = 1
    quotes_data = False

    def __init__(self, message: str = "", *, quotes_data: bool | None = None) -> None:
        super().__init__(scrubbed(message))
        if quotes_data is not None:
            self.quotes_data = quotes_data


class DataError(LossrankError):
    """An error whose message has names and values of the data, which may be long; it is cut to 400 characters."""

    def __init__(self, message: str = "", *, quotes_data: bool | None = None) -> None:
        # An option is two characters longer than the keyword in backticks that it stands for.
        super().__init__(shortened(scrubbed(message), _LONGEST - message.count("`")), quotes_data=quotes_data)


class SourceError(DataError):
    """The data can't be read with the given arguments."""


class NotThereError(SourceError):
    """Nothing lies at the given path or address."""


class UnreachableError(SourceError):
    """The store or the hub of the data failed, so that nothing is known about the data."""


class LabelError(DataError):
    """The data's labels can't be mapped to the model's classes."""

    quotes_data = True


class BundleError(LossrankError):
    """The bundle directory is missing, damaged or of another version."""


class DeviceError(LossrankError):
    """onnxruntime or the requested device is missing."""


class RunError(LossrankError):
    """The run directory can't be written, resumed or read with the given arguments."""


def shortage(error: BaseException) -> str | None:
    """Return one line that says which shortage, of memory or threads, caused the error; None if no shortage did."""
    message = " ".join(str(error).split())
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _UNMAPPED in message):
        return f"not enough memory{f' ({message})' if message else ''}"
    return "the system allows no more threads, or has no memory for one" if message.startswith(_NO_THREAD) else None


def recordable(error: BaseException) -> str:
    """Return an error's message as one line to write to a file; ``WITHHELD`` if the message may quote the data.

    Among the errors of other libraries, only OSErrors and shortages (see ``shortage``) are known not to quote the data.
    """
    if getattr(error, "quotes_data", not isinstance(error, OSError) and shortage(error) is None):
        return WITHHELD if str(error) else ""
    return scrubbed(" ".join(str(error).split()))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of the error's class if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
