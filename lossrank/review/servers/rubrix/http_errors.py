"""Sort the responses of Rubrix and Argilla into successes, errors that may go away, and errors to show."""

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx

from lossrank.review.servers.http import LATER, Fault, Refused, Unavailable, one_line, wished_pause
from lossrank.review.servers.server import ReviewError

_POSITION = re.compile(r"[Rr]ecord at position (\d+) is not valid because ")
_INDEX_REASON = re.compile(r"""'reason': (['"])(.*?)\1[,}\]]""")


@dataclass(frozen=True)
class Product:
    """A server's name and version, and the prefix of its tool's environment variables."""

    title: str
    version: str
    variables: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def __str__(self) -> str:
        return f"{self.title} {self.version}".rstrip()


def object_in(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a response's content is.

    Raises:
        ValueError: the content is not a JSON object.
    """
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def detail_in(content: bytes) -> tuple[str, dict[str, Any]]:
    """Return the error code and parameters in a response; both are empty if the response has another format."""
    try:
        detail = object_in(content).get("detail")
    except ValueError:
        return "", {}
    if not isinstance(detail, dict):
        return "", {"message": detail} if isinstance(detail, str) else {}
    params = detail.get("params")
    return str(detail.get("code", "")).rpartition("::")[2], params if isinstance(params, dict) else {}


def reason_in(content: bytes) -> str:
    """Return the reason in an error response, on one line and without the records' texts.

    A message of the search index quotes the failed document in full, so only the reasons before the quote are kept.
    """
    code, params = detail_in(content)
    errors, message = params.get("errors"), params.get("message", params.get("detail"))
    if isinstance(errors, list) and errors:
        text = "; ".join(dict.fromkeys(_field_error(error) for error in errors if isinstance(error, dict)))
    elif isinstance(message, str):
        reasons = [match[1] for match in _INDEX_REASON.findall(message.partition("'data':")[0])]
        text = ": ".join(dict.fromkeys(reasons)) if reasons else message.partition("[{")[0]
        text = re.sub(r"[.\s]*Preview of field's value.*", "", text, flags=re.DOTALL)
    else:
        text = code
    return one_line(_POSITION.sub("", text))


def raise_for_response(response: httpx.Response, product: Product) -> None:
    """Check that a response is a success; the caller handles statuses with a special meaning before.

    Raises:
        Unavailable: the status is 429 or 5xx.
        ReviewError: the status is another error or a redirect.
    """
    status = response.status_code
    if response.is_success:
        return
    reason = reason_in(response.content)
    shown = f"{status}: {reason}" if reason else str(status)
    if status in LATER:
        raise Unavailable(f"the server responds {shown}", wished_pause(response))
    if response.is_redirect:
        raise ReviewError(f"the server redirects ({status}); set `url` to the address to which it redirects")
    if status == 401:
        key = f"{product.variables}_API_KEY"
        raise ReviewError(f"the server refuses the API key (401); set `api_key` or {key} to a key of that server")
    if status == 403:
        raise ReviewError(
            f"the server denies access to the API key's user ({shown}); use a key with access to the workspace"
        )
    raise ReviewError(f"the server responds {shown}, which is not a response of {product}; check `url`")


def raise_for_bulk(response: httpx.Response) -> None:
    """Check a response for the error statuses that have a special meaning for a bulk request.

    Raises:
        Refused: the server refused at least one record; after a 500 the others are stored.
        Fault: the status is 500 for an unknown reason.
    """
    if response.status_code in (400, 413, 422):
        reason = reason_in(response.content) or f"status {response.status_code}"
        raise Refused(reason, _positions(detail_in(response.content)[1]))
    if response.status_code == 500:
        reason = reason_in(response.content) or "status 500"
        turned_down = b"failed to index" in response.content and b"'status': 400" in response.content
        raise Refused(reason, stored=True) if turned_down else Fault(reason)


def _field_error(error: dict[str, Any]) -> str:
    path = [str(part) for part in error.get("loc", []) if isinstance(part, str)]
    where = ".".join(part for part in path if part not in ("body", "records", "items", "__root__"))
    return f"{where}: {error.get('msg')}" if where else str(error.get("msg"))


def _positions(params: dict[str, Any]) -> frozenset[int]:
    """Return the positions of refused records from paths like ["body", "records", 7, "text"] or Argilla 2's message."""
    if isinstance(message := params.get("message"), str) and (found := _POSITION.match(message)):
        return frozenset([int(found[1])])
    errors = params.get("errors")
    paths = [error.get("loc") for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    records = [
        path for path in paths if isinstance(path, list) and path[:2] in (["body", "records"], ["body", "items"])
    ]
    return frozenset(path[2] for path in records if len(path) > 2 and isinstance(path[2], int))
