"""What the servers of all review tools have in common: one client, and by what a person sees the worst first."""

from types import TracebackType
from typing import Generic, Self, TypeVar

from cli.review.http import ReviewClient

Api = TypeVar("Api", bound=ReviewClient)
SORT = {  # what to sort by on the review page for the ranking's order
    "loss": "loss, descending",
    "margin": "margin, ascending",
    "self-confidence": "loss, descending",
    "entropy": "entropy, descending",
}


class BaseServer(Generic[Api]):
    """A review server, seen through its client, which is closed with it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __enter__(self) -> Self:
        self._api.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.__exit__(kind, error, trace)
