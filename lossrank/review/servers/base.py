"""BaseServer: the code that the servers of all review tools share."""

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from lossrank.review.decision import ServerDataset
from lossrank.review.servers.http import ReviewClient
from scorer.audit.rank import MEASURES, Measure

Api = TypeVar("Api", bound=ReviewClient)
_IDS = 1000  # record ids per request


def _sort(measure: Measure) -> str:
    if measure.column == "label_prob":  # not in the records; the loss gives the same order
        return "loss, descending"
    return f"{measure.column}, {'descending' if measure.high_is_bad else 'ascending'}"


# How to sort by each measure on a tool's page.
SORT = {name: _sort(measure) for name, measure in MEASURES.items()}


class BaseServer(Generic[Api]):
    """A review server and its client; closing the server closes the client."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __enter__(self) -> Self:
        self._api.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.__exit__(kind, error, trace)

    def listed(self, dataset: ServerDataset, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(ids), _IDS):
            step = partial(self._api.existing_ids, self._client_name(dataset), list(ids[start : start + _IDS]))
            found |= self._api.persist(step)
        return found

    def _client_name(self, dataset: ServerDataset) -> str:
        """Return the name that the client uses for the open data set."""
        return dataset.name
