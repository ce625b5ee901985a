"""What a review server is to `log` and `pull`, whatever the tool, and which tools there are."""

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
    """Say why a server is waited for, and how long."""
    return f"waiting for the server ({reason}); next try in {seconds:.1f} s"


class ReviewError(LossrankError):
    """The server can't be used as asked; the message may have its answer, and so a record's text."""

    quotes_data = True


@dataclass(frozen=True)
class Account:
    """Whom a server is used as: its address, the key, and the workspace, None for the key's own."""

    url: str
    api_key: str
    workspace: str | None = None


@dataclass(frozen=True)
class Form:
    """What a data set on a server asks: the classes to choose from, in order, and the names of the text fields."""

    class_names: tuple[str, ...]
    fields: tuple[str, ...]


class Sending(Protocol):
    """One logging of records and its counts so far: ``refused`` stay out, ``already_there`` are left as they are."""

    logged: int
    already_there: int
    refused: list[Refusal]

    def log(self, records: Iterable[ReviewRecord]) -> Iterator[int]:
        """Log records in order and yield the size of each chunk once it is settled.

        Raises:
            ReviewError: the server can't be used, or stays away for too long; what was logged stays logged.
        """
        ...


class Server(Protocol):
    """A review server, seen as one account; what it raises is a ReviewError."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check_name(self, name: str) -> None:
        """Pass a data set name that the tool takes, without asking the server."""
        ...

    def accept(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        """Part the records that the tool can take from those it would refuse, with the reason."""
        ...

    def open(self, name: str, form: Form) -> ServerDataset:
        """Check the key and the workspace, and make the data set where it is missing; return where it is."""
        ...

    def sending(self, dataset: ServerDataset, chunk_size: int, refused: Iterable[Refusal]) -> Sending:
        """Begin to log; ``refused`` are those that were refused before any request."""
        ...

    def page(self, dataset: ServerDataset) -> str:
        """Return the address at which a person reviews."""
        ...

    def sort_hint(self, by: str) -> str:
        """Say in one line how a person sees the worst by a measure first."""
        ...

    def answers(self, dataset: ServerDataset, run: RunDirectory) -> Iterator[Answer]:
        """Yield what people said of the rows of the run's data; other records are passed over."""
        ...

    def listed(self, dataset: ServerDataset, ids: Sequence[str]) -> set[str]:
        """Return which of some record ids the data set has, once its ``answers`` were read."""
        ...


@dataclass(frozen=True)
class Tool:
    """A kind of server; ``module`` has ``connect(account, on_wait)``, which returns a Server.

    ``variables`` begins the names of the environment variables: ..._API_URL, ..._API_KEY, ..._WORKSPACE, the last
    where the tool has ``workspaces``.
    """

    title: str
    module: str
    variables: str
    url: str
    api_key: str | None
    workspaces: bool = True

    def account(self, url: str | None, api_key: str | None, workspace: str | None) -> Account:
        """Fill in what was not given from the environment, then with what a server has after its installation.

        Raises:
            RunError: there is no key.
        """

        def found(given: str | None, name: str) -> str | None:
            return given or os.environ.get(f"{self.variables}_{name}") or None

        key = found(api_key, "API_KEY") or self.api_key
        if key is None:
            raise RunError(f"{self.title} wants an API key; set {self.variables}_API_KEY to it, or give --api-key")
        return Account(
            found(url, "API_URL") or self.url, key, found(workspace, "WORKSPACE") if self.workspaces else workspace
        )

    def connect(self, account: Account, on_wait: OnWait) -> Server:
        """Make the tool's client, asking the server first which one it is where the tool has several.

        Raises:
            ReviewError: the address or the key can't be used, or another server answers.
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
