"""TokenAuth: authentication with Label Studio's legacy tokens or its personal access tokens (JSON web tokens)."""

import re
from collections.abc import Generator

import httpx

from lossrank.review.servers.http import LATER, Unavailable
from lossrank.review.servers.server import ReviewError

_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class TokenAuth(httpx.Auth):
    """Sends a legacy token unchanged; exchanges a personal access token for an access token, again when that expires.

    Raises:
        ReviewError: (while a request is sent) the server refuses the token.
        Unavailable: (while a request is sent) the server can't exchange the token now.
    """

    requires_response_body = True

    def __init__(self, token: str, base: str) -> None:
        self._token = token
        self._base = base
        self._url = f"{base}/api/token/refresh/"
        self._personal = _JWT.fullmatch(token) is not None
        self._access: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._personal:
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        fresh = self._access is None
        if fresh:
            yield from self._refresh()
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == 401 and not fresh:  # the access token has expired
            yield from self._refresh()
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _refresh(self) -> Generator[httpx.Request, httpx.Response, None]:
        self._access = None
        response = yield httpx.Request("POST", self._url, json={"refresh": self._token})
        if response.status_code in LATER:
            raise Unavailable(f"the server responds {response.status_code}")
        try:
            access = response.json()["access"] if response.is_success else None
        except (ValueError, KeyError, TypeError):
            access = None
        if not isinstance(access, str):
            raise ReviewError(
                f"Label Studio at {self._base}: the server refuses the personal access token ({response.status_code}); "
                "set `api_key` or LABEL_STUDIO_API_KEY to a token from Account & Settings on that server"
            )
        self._access = access
