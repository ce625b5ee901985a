"""Server: the methods of a review server that `log` and `pull` need; TOOLS: the review tools."""

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from lossrank.review.decision import Answer, ServerDataset
from lossrank.review.records import Refusal, ReviewRecord
from scorer import LossrankError, RunDirectory, RunError

OnWait = Callable[[str, float], None]


def waiting(reason: str, seconds: float) -> str:
    """Return a note that lossrank waits for a server, with the reason and the seconds until the next try."""
    return f"waiting for the server ({reason}); next try in {seconds:.1f} s"


class ReviewError(LossrankError):
    """Raised if a server can't be used; the message may quote the server's response, and so a record's text."""

    quotes_data = True


@dataclass(frozen=True)
class Account:
    """The address of a server, the key, and the workspace (None for the default workspace of the key)."""

    url: str
    api_key: str
    workspace: str | None = None


@dataclass(frozen=True)
class Form:
    """The form of a data set on a server: the classes to choose from, in order, and the names of the text fields."""

    class_names: tuple[str, ...]
    fields: tuple[str, ...]


class Sending(Protocol):
    """Sends records to one data set, and counts them.

    ``logged`` counts the records that were stored, ``already_there`` the records that the data set had before and
    keeps; ``refused`` lists the records left out.
    """

    logged: int
    already_there: int
    refused: list[Refusal]

    def log(self, records: Iterable[ReviewRecord]) -> Iterator[int]:
        """Send records in order and yield the size of each chunk once every record in it is stored or refused.

        Raises:
            ReviewError: the server can't be used, or is away for too long; stored records stay stored.
        """
        ...


class Server(Protocol):
    """A review server, used with one account; every method may raise ReviewError."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check_name(self, name: str) -> None:
        """Raise ReviewError if the tool doesn't accept a data set name; no request is sent."""
        ...

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        """Return the records that the tool accepts, and a Refusal for each other record."""
        ...

    def open(self, name: str, form: Form) -> ServerDataset:
        """Check the key and the workspace, create the data set if it is missing, and return it."""
        ...

    def sending(self, dataset: ServerDataset, chunk_size: int, refused: Iterable[Refusal]) -> Sending:
        """Return a ``Sending`` for the data set; ``refused`` are records that were refused before any request."""
        ...

    def page(self, dataset: ServerDataset) -> str:
        """Return the address of the page on which people review the data set."""
        ...

    def sort_hint(self, by: str) -> str:
        """Return one line on how to sort the page so that the worst rows by a measure come first."""
        ...

    def answers(self, dataset: ServerDataset, run: RunDirectory) -> Iterator[Answer]:
        """Yield people's answers to the run's rows; records of other data are skipped."""
        ...

    def listed(self, dataset: ServerDataset, ids: Sequence[str]) -> set[str]:
        """Return the record ids among ``ids`` that the data set has; call ``answers`` first, which opens it."""
        ...


@dataclass(frozen=True)
class Tool:
    """A review tool; its ``module`` has ``connect(account, on_wait)``, which returns a Server.

    ``variables`` is the prefix of the environment variables ..._API_URL, ..._API_KEY and, if the tool has
    ``workspaces``, ..._WORKSPACE. ``url`` and ``api_key`` are the address and key of a fresh installation; ``api_key``
    is None if it has no fixed key.
    """

    title: str
    module: str
    variables: str
    url: str
    api_key: str | None
    workspaces: bool = True

    def account(self, url: str | None, api_key: str | None, workspace: str | None) -> Account:
        """Return the account; values not given come from the environment variables, else from the tool's defaults.

        Raises:
            RunError: no key was found.
        """

        def found(given: str | None, name: str) -> str | None:
            return given or os.environ.get(f"{self.variables}_{name}") or None

        key = found(api_key, "API_KEY") or self.api_key
        if key is None:
            raise RunError(f"{self.title} needs an API key; set {self.variables}_API_KEY, or give `api_key`")
        return Account(
            found(url, "API_URL") or self.url, key, found(workspace, "WORKSPACE") if self.workspaces else workspace
        )

    def connect(self, account: Account, on_wait: OnWait) -> Server:
        """Return the tool's Server; for a tool with several versions, first ask the server for its version.

        Raises:
            ReviewError: the address or the key can't be used, or another server responds.
        """
        server: Server = importlib.import_module(self.module).connect(account, on_wait)
        return server


TOOLS = {
    "rubrix": Tool(
        "Rubrix", "lossrank.review.servers.rubrix.server", "RUBRIX", "http://localhost:6900", "rubrix.apikey"
    ),
    "argilla": Tool(
        "Argilla", "lossrank.review.servers.argilla.server", "ARGILLA", "http://localhost:6900", "argilla.apikey"
    ),
    "label-studio": Tool(
        "Label Studio",
        "lossrank.review.servers.label_studio.server",
        "LABEL_STUDIO",
        "http://localhost:8080",
        None,
        workspaces=False,
    ),
}
