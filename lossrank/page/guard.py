"""What stands before the page: only who has its address gets an answer, and only the page itself may write.

Every answer carries headers that keep it out of other pages, of caches and of other addresses' logs. A request needs a
Host of this machine, since a name that somebody points at 127.0.0.1 would make their page one with this one; the
token, as the path's first part; and, to write, the page's own Origin.
"""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")  # whatever the port: an ssh tunnel's may be another one
READING = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # With no-referrer, browsers would send "Origin: null" from the page's own forms too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """Return an app that passes on only what may reach ``app``, which sees whole paths, ``/TOKEN/...``."""
    return _WithHeaders(TrustedHostMiddleware(_Door(app, token), allowed_hosts=HOSTS, www_redirect=False))


class _WithHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Door:
    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = scope["path"].lstrip("/").partition("/")[0].encode()
        if not secrets.compare_digest(given, self._token):
            refusal = "Open the address that `lossrank review` printed; it has a token that this one lacks.\n"
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
        elif scope["method"] not in READING and headers.get("origin") != f"http://{headers.get('host')}":
            refusal = "Only the page itself may decide.\n"
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
