"""The server of the page, and the socket on the loopback address that it listens on."""

import socket

import uvicorn
from starlette.types import ASGIApp

from scorer import RunError

HOST = "127.0.0.1"  # only this machine, since whoever opens the page can read the data
_GRACE = 3  # seconds that open requests have to finish when the server stops


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of the loopback address; port 0 means any free port.

    Raises:
        RunError: the port is in use, or this user may not listen on it.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Otherwise the last packet of a response could wait 40 ms for the browser to acknowledge the one before.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise RunError(
            f"port {port} of {HOST} can't be used ({reason}); give another `port`, or `port=0` for any free port"
        ) from error
    return listening


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server that logs nothing, since requested addresses contain the token and errors may quote the data."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level="critical",
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    return uvicorn.Server(config)
