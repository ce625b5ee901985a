"""serve(): the page on this machine's loopback address, until Ctrl-C."""

import socket
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from scorer import RunError

HOST = "127.0.0.1"  # the only one: whoever reaches the page can read the data
_LAST_ANSWERS = 3  # seconds that answers on their way get at the end


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a loopback port, 0 for any that is free; others can connect from now on.

    Raises:
        RunError: the port is taken or not allowed.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # An answer's last piece would wait 40 ms for the browser to acknowledge the one before.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise RunError(f"port {port} of {HOST} can't be used ({reason}); give another `port`, or 0 for any") from error
    return listening


def serve(app: ASGIApp, listening: socket.socket) -> NoReturn:
    """Answer requests until Ctrl-C or SIGTERM, which are raised as in any other command."""
    make_server(app).run(sockets=[listening])
    raise KeyboardInterrupt  # it stops at a SIGINT that a script's background job ignores, and raises none


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server that logs nothing: an address has the token in it, and what fails may quote the data."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level="critical",
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )
    return uvicorn.Server(config)
