"""Every error a user can meet, as one tree.

    LossrankError
    ├── SourceError     the data: missing, empty, unreadable, a column that is not there
    │   ├── NotThereError      nothing lies at the place that was named
    │   └── UnreachableError   its store or the hub does not answer, or refuses: what lies there is not known
    ├── LabelError      the labels: names that don't match the model's, numbers in another order
    ├── BundleError     the bundle: missing, changed, newer than this version
    ├── DeviceError     onnxruntime: not installed, installed twice, a device that is not there
    ├── RunError        the run directory: other options, damaged, not writable
    └── (exporter.errors.ExportError)

The message is one line: what was received, what was allowed, what to do. The command line prints it and exits
with ``exit_code``; no traceback is shown. No message holds a secret of an address, whoever wrote it.
"""

from scorer.address import scrubbed

WITHHELD = "the message was only shown on the screen, as it may quote the data"
_NO_THREAD = ("can't start new thread", "Unknown error: Failed to launch worker thread")  # Python's, pyarrow's
_UNMAPPED = "failed to map segment from shared object"  # the loader's, of a library


class LossrankError(Exception):
    """The root of every error that is the user's to mend.

    ``quotes_data`` says whether the message may hold something of the data (a label, a value, a column's name, which in
    a CSV without a header is a text): such a message is for the screen, and for no file. Whoever raises it knows.
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
    """Nothing lies at the place that was named."""


class UnreachableError(SourceError):
    """The store or the hub where the data lies failed, so that nothing is known of the data."""


class LabelError(LossrankError):
    """The data's labels can't be mapped to the model's classes."""

    quotes_data = True


class BundleError(LossrankError):
    """The bundle directory is missing, damaged or of another version."""


class DeviceError(LossrankError):
    """onnxruntime, or the device that was asked for, is not there."""


class RunError(LossrankError):
    """The run directory can't be written, resumed or read as asked."""


def shortage(error: BaseException) -> str | None:
    """Return what the machine has too little of, in one line, if that is what an error says, whichever library's."""
    said = " ".join(str(error).split())
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _UNMAPPED in said):
        return f"not enough memory{f' ({said})' if said else ''}"
    return "the system allows no more threads, or has no memory for one" if said.startswith(_NO_THREAD) else None


def recordable(error: BaseException) -> str:
    """Return an error's message in one line for a file that is kept: without it, where it may quote the data.

    Of errors that are not ours only the system's, and those of a shortage, are known to quote none.
    """
    if getattr(error, "quotes_data", not isinstance(error, OSError) and shortage(error) is None):
        return WITHHELD if str(error) else ""
    return scrubbed(" ".join(str(error).split()))


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
