"""LabelStudioServer: the methods that `log` and `pull` need of a Label Studio server."""

from collections.abc import Iterable, Iterator

from lossrank.review.decision import Answer, ServerDataset
from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.base import SORT, BaseServer
from lossrank.review.servers.bulk import ChunkedLog
from lossrank.review.servers.label_studio.api import LabelStudioApi
from lossrank.review.servers.label_studio.record import accept, answers, encode
from lossrank.review.servers.server import Account, Form, OnWait, ReviewError
from scorer import RunDirectory


class LabelStudioServer(BaseServer[LabelStudioApi]):
    """A Label Studio server, used with one token; a data set is a project, named by its title."""

    def __init__(self, api: LabelStudioApi) -> None:
        super().__init__(api)
        self._project = 0

    def check_name(self, name: str) -> None:
        if not 3 <= len(name) <= 50 or name != name.strip() or not name.isprintable():
            raise ReviewError(
                f"Label Studio does not accept the title {name!r}; give a `name` of 3 to 50 characters, no space at "
                "the ends"
            )

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        return accept(records)

    def open(self, name: str, form: Form) -> ServerDataset:
        self._project = self._api.open_project(name, form)
        return ServerDataset("label-studio", self._api.url, None, name)

    def sending(self, dataset: ServerDataset, chunk_size: int, refused: Iterable[Refusal]) -> ChunkedLog:
        return ChunkedLog(self._api, self._client_name(dataset), encode, chunk_size, refused)

    def page(self, dataset: ServerDataset) -> str:
        return f"{dataset.url}/projects/{self._project}/data"

    def sort_hint(self, by: str) -> str:
        return f"Order by {SORT[by]}, then Label Tasks As Displayed"

    def answers(self, dataset: ServerDataset, run: RunDirectory) -> Iterator[Answer]:
        self._project = self._api.open_project(dataset.name, None)
        names = self._api.users()
        for task in self._api.annotated(self._project):
            yield from answers(task, run.data_fingerprint, names) or ()

    def _client_name(self, dataset: ServerDataset) -> str:
        return str(self._project)


def connect(account: Account, on_wait: OnWait) -> LabelStudioServer:
    """Return the server; no request is sent yet.

    Raises:
        ReviewError: the address or the token can't be used, or a workspace was given.
    """
    if account.workspace is not None:
        raise ReviewError("Label Studio has no workspaces; leave out `workspace`")
    return LabelStudioServer(LabelStudioApi(account.url, account.api_key, on_wait=on_wait))
