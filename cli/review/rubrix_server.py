"""Rubrix 0.18 as a review server."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from cli.review.decision import Place
from cli.review.records import Refusal, ReviewRecord
from cli.review.rubrix import RubrixLog
from cli.review.rubrix_api import RubrixApi, check_name
from cli.review.rubrix_record import screen
from cli.review.server import Account, Form, OnWait

_SORT = {  # what to sort by on the review page for the ranking's order
    "loss": "Metadata.loss, descending",
    "margin": "Metadata.margin, ascending",
    "self-confidence": "Metadata.loss, descending",
    "entropy": "Metadata.entropy, descending",
}


class RubrixServer:
    """A Rubrix server, seen with one key in one workspace."""

    def __init__(self, api: RubrixApi) -> None:
        self._api = api

    def __enter__(self) -> Self:
        self._api.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.__exit__(kind, error, trace)

    def check_name(self, name: str) -> None:
        check_name(name)

    def screen(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        return screen(records)

    def open(self, name: str, form: Form) -> Place:
        return Place("rubrix", self._api.url, self._api.open_dataset(name), name)

    def sending(self, place: Place, chunk_size: int, refused: Iterable[Refusal]) -> RubrixLog:
        return RubrixLog(self._api, place.name, chunk_size, refused)

    def page(self, place: Place) -> str:
        return f"{place.url}/datasets/{place.workspace}/{place.name}"

    def sort_hint(self, by: str) -> str:
        return f"Sort, {_SORT[by]}"


def connect(account: Account, on_wait: OnWait) -> RubrixServer:
    """Make a client; no request is sent yet.

    Raises:
        RubrixError: the address or the key can't be used.
    """
    return RubrixServer(RubrixApi(account.url, account.api_key, account.workspace, on_wait=on_wait))
