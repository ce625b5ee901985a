"""What the HTTP clients of review servers share: the address, the key, and patience by tenacity.

The key, and a password in the URL, stay inside the httpx client: no message, repr or exception chain carries them.
"""

import abc
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import ClassVar, Self, TypeVar

import httpx
import tenacity

from lossrank.review.servers.server import ReviewError

LATER = frozenset({429, 500, 502, 503, 504})  # statuses that may pass
FIRST_WAIT = 3.0  # seconds: at the start, a server that isn't there is a mistake sooner than an outage
_LONGEST_PAUSE = 10.0
_MAX_REASON = 300  # characters
_backoff = tenacity.wait_exponential(multiplier=0.25, max=_LONGEST_PAUSE) + tenacity.wait_random(0, 0.25)
_T = TypeVar("_T")


class Unavailable(Exception):
    """The request may pass later: no connection, 429 or 5xx; ``after`` is the server's own wish in seconds."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """The server read the records and turned at least one of them down.

    ``positions`` are those of the bad ones in the request, as far as the answer tells. ``stored`` says that others of
    the request may be stored; without it none are.
    """

    def __init__(self, reason: str, positions: frozenset[int] = frozenset(), *, stored: bool = False) -> None:
        super().__init__(reason)
        self.positions = positions
        self.stored = stored


class Fault(Exception):
    """A request failed without a word on whose fault it is; unless ``stored`` is False any part may be stored."""

    positions: frozenset[int] = frozenset()

    def __init__(self, reason: str, *, stored: bool = True) -> None:
        super().__init__(reason)
        self.stored = stored


class ReviewClient(abc.ABC):
    """A review server, seen with one key; a subclass says which tool, and sends the requests.

    ``max_wait`` is how long, in seconds, a server that went away is waited for; ``on_wait`` hears why and how many
    seconds it is to the next try.

    Raises:
        ReviewError: the URL is no http(s) address, or the key can't stand in a header.
    """

    title: str
    variables: str  # the environment variables begin with it
    example: ClassVar[str]  # an address
    _product: object  # the title, and the version where it is known

    def __init__(self, url: str, api_key: str, max_wait: float, on_wait: Callable[[str, float], None]) -> None:
        self._address, self._auth = self._parted(url)
        self.url = str(self._address).rstrip("/")
        self._key = self._checked(api_key)
        self._secrets = [secret for secret in (self._key, self._auth[1] if self._auth else "") if len(secret) > 5]
        self._max_wait = max_wait
        self._on_wait = on_wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def persist(self, step: Callable[[], _T], max_wait: float | None = None) -> _T:
        """Run a step, and again after growing pauses for as long as it raises ``Unavailable``.

        Raises:
            ReviewError: it still does after ``max_wait`` seconds.
        """
        limit = self._max_wait if max_wait is None else min(max_wait, self._max_wait)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=tenacity.stop_after_delay(limit),
            wait=_pause,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        started = time.monotonic()
        try:
            return retrying(step)
        except Unavailable as error:
            seconds = time.monotonic() - started
            raise ReviewError(
                f"{self.title} at {self.url} can't be used: {self._safe(error)}; tried for {seconds:.0f} s; "
                f"start it, or give its address with --url or {self.variables}_API_URL"
            ) from None

    def insist(self, step: Callable[[], _T], sends: int) -> _T:
        """Run a step that may also raise ``Fault``, at most ``sends`` times, with ``persist``'s patience each time.

        Raises:
            Fault: it still does.
            ReviewError: as for ``persist``.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Fault),
            stop=tenacity.stop_after_attempt(sends),
            wait=_backoff,
            reraise=True,
        )
        return retrying(lambda: self.persist(step))

    @abc.abstractmethod
    def existing_ids(self, name: str, ids: list[str]) -> set[str]:
        """Find which of at most 1,000 record ids the data set holds.

        Raises:
            Unavailable: ask again later.
            ReviewError: the data set can't be read.
        """

    @abc.abstractmethod
    def bulk(self, name: str, records: list[bytes]) -> None:
        """Store encoded records.

        Raises:
            Refused: the server turned at least one record down.
            Fault: it failed without a word on why; any part may be stored.
            Unavailable: ask again later; any part may be stored.
            ReviewError: the key or the data set is gone.
        """

    def _stranger(self, what: str) -> ReviewError:
        """Return the error of a server that is not the tool."""
        return ReviewError(
            f"{self.url} answers, but not as {self._product} does ({what}); check --url or {self.variables}_API_URL"
        )

    def _parted(self, url: str) -> tuple[httpx.URL, tuple[str, str] | None]:
        """Part an address from the user and password in it."""
        try:
            address = httpx.URL(url.strip())
        except httpx.InvalidURL:
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host:
            received = "with a password" if "@" in url else repr(url)
            raise ReviewError(f"the server's address {received} can't be used; write --url like {self.example}")
        auth = (address.username, address.password) if address.userinfo else None
        return address.copy_with(userinfo=b"", query=None, fragment=None), auth

    def _checked(self, api_key: str) -> str:
        key = api_key.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise ReviewError(
                f"the API key is empty or holds characters that no header can carry; set {self.variables}_API_KEY anew"
            )
        return key

    def _safe(self, error: Exception) -> str:
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _tell_wait(self, state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        error = state.outcome.exception() if state.outcome else None
        self._on_wait(self._safe(error) if isinstance(error, Unavailable) else "", seconds)


@contextlib.contextmanager
def storing() -> Iterator[None]:
    """Part a request that reached no server from one that may have stored something though no answer came.

    Raises:
        Unavailable: no connection was made.
        Fault: the connection broke.
    """
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Unavailable(broken(error)) from None
    except httpx.RequestError as error:
        raise Fault(broken(error)) from None


def broken(error: httpx.RequestError) -> str:
    """Say in words why no whole answer came."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.LocalProtocolError):  # its text may hold a header
        return "the request can't be sent"
    return str(error) or type(error).__name__


def one_line(reason: str) -> str:
    """Return a server's reason as one printable line, cut if it is long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in reason).split())
    return line if len(line) <= _MAX_REASON else f"{line[: _MAX_REASON - 3]}..."


def wished_pause(response: httpx.Response) -> float:
    """Return how many seconds the server asks to stay away, 0 if it doesn't say."""
    retry_after = response.headers.get("Retry-After", "")
    return float(retry_after) if retry_after.isdigit() else 0.0


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wish = error.after if isinstance(error, Unavailable) else 0.0
    return max(_backoff(state), min(wish, 60.0))
