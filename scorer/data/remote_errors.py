"""Tell failures of remote stores from damage in the data, and describe each in one line."""

import contextlib
import re
from collections.abc import Callable, Iterator

import pyarrow as pa

from scorer.address import without_secrets
from scorer.errors import SourceError, UnreachableError, first_line, shortage

_REASONS = (
    (
        "no permission; check your credentials",
        (
            "ACCESS_DENIED",
            "Forbidden",
            "Unauthorized",
            "OAuth2",
            "PERMISSION",
            "ClientResponseError 401",
            "ClientResponseError 403",
        ),
    ),
    ("no such bucket", ("NO_SUCH_BUCKET", "bucket does not exist")),
    ("its server does not send parts of a file; download the file first", ("range requests",)),
    ("no connection; check the network and the address", ("NETWORK_CONNECTION", "resolve", "onnect", "imeout")),
)
_NAMED = re.compile(r"\b(?:key|bucket) '[^']*'|\w+://[^\s'\"]*")  # how libraries name the file that was asked for


class StoreError(OSError):
    """A store failed to respond, as opposed to responding with damaged bytes."""


class Asked:
    """A file in a store; a failure to read raises ``StoreError``, to tell it from an error in the file's format."""

    def __init__(self, opening: Callable[[str], pa.NativeFile], path: str) -> None:
        with asking():
            self._opened = opening(path)

    @property
    def closed(self) -> bool:
        return bool(self._opened.closed)

    def read(self, size: int = -1) -> bytes:
        with asking():
            return bytes(self._opened.read(size))

    def seek(self, place: int, whence: int = 0) -> int:
        with asking():
            return int(self._opened.seek(place, whence))

    def tell(self) -> int:
        return int(self._opened.tell())

    def close(self) -> None:
        self._opened.close()


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Turn the exceptions of a store's library into ``StoreError``, except a missing file and a shortage of memory."""
    try:
        yield
    except Exception as error:  # the errors of the stores' libraries have no common root
        if is_missing(error) or shortage(error):
            raise
        raise StoreError(first_line(error)) from error


def is_missing(error: Exception) -> bool:
    """Return whether an error means that a file is missing; fsspec raises FileNotFoundError for any HTTP failure."""
    cause = error.__cause__
    return isinstance(error, FileNotFoundError) and (cause is None or getattr(cause, "status", None) == 404)


def at_fault(error: Exception) -> type[SourceError]:
    """Return UnreachableError if a file can't be read because its store failed, otherwise SourceError."""
    return UnreachableError if isinstance(error, StoreError) else SourceError


def why(error: BaseException, path: str) -> str:
    """Return one line that says why a path or address can't be read, beginning with a common reason if one applies.

    Reasons are not searched for in the address itself. The line leaves out the secrets of the address.
    """
    message = first_line(error).replace(path, without_secrets(path))
    text = "; ".join(f"{type(cause).__name__} {_bare(str(cause), path)}" for cause in _chain(error))
    for reason, words in _REASONS:
        if any(word in text for word in words):
            return f"{reason} ({message})"
    return message


def _bare(text: str, path: str) -> str:
    """Return a message without the address that it names, and without the address's bucket, host and key."""
    place, _, key = path.rpartition("://")[2].partition("/")
    host = place.rpartition("@")[2].partition(":")[0]
    for part in filter(None, (path, key, place, host)):
        text = re.sub(rf"(?<![\w-]){re.escape(part)}(?![\w-])", "", text)
    return _NAMED.sub("", text)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
