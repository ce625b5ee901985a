"""Argilla as a review server: 1.x by Rubrix's requests, 2.x by its SDK; the server says which it is."""

from cli.review.rubrix_api import RubrixApi
from cli.review.rubrix_server import RubrixServer
from cli.review.server import Account, OnWait, ReviewError, Server


def connect(account: Account, on_wait: OnWait) -> Server:
    """Make the client that speaks as the server does.

    Raises:
        ReviewError: the address or the key can't be used, no server or none of Argilla's, or the SDK is missing.
    """
    api = RubrixApi(account.url, account.api_key, account.workspace, tool="argilla", on_wait=on_wait)
    product = api.product()
    if product.title != "Argilla":
        raise ReviewError(f"{product} answers at {api.url}; call it rubrix, not argilla")
    if product.major == 1:
        return RubrixServer(api, "argilla")
    from cli.review.argilla2 import Argilla2Server  # only here, so that 1.x needs no more than Rubrix does
    from cli.review.argilla_api import ArgillaApi

    with api:
        return Argilla2Server(ArgillaApi(account.url, account.api_key, account.workspace, product, on_wait=on_wait))
