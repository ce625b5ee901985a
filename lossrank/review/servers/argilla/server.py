"""Argilla2Server: the methods that `log` and `pull` need of an Argilla 2.x server."""

from collections.abc import Iterable, Iterator

from lossrank.review.decision import Answer, ServerDataset
from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.argilla.api import MAX_BULK, ArgillaApi
from lossrank.review.servers.argilla.record import MAX_NAME, accept, answers, encode
from lossrank.review.servers.base import SORT, BaseServer
from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.rubrix.api import RubrixApi
from lossrank.review.servers.rubrix.server import RubrixServer
from lossrank.review.servers.server import Account, Form, OnWait, ReviewError, Server
from scorer import RunDirectory


class Argilla2Server(BaseServer[ArgillaApi]):
    """An Argilla 2.x server, used with one key in one workspace."""

    def check_name(self, name: str) -> None:
        if not 1 <= len(name) <= MAX_NAME or not name.strip() or not name.isprintable():
            raise ReviewError(
                f"Argilla does not accept the data set name {name!r}; give a `name` of 1 to {MAX_NAME} characters, "
                "no control characters"
            )

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        return accept(records)

    def open(self, name: str, form: Form) -> ServerDataset:
        return ServerDataset("argilla", self._api.url, self._api.open_dataset(name, form), name)

    def sending(self, dataset: ServerDataset, chunk_size: int, refused: Iterable[Refusal]) -> ChunkedLog:
        return ChunkedLog(self._api, dataset.name, encode, min(chunk_size, MAX_BULK), refused)

    def page(self, dataset: ServerDataset) -> str:
        return f"{dataset.url}/dataset/{self._api.dataset_id}/annotation-mode"

    def sort_hint(self, by: str) -> str:
        return f"Sort, Metadata, {SORT[by]}"

    def answers(self, dataset: ServerDataset, run: RunDirectory) -> Iterator[Answer]:
        self._api.open_dataset(dataset.name, None)
        names = self._api.users()
        for record in self._api.answered():
            try:
                yield from answers(record, run.data_fingerprint, names)
            except ValueError as error:
                raise ReviewError(f"{self._api.title} at {self._api.url}: {error}") from None


def connect(account: Account, on_wait: OnWait) -> Server:
    """Return the Server for the version of Argilla that responds.

    Raises:
        ReviewError: the address or the key can't be used, no Argilla server responds, or the SDK is not installed.
    """
    api = RubrixApi(account.url, account.api_key, account.workspace, tool="argilla", on_wait=on_wait)
    product = api.product()
    if product.title != "Argilla":
        raise ReviewError(
            f"the server at {api.url} is {product}; log there with `to='rubrix'` and pull with `source='rubrix'`"
        )
    if product.major == 1:
        return RubrixServer(api, "argilla")
    with api:
        return Argilla2Server(ArgillaApi(account.url, account.api_key, account.workspace, product, on_wait=on_wait))
