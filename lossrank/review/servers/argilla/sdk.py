"""Import the Argilla SDK when it is needed, keep it quiet, and find the HTTP responses behind its errors."""

import contextlib
import importlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import httpx

from lossrank.review.servers.rubrix.http_errors import Product
from lossrank.review.servers.server import ReviewError


def import_sdk(product: Product) -> Any:
    """Import and return the SDK.

    Raises:
        ReviewError: the SDK is not installed.
    """
    try:
        with quiet():
            return importlib.import_module("argilla")
    except ImportError:
        raise ReviewError(
            f"{product} needs its SDK, which is not installed; run `pip install 'lossrank[argilla]'`"
        ) from None


def response_of(error: BaseException | None) -> httpx.Response | None:
    """Return the HTTP response behind an error of the SDK, None if there is none."""
    while error is not None:
        if isinstance(error, httpx.HTTPStatusError):
            return error.response
        if type(error).__name__ == "ArgillaCredentialsError":
            return httpx.Response(401)
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            cause = error.__context__
            if isinstance(cause, httpx.HTTPStatusError):
                return cause.response
            return httpx.Response(status, text=re.sub(r"^.*?Details: ", "", str(error), flags=re.DOTALL))
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the SDK from printing, warning, and adding a handler to the root logger within the block."""
    silent = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(silent)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silent)
