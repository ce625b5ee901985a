"""What goes wrong with a store, apart from what is wrong with the data in it, and in one line."""

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
    ("its server gives no parts of a file; download it first", ("range requests",)),
    ("no connection; check the network and the address", ("NETWORK_CONNECTION", "resolve", "onnect", "imeout")),
)
_NAMED = re.compile(r"\b(?:key|bucket) '[^']*'|\w+://[^\s'\"]*")  # how libraries tell what they were asked for


class StoreError(OSError):
    """A store failed when it was asked for something, as against what is wrong with the bytes that it gave."""


class Asked:
    """A file in a store, whose every failure is a ``StoreError``, however much is made of its bytes on the way."""

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
    """Have what a store's library raises as a ``StoreError``, but for a lost file and a shortage."""
    try:
        yield
    except Exception as error:  # the errors of the stores' libraries have no common root
        if is_missing(error) or shortage(error):
            raise
        raise StoreError(first_line(error)) from error


def is_missing(error: Exception) -> bool:
    """Say whether a file is not there; fsspec tells of any failure of HTTP by the same error, with a cause."""
    cause = error.__cause__
    return isinstance(error, FileNotFoundError) and (cause is None or getattr(cause, "status", None) == 404)


def at_fault(error: Exception) -> type[SourceError]:
    """Return the kind of error to tell of one in reading a file: of the data, or of its store."""
    return UnreachableError if isinstance(error, StoreError) else SourceError


def why(error: BaseException, path: str) -> str:
    """Return in one line what went wrong with a path or address in a store, as one of the usual reasons if it is one.

    Neither the words of the address count as a reason, nor are its secrets repeated.
    """
    said = first_line(error).replace(path, without_secrets(path))
    text = "; ".join(f"{type(each).__name__} {_bare(str(each), path)}" for each in _chain(error))
    for reason, words in _REASONS:
        if any(word in text for word in words):
            return f"{reason} ({said})"
    return said


def _bare(text: str, path: str) -> str:
    """Return a message without the address that it speaks of: whole, or its bucket or host and the rest of it."""
    place, _, key = path.rpartition("://")[2].partition("/")
    host = place.rpartition("@")[2].partition(":")[0]
    for part in filter(None, (path, key, place, host)):
        text = re.sub(rf"(?<![\w-]){re.escape(part)}(?![\w-])", "", text)
    return _NAMED.sub("", text)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
