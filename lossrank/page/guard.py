"""Protect the review page: only requests with the token are served, and only the page's own forms can write.

The Host header of a request must name this machine. Otherwise a site whose host name resolves to 127.0.0.1 (DNS
rebinding) would have the same origin as the page. The path of a request must begin with the token, and a request that
writes must have the page's own Origin. Every response has headers that keep the page out of frames and caches, and the
page's address out of the Referer headers that other sites receive.
"""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")  # on any port, since an ssh tunnel may use another port
READING = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # With no-referrer, browsers would send "Origin: null" even from the page's own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """Return an app that refuses forbidden requests and passes all others to ``app`` with their path unchanged."""
    return _WithHeaders(TrustedHostMiddleware(_TokenGuard(app, token), allowed_hosts=HOSTS, www_redirect=False))


class _WithHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _TokenGuard:
    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = scope["path"].lstrip("/").partition("/")[0].encode()
        if not secrets.compare_digest(given, self._token):
            refusal = "This address lacks the page's token; open the address that `lossrank review` printed.\n"
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
        elif scope["method"] not in READING and headers.get("origin") != f"http://{headers.get('host')}":
            refusal = "Only the page itself may decide; open the review page and decide there.\n"
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
