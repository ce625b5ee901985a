"""What an answer of Rubrix, or of Argilla as it was called later, means: good, come back later, or an error to show."""

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
    """Which server answers: its name, its version, and how the environment variables of its tool begin."""

    title: str
    version: str
    variables: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def __str__(self) -> str:
        return f"{self.title} {self.version}".rstrip()


def object_in(content: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: it is none.
    """
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def detail_in(content: bytes) -> tuple[str, dict[str, Any]]:
    """Take the error's code and parameters out of an answer; both are empty where it isn't one of theirs."""
    try:
        detail = object_in(content).get("detail")
    except ValueError:
        return "", {}
    if not isinstance(detail, dict):
        return "", {"message": detail} if isinstance(detail, str) else {}
    params = detail.get("params")
    return str(detail.get("code", "")).rpartition("::")[2], params if isinstance(params, dict) else {}


def reason_in(content: bytes) -> str:
    """Take the reason out of an error answer, on one line and without the records' texts.

    A failed document comes back whole inside the message, so only the reasons in front of it are kept.
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
    """Pass a good answer; the caller has dealt with the statuses that mean something special to it.

    Raises:
        Unavailable: 429 and 5xx.
        ReviewError: any other status that is no success.
    """
    status = response.status_code
    if response.is_success:
        return
    reason = reason_in(response.content)
    said = f"{status}: {reason}" if reason else str(status)
    if status in LATER:
        raise Unavailable(f"it answers {said}", wished_pause(response))
    if response.is_redirect:
        raise ReviewError(f"it redirects elsewhere ({status}); give --url the address that it leads to")
    if status == 401:
        key = f"{product.variables}_API_KEY"
        raise ReviewError(f"it refuses the API key (401); set --api-key or {key} to a key of that server")
    if status == 403:
        raise ReviewError(f"it forbids this to the API key's user ({said}); use a key with access to the workspace")
    raise ReviewError(f"it answers {said}, which {product} should not; check --url")


def raise_for_bulk(response: httpx.Response) -> None:
    """Sort out the answers that only a bulk can get.

    Raises:
        Refused: the server turned at least one record down; after a 500 the others are stored.
        Fault: a 500 without a word on whose fault it is.
    """
    if response.status_code in (400, 413, 422):
        reason = reason_in(response.content) or f"status {response.status_code}"
        raise Refused(reason, _positions(detail_in(response.content)[1]))
    if response.status_code == 500:
        reason = reason_in(response.content) or "status 500"
        turned_down = b"failed to index" in response.content and b"'status': 400" in response.content
        raise Refused(reason, stored=True) if turned_down else Fault(reason)


def _field_error(error: dict[str, Any]) -> str:
    places = [str(part) for part in error.get("loc", []) if isinstance(part, str)]
    where = ".".join(part for part in places if part not in ("body", "records", "items", "__root__"))
    return f"{where}: {error.get('msg')}" if where else str(error.get("msg"))


def _positions(params: dict[str, Any]) -> frozenset[int]:
    """Read the records' positions out of places such as ["body", "records", 7, "annotation"], or Argilla 2's words."""
    if isinstance(message := params.get("message"), str) and (found := _POSITION.match(message)):
        return frozenset([int(found[1])])
    errors = params.get("errors")
    places = [error.get("loc") for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    records = [p for p in places if isinstance(p, list) and p[:2] in (["body", "records"], ["body", "items"])]
    return frozenset(place[2] for place in records if len(place) > 2 and isinstance(place[2], int))
