"""ReviewClient: the base class of the review servers' HTTP clients, with the address, the key, and retries.

The key and a password in the URL stay inside the httpx client: no message, repr or exception chain shows them.
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
from scorer.text import printable

LATER = frozenset({429, 500, 502, 503, 504})  # statuses that may go away
FIRST_WAIT = 3.0  # seconds: at the start, a missing server is more likely a wrong address than an outage
_LONGEST_PAUSE = 10.0
_MAX_REASON = 300  # characters
_backoff = tenacity.wait_exponential(multiplier=0.25, max=_LONGEST_PAUSE) + tenacity.wait_random(0, 0.25)
_T = TypeVar("_T")


class Unavailable(Exception):
    """Raised if a request may succeed later (no connection, status 429 or 5xx), after at least ``after`` seconds."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """Raised if the server read the records and refused at least one of them.

    ``positions`` are the indices of refused records in the request, as far as the response names them. If ``stored`` is
    true, other records of the request may be stored; otherwise none is.
    """

    def __init__(self, reason: str, positions: frozenset[int] = frozenset(), *, stored: bool = False) -> None:
        super().__init__(reason)
        self.positions = positions
        self.stored = stored


class Fault(Exception):
    """Raised if a request fails for an unknown reason; any part of it may be stored unless ``stored`` is false."""

    positions: frozenset[int] = frozenset()

    def __init__(self, reason: str, *, stored: bool = True) -> None:
        super().__init__(reason)
        self.stored = stored


class ReviewClient(abc.ABC):
    """The client of a review server, used with one key; each tool has a subclass, which sends the requests.

    The client waits at most ``max_wait`` seconds for a server that is away, and calls ``on_wait`` with the reason and
    the seconds to the next try.

    Raises:
        ReviewError: the URL is not an http(s) address.
        ReviewError: the key can't be sent in a header.
    """

    title: str
    variables: str  # prefix of the environment variables
    example: ClassVar[str]  # an address for messages
    _product: object  # the title, and the version if it is known

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
        """Run a step; repeat it after growing pauses while it raises ``Unavailable``.

        Raises:
            ReviewError: the step still raises ``Unavailable`` after ``max_wait`` seconds.
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
                f"{self.title} at {self.url} can't be used after {seconds:.0f} s of trying: {self._safe(error)}; "
                f"start the server, or give its address with `url` or {self.variables}_API_URL"
            ) from None

    def insist(self, step: Callable[[], _T], sends: int) -> _T:
        """Run a step as ``persist`` does; if it raises ``Fault``, repeat it, up to ``sends`` runs in all.

        Raises:
            Fault: the last run raised it.
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
        """Return the record ids among ``ids`` (at most 1,000) that the data set has.

        Raises:
            Unavailable: the request may succeed later.
            ReviewError: the data set can't be read.
        """

    @abc.abstractmethod
    def bulk(self, name: str, records: list[bytes]) -> None:
        """Store encoded records.

        Raises:
            Refused: the server refused at least one record.
            Fault: the request failed for an unknown reason; any part may be stored.
            Unavailable: the request may succeed later; any part may be stored.
            ReviewError: the key is no longer valid, or the data set is gone.
        """

    def _stranger(self, what: str) -> ReviewError:
        """Return the error for a server that is not the expected tool."""
        return ReviewError(
            f"{self.url} responds, but not like {self._product} ({what}); check `url` or {self.variables}_API_URL"
        )

    def _parted(self, url: str) -> tuple[httpx.URL, tuple[str, str] | None]:
        """Return an address without its user name and password, and (user name, password), None if it has none."""
        try:
            address = httpx.URL(url.strip())
        except httpx.InvalidURL:
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host:
            received = "with a password" if "@" in url else repr(url)
            raise ReviewError(
                f"the server's address {received} is not a valid http or https address; give `url` like {self.example}"
            )
        auth = (address.username, address.password) if address.userinfo else None
        return address.copy_with(userinfo=b"", query=None, fragment=None), auth

    def _checked(self, api_key: str) -> str:
        key = api_key.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise ReviewError(
                f"the API key is empty or has characters that HTTP headers can't have; set {self.variables}_API_KEY "
                "to the whole key"
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
    """Turn the httpx errors of a storing request into errors that tell whether the server may have stored records.

    Raises:
        Unavailable: there was no connection, so nothing is stored.
        Fault: the connection broke or timed out, so any part may be stored.
    """
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Unavailable(broken(error)) from None
    except httpx.RequestError as error:
        raise Fault(broken(error)) from None


def broken(error: httpx.RequestError) -> str:
    """Return why a request got no complete response."""
    if isinstance(error, httpx.TimeoutException):
        return "no response in time"
    if isinstance(error, httpx.LocalProtocolError):  # its text may quote a header
        return "the request can't be sent"
    return str(error) or type(error).__name__


def one_line(reason: str) -> str:
    """Return a server's reason as one printable line, cut if it is long."""
    line = " ".join(printable(reason).split())
    return line if len(line) <= _MAX_REASON else f"{line[: _MAX_REASON - 3]}..."


def wished_pause(response: httpx.Response) -> float:
    """Return how many seconds the server asks to wait, 0 if the response names no time."""
    retry_after = response.headers.get("Retry-After", "")
    return float(retry_after) if retry_after.isdigit() else 0.0


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wish = error.after if isinstance(error, Unavailable) else 0.0
    return max(_backoff(state), min(wish, 60.0))
