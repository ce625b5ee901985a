"""make_app(): the page's addresses.

Everything is a plain page or a plain form: a decision is a POST that stores it and leads to the next open row, so that
reload, back and a browser without JavaScript do what they should.
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

_STATIC = Path(__file__).parent / "static"
_SEE_OTHER, _WRONG, _CONFLICT, _FAILED = 303, 400, 409, 500


def make_app(
    run: RunDirectory,
    rows: Sequence[PageRow],
    store: DecisionStore,
    user: str,
    *,
    token: str,
    by: str = "loss",
    data: Sequence[str] = (),
) -> ASGIApp:
    """Return the page of ``rows``, ranked ``by``, on which ``user`` decides; it answers below ``/TOKEN/`` only.

    ``data`` is where the run's data lie now, if they have moved.
    """
    page = _Page(rows, store, user, run.class_names, Html(run, rows, user, by, data))
    routes = [
        Route("/", page.show),
        Route("/decide", page.decide, methods=["POST"]),
        Route("/undo", page.undo, methods=["POST"]),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    whole = Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers={Exception: _crashed})
    return guarded(whole, token)


def new_token() -> str:
    """Return a token that nobody guesses, for an address."""
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
        return self._answer(Selection.of(request.query_params))

    async def decide(self, request: Request) -> Response:
        form = await _form(request)
        return await run_in_threadpool(self._decide, Selection.of(request.query_params), form)

    async def undo(self, request: Request) -> Response:
        form = await _form(request)
        return await run_in_threadpool(self._undo, Selection.of(request.query_params), form)

    def _decide(self, selection: Selection, form: dict[str, str]) -> Response:
        try:
            row, seen = self._by_row[int(form["row"])], int(form["seen"])
            verdict, label = self._wanted(row, form)
        except (KeyError, ValueError):
            notice = Notice("Not stored: that was no decision about a row of this page.")
            return self._answer(selection, notice, _WRONG)
        here = replace(selection, at=row.row)
        wanted = f"{verdict} as {label}" if label else verdict
        try:
            self._store.decide(row.row, verdict, label, annotator=self._user, seen=seen)
        except ConflictError as conflict:
            return self._answer(here, Notice(f"Your “{wanted}” was not stored: {conflict}."), _CONFLICT)
        except RunError as error:
            return self._answer(here, Notice(f"Your “{wanted}” was not stored: {error}."), _FAILED)
        return _go(here.after(row, self._rows, self._store.current()))

    def _undo(self, selection: Selection, form: dict[str, str]) -> Response:
        try:
            undone = self._store.undo(self._user, seen=int(form["seen"]))
        except (KeyError, ValueError):
            return self._answer(selection, Notice("Nothing was undone: the page did not say what."), _WRONG)
        except ConflictError as conflict:
            at = conflict.current.row if conflict.current else None
            here = replace(selection, at=at) if at in self._by_row else selection
            return self._answer(here, Notice(f"Nothing was undone: {conflict}."), _CONFLICT)
        except RunError as error:
            return self._answer(selection, Notice(f"Nothing was undone: {error}."), _FAILED)
        if undone is None:
            return self._answer(selection, Notice("There is nothing of yours to undo.", stopped=False))
        if undone.row not in self._by_row:
            notice = Notice(f"Row {undone.row} is as before; it is not among the rows of this page.", stopped=False)
            return self._answer(selection, notice)
        return _go(replace(selection, at=undone.row))

    def _wanted(self, row: PageRow, form: dict[str, str]) -> tuple[str, str | None]:
        """Return a form's verdict and label; a ValueError where it has none that the row can get."""
        if "label" in form:
            index = int(form["label"])
            if index not in range(len(self._classes)):
                raise ValueError(index)
            return (KEPT, None) if index == row.scores.label else (RELABELLED, self._classes[index])
        if form.get("verdict") == DISCARDED or (form.get("verdict") == KEPT and row.given is not None):
            return form["verdict"], None
        raise ValueError(form.get("verdict"))

    def _answer(self, selection: Selection, notice: Notice | None = None, status: int = 200) -> Response:
        try:
            held, last = self._store.current(), self._store.last(self._user)
            an_hour = per_hour(self._store.decided_since(datetime.now(UTC) - timedelta(hours=1)))
        except RunError as error:
            return HTMLResponse(self._html.broken(str(error)), status_code=_FAILED)
        current = selection.current(self._rows, held)
        if notice is None and current is not None and selection.at != current.row:
            return _go(replace(selection, at=current.row))  # else Back would lead to what is the first open row by then
        return HTMLResponse(self._html.page(selection, held, last, an_hour, notice), status_code=status)


def _crashed(request: Request, error: Exception) -> Response:
    """Say where a fault of lossrank itself is; not its message, which may quote a text."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    print(f"The page failed: {what}. Nothing is lost; please report it.", file=sys.stderr)
    return PlainTextResponse(f"lossrank failed: {what}. What was decided before is stored.\n", status_code=_FAILED)


def _go(selection: Selection) -> Response:
    """Lead to a page by a GET, so that reloading it decides nothing again."""
    return RedirectResponse(f"./?{selection.query()}", status_code=_SEE_OTHER)


async def _form(request: Request) -> dict[str, str]:
    """Return a plain form's fields, without the package that Starlette needs for those with files."""
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        return {}
    return {name: values[-1] for name, values in fields.items()}
