"""RubrixServer: the methods that `log` and `pull` need of a Rubrix 0.18 or Argilla 1.x server."""

from collections.abc import Iterable, Iterator

from lossrank.review.decision import Answer, ServerDataset
from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.base import SORT, BaseServer
from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.rubrix.api import RubrixApi, check_name
from lossrank.review.servers.rubrix.record import accept, answer, encode
from lossrank.review.servers.server import Account, Form, OnWait, ReviewError
from scorer import RunDirectory


class RubrixServer(BaseServer[RubrixApi]):
    """A Rubrix or Argilla 1.x server, used with one key in one workspace; ``tool`` is its name in TOOLS."""

    def __init__(self, api: RubrixApi, tool: str = "rubrix") -> None:
        super().__init__(api)
        self._tool = tool

    def check_name(self, name: str) -> None:
        check_name(name)

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        return accept(records)

    def open(self, name: str, form: Form) -> ServerDataset:
        return ServerDataset(self._tool, self._api.url, self._api.open_dataset(name), name)

    def sending(self, dataset: ServerDataset, chunk_size: int, refused: Iterable[Refusal]) -> ChunkedLog:
        return ChunkedLog(self._api, dataset.name, encode, chunk_size, refused)

    def page(self, dataset: ServerDataset) -> str:
        return f"{dataset.url}/datasets/{dataset.workspace}/{dataset.name}"

    def sort_hint(self, by: str) -> str:
        return f"Sort, Metadata.{SORT[by]}"

    def answers(self, dataset: ServerDataset, run: RunDirectory) -> Iterator[Answer]:
        self._api.open_dataset(dataset.name, make=False)
        for record in self._api.reviewed(dataset.name):
            try:
                found = answer(record, run.data_fingerprint, run.data_name)
            except ValueError as error:
                raise ReviewError(f"{self._api.title} at {self._api.url}: {error}") from None
            if found is not None:
                yield found


def connect(account: Account, on_wait: OnWait) -> RubrixServer:
    """Return the server; no request is sent yet.

    Raises:
        ReviewError: the address or the key can't be used.
    """
    return RubrixServer(RubrixApi(account.url, account.api_key, account.workspace, on_wait=on_wait))
