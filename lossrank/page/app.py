"""make_app(): the review page as a web app: its routes and their handlers.

The app consists of plain pages and plain forms, so it works without JavaScript. A form sends a decision by POST; the
app stores the decision and redirects to the next open row, so the browser's reload and back buttons work.
"""

import secrets
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from lossrank.page.guard import guarded
from lossrank.page.html import Html, Notice
from lossrank.page.rows import PageRow
from lossrank.page.selection import Selection
from lossrank.page.view import per_hour
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, ConflictError
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, RunError
from scorer.data.source import Data

_STATIC = Path(__file__).parent / "static"
_SEE_OTHER, _BAD_REQUEST, _CONFLICT, _FAILED = 303, 400, 409, 500


def make_app(
    run: RunDirectory,
    rows: Sequence[PageRow],
    store: DecisionStore,
    user: str,
    *,
    token: str,
    by: str = "loss",
    data: Data | None = None,
) -> ASGIApp:
    """Return the web app in which ``user`` reviews ``rows``; all its paths begin with ``/TOKEN/``.

    ``by`` is the measure that ranked the rows. ``data`` is where the run's data is now, if the data has moved.
    """
    page = _Page(rows, store, user, run.class_names, Html(run, rows, user, by, data))
    routes = [
        Route("/", page.show),
        Route("/decide", page.decide, methods=["POST"]),
        Route("/undo", page.undo, methods=["POST"]),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    app = Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers={Exception: _crashed})
    return guarded(app, token)


def new_token() -> str:
    """Return a random token for the page's address, too long to guess."""
    return secrets.token_urlsafe(24)


class _Page:
    def __init__(
        self, rows: Sequence[PageRow], store: DecisionStore, user: str, class_names: Sequence[str], html: Html
    ) -> None:
        self._classes = class_names
        self._rows = rows
        self._by_row = {row.row: row for row in rows}
        self._store = store
        self._user = user
        self._html = html

    def show(self, request: Request) -> Response:
        return self._respond(Selection.of(request.query_params))

    async def decide(self, request: Request) -> Response:
        form = await _form(request)
        return await run_in_threadpool(self._decide, Selection.of(request.query_params), form)

    async def undo(self, request: Request) -> Response:
        form = await _form(request)
        return await run_in_threadpool(self._undo, Selection.of(request.query_params), form)

    def _decide(self, selection: Selection, form: dict[str, str]) -> Response:
        try:
            row, seen = self._by_row[int(form["row"])], int(form["seen"])
            verdict, label = self._parse(row, form)
        except (KeyError, ValueError):
            notice = Notice("Not stored: the form has no valid decision about a row of this page; reload the page.")
            return self._respond(selection, notice, _BAD_REQUEST)
        here = replace(selection, at=row.row)
        wanted = f"{verdict} as {label}" if label else verdict
        try:
            self._store.decide(row.row, verdict, label, annotator=self._user, seen=seen)
        except ConflictError as conflict:
            return self._respond(here, Notice(f"Your “{wanted}” was not stored: {conflict}."), _CONFLICT)
        except RunError as error:
            return self._respond(here, Notice(f"Your “{wanted}” was not stored: {error}."), _FAILED)
        return _redirect(here.after(row, self._rows, self._store.current()))

    def _undo(self, selection: Selection, form: dict[str, str]) -> Response:
        try:
            undone = self._store.undo(self._user, seen=int(form["seen"]))
        except (KeyError, ValueError):
            return self._respond(
                selection, Notice("Nothing was undone: the form names no decision; reload the page."), _BAD_REQUEST
            )
        except ConflictError as conflict:
            at = conflict.current.row if conflict.current else None
            here = replace(selection, at=at) if at in self._by_row else selection
            return self._respond(here, Notice(f"Nothing was undone: {conflict}."), _CONFLICT)
        except RunError as error:
            return self._respond(selection, Notice(f"Nothing was undone: {error}."), _FAILED)
        if undone is None:
            return self._respond(selection, Notice("You have no decision to undo.", stopped=False))
        if undone.row not in self._by_row:
            notice = Notice(
                f"The decision about row {undone.row} is undone; the row is not on this page.", stopped=False
            )
            return self._respond(selection, notice)
        return _redirect(replace(selection, at=undone.row))

    def _parse(self, row: PageRow, form: dict[str, str]) -> tuple[str, str | None]:
        """Return a form's verdict and label; the label is None unless the row is relabelled.

        Raises:
            ValueError: the form lacks both a verdict and a label, or has one that this row does not allow.
        """
        if "label" in form:
            index = int(form["label"])
            if index not in range(len(self._classes)):
                raise ValueError(index)
            return (KEPT, None) if index == row.scores.label else (RELABELLED, self._classes[index])
        if form.get("verdict") == DISCARDED or (form.get("verdict") == KEPT and row.given is not None):
            return form["verdict"], None
        raise ValueError(form.get("verdict"))

    def _respond(self, selection: Selection, notice: Notice | None = None, status: int = 200) -> Response:
        try:
            decisions, last = self._store.current(), self._store.last(self._user)
            rate = per_hour(self._store.decided_since(datetime.now(UTC) - timedelta(hours=1)))
        except RunError as error:
            return HTMLResponse(self._html.broken(str(error)), status_code=_FAILED)
        current = selection.current(self._rows, decisions)
        if notice is None and current is not None and selection.at != current.row:
            return _redirect(replace(selection, at=current.row))  # so that the back button leads to this row
        return HTMLResponse(self._html.page(selection, decisions, last, rate, notice), status_code=status)


def _crashed(request: Request, error: Exception) -> Response:
    """Return a response with an error's class and source line; its message is left out, since it may quote texts."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    print(f"The page failed: {what}. No decision is lost; please report this.", file=sys.stderr)
    return PlainTextResponse(f"lossrank failed: {what}. All earlier decisions are stored.\n", status_code=_FAILED)


def _redirect(selection: Selection) -> Response:
    """Return a redirect to the page of a selection; reloading that page doesn't send the form again."""
    return RedirectResponse(f"./?{selection.query()}", status_code=_SEE_OTHER)


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a URL-encoded form; Starlette's form parser isn't used, since it needs another package."""
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        return {}
    return {name: values[-1] for name, values in fields.items()}
