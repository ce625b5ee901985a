"""open_review(): the review page of a run's worst rows, served in this process until it is stopped."""

import contextlib
import getpass
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import NoReturn, Self

import uvicorn

from lossrank.page.app import make_app, new_token
from lossrank.page.rows import PageRow, page_rows
from lossrank.page.serve import HOST, listen, make_server
from lossrank.review.decision import Decision
from lossrank.review.records import Refusal
from lossrank.review.store import DecisionStore, read_decisions
from lossrank.tables.ranking import precision_note
from scorer.audit.rank import join_source, rank
from scorer.data.source import Data
from scorer.errors import RunError
from scorer.run.directory import RunDirectory


@dataclass(frozen=True)
class _Parts:
    """What the page is made of; closed together."""

    listening: socket.socket
    store: DecisionStore
    server: uvicorn.Server


class Review:
    """A review page, which ``Run.review`` serves on this machine.

    Each decision is stored at once, so nothing is lost when the page is stopped. In a ``with`` statement it is stopped
    at the end.

    Attributes:
        url: the address, which nobody can guess; it works on this machine only.
        user: the name that is recorded with decisions.
        rows: the rows to review, each with its ``scores`` (a ``RankedRow``), ``texts`` and ``given`` label.
        refused: the rows that can't be shown, with reasons.
        note: how many of the rows have int8 numbers, None if there are none.

    Example:
        >>> with run.review(top=20, user="ann") as page:
        ...     len(page.rows)
        20
    """

    def __init__(
        self,
        run: RunDirectory,
        parts: _Parts,
        url: str,
        user: str,
        rows: Sequence[PageRow],
        refused: Sequence[Refusal],
        note: str | None,
    ) -> None:
        self.url = url
        self.user = user
        self.rows = rows
        self.refused = refused
        self.note = note
        self._run = run
        self._parts = parts
        self._thread: threading.Thread | None = None
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "served" if self._thread and self._thread.is_alive() else "stopped"
        return f"<Review of {len(self.rows):,} rows of {self._run.path} as {self.user}, {state} at {self.url}>"

    def _repr_html_(self) -> str:
        link = f'<a href="{escape(self.url)}" target="_blank">{escape(self.url)}</a>'
        return f"{len(self.rows):,} rows to review, as {escape(self.user)}: {link}"

    def start(self) -> None:
        """Serve the page in the background; ``Run.review`` has done it."""
        if self._thread is not None or self._stopped:
            raise RunError("a review page is started once; call `Run.review` for another")
        self._thread = threading.Thread(target=self._serve, name="review", daemon=True)
        self._thread.start()

    def serve(self) -> NoReturn:
        """Serve the page until Ctrl-C or SIGTERM, then raise KeyboardInterrupt."""
        self._serve()
        raise KeyboardInterrupt  # if the process ignores SIGINT, uvicorn still stops at it, but does not raise

    def stop(self) -> None:
        """Stop serving. A stopped page can't be started again; call ``Run.review`` for another."""
        self._stopped = True
        self._parts.server.should_exit = True
        try:
            if self._thread is not None:
                self._thread.join()
        finally:
            self._parts.listening.close()
            self._parts.store.close()

    def decisions(self) -> dict[int, Decision]:
        """Return the decision in force of each decided row of the run, by row number."""
        return read_decisions(self._run) or {}

    def _serve(self) -> None:
        self._parts.server.run(sockets=[self._parts.listening])


def open_review(
    run: RunDirectory,
    top: int | None = None,
    *,
    by: str = "loss",
    per_class: int | None = None,
    pair: tuple[str, str] | str | None = None,
    data: Data | None = None,
    port: int = 0,
    user: str | None = None,
) -> Review:
    """Prepare the review page of the worst rows; ``Review.start`` or ``Review.serve`` serves it.

    The port is taken at once, so that a port in use is reported before the data is read.

    Raises:
        RunError: the port is in use, ``user`` is not a printable name, or no row can be shown.
        SourceError: the data is gone or has changed.
    """
    user = (user if user is not None else login() or "").strip()
    if not user or not user.isprintable():
        raise RunError(f"`user` is {user!r}; it must be a printable name")
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen(port))
        ranked = rank(run, top, by=by, per_class=per_class, pair=pair)
        rows, refused = page_rows(run, ranked, join_source(run, ranked, data, scored_only=True))
        if not rows:
            raise RunError(f"{run.path} has no such row to show; choose other rows with `pair`, `by` or `per_class`")
        store = stack.enter_context(DecisionStore(run))
        token = new_token()
        server = make_server(make_app(run, rows, store, user, token=token, by=by, data=data))
        url = f"http://{HOST}:{listening.getsockname()[1]}/{token}/"
        note = precision_note(run, ranked)
        stack.pop_all()  # Review.stop closes both
    return Review(run, _Parts(listening, store, server), url, user, rows, refused, note)


def login() -> str | None:
    """Return the login name, or None if the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
