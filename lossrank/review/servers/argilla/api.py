"""ArgillaApi: the requests to an Argilla 2.x server that `log` and `pull` need, sent with Argilla's SDK.

The SDK's records lack the time of a person's response, so records are read with the SDK's HTTP client.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import httpx

from lossrank.review.servers.argilla.form import check, lacking, settings_of
from lossrank.review.servers.argilla.sdk import import_sdk, quiet, response_of
from lossrank.review.servers.http import FIRST_WAIT, Fault, Refused, ReviewClient, Unavailable, broken, storing
from lossrank.review.servers.rubrix.http_errors import Product, raise_for_bulk, raise_for_response
from lossrank.review.servers.server import Form, ReviewError

MAX_BULK = 500  # records that the server accepts in one request
_PAGE = 500
_STILL = 1.0  # seconds without change after which a draft is taken as abandoned
_T = TypeVar("_T")


class ArgillaApi(ReviewClient):
    """An Argilla 2.x server, used with one key in one workspace.

    Raises:
        ReviewError: the URL is not an http(s) address.
        ReviewError: the key can't be sent in a header.
        ReviewError: the SDK is not installed.
    """

    title = "Argilla"
    variables = "ARGILLA"
    example = "http://localhost:6900"

    def __init__(
        self,
        url: str,
        api_key: str,
        workspace: str | None,
        product: Product,
        *,
        max_wait: float = 120.0,
        timeout: float = 60.0,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
    ) -> None:
        super().__init__(url, api_key, max_wait, on_wait)
        self.workspace = workspace
        self._product: Product = product
        self._timeout = timeout
        self._sdk = import_sdk(product)
        self._argilla: Any = None  # created later, because the SDK's client sends requests at once
        self._dataset: Any = None
        self._lacked: int | None = None  # how many parts a draft lacked when last seen
        self._there: set[str] = set()
        self._read = 0  # how many records were read into ``_there``

    def close(self) -> None:
        if self._argilla is not None:
            self._argilla.http_client.close()

    @property
    def dataset_id(self) -> str:
        """The open data set's id on the server."""
        return str(self._dataset.id)

    def open_dataset(self, name: str, form: Form | None) -> str:
        """Check the key and the workspace, open the data set, and return the workspace's name.

        If ``form`` is given, a missing data set is created, and an existing one must fit the form.

        Raises:
            ReviewError: no server responds, or the server refuses the key.
            ReviewError: the workspace or the data set does not exist.
            ReviewError: the data set doesn't fit the form.
        """
        return self.persist(lambda: self._ask(lambda: self._open_dataset(name, form)), FIRST_WAIT)

    def existing_ids(self, name: str, ids: list[str]) -> set[str]:
        while records := self._page(self._read):
            self._there |= {str(record.get("external_id")) for record in records}
            self._read += len(records)
        return self._there & set(ids)

    def bulk(self, name: str, records: list[bytes]) -> None:
        """Store encoded records; the server refuses all of them if it already has one."""
        made = [self._record(json.loads(record)).api_model() for record in records]
        try:
            with storing(), quiet():
                self._argilla.api.records.bulk_create(self._dataset.id, made)
        except (Unavailable, Fault):
            raise
        except Exception as error:
            response = response_of(error)
            if response is None:
                raise
            if "found records with same external ids" in response.text:  # another process logs too
                self._read = 0  # list the records again
                raise Fault("the server already has some of the records", stored=False) from None
            try:
                raise_for_bulk(response)
            except Refused as refused:
                raise Refused(self._safe(refused), refused.positions, stored=refused.stored) from None
            except Fault as fault:
                raise Fault(self._safe(fault)) from None
            raise self._broken_off(response) from None

    def answered(self) -> Iterator[dict[str, Any]]:
        """Yield each record of the open data set once, with everybody's responses.

        Raises:
            ReviewError: the records can't be read, or the server is away for too long.
        """
        seen: set[str] = set()
        read = 0
        while records := self.persist(partial(self._page, read, "responses")):
            read += len(records)
            yield from (record for record in records if record["id"] not in seen)
            seen |= {record["id"] for record in records}
        if len(seen) != read:  # the server orders by time, and two records had the same time
            raise ReviewError(f"{self.title} at {self.url}: the records changed while they were read; pull again")

    def users(self) -> dict[str, str]:
        """Return the names of the users whom the key's user may list, by user id.

        Raises:
            ReviewError: the users can't be read.
        """
        return self.persist(lambda: self._ask(self._users))

    def _users(self) -> dict[str, str]:
        users = self._argilla.api.users
        try:
            found = users.list()
        except Exception as error:
            response = response_of(error)
            if response is None or response.status_code != 403:  # only an owner may list all users
                raise
            found = users.list_by_workspace_id(self._dataset.workspace.id)
        return {str(user.id): str(user.username) for user in [*found, users.get_me()]}

    def _open_dataset(self, name: str, form: Form | None) -> str:
        sdk = self._sdk
        if self._argilla is None:
            self._argilla = sdk.Argilla(
                api_url=str(self._address),
                api_key=self._key,
                timeout=self._timeout,
                retries=0,
                auth=self._auth,
                limits=httpx.Limits(max_keepalive_connections=0),  # after a 422 the server may reset a kept connection
            )
        workspace = self._workspace()
        dataset = self._argilla.datasets(name, workspace=workspace)
        if dataset is None and form is None:
            raise ReviewError(
                f"{self.title} at {self.url} has no data set {name!r} in the workspace {workspace.name!r}; "
                "check `name` and `workspace`"
            )
        if dataset is None and form is not None:
            dataset = sdk.Dataset(name, workspace=workspace, settings=settings_of(sdk, form), client=self._argilla)
            dataset.create()
        self._dataset = dataset.get()
        if form is not None:
            if self._dataset.api_model().status != "ready":
                self._finish(form)
            check(sdk, self._dataset, form)
        return str(workspace.name)

    def _workspace(self) -> Any:
        workspaces = {workspace.name: workspace for workspace in self._argilla.workspaces.list()}
        wanted = self.workspace
        if wanted is None:
            wanted = next(iter(workspaces)) if len(workspaces) == 1 else self._argilla.me.username
        if wanted not in workspaces:
            missing = (
                f"workspace {self.workspace!r} for this key" if self.workspace else "workspace named like the user"
            )
            raise ReviewError(
                f"{self.title} at {self.url} has no {missing}, only {', '.join(sorted(workspaces)) or 'none'}; "
                f"set `workspace` or {self.variables}_WORKSPACE to one of them"
            )
        return workspaces[wanted]

    def _finish(self, form: Form) -> None:
        """Complete and publish the open data set, a draft that an interrupted ``log`` has left.

        Raises:
            Unavailable: another process may still be creating the data set.
            ReviewError: the draft has parts that are not in the form.
        """
        settings, ours = self._dataset.settings, settings_of(self._sdk, form)
        lacks = lacking(self._dataset, ours)
        if len(lacks) != self._lacked:  # a process that creates it adds a part every few milliseconds
            self._lacked = len(lacks)
            raise Unavailable("the data set is a draft, which another process may be creating", _STILL)
        settings.guidelines = settings.guidelines or ours.guidelines
        settings.allow_extra_metadata = True
        for part in lacks:
            settings.add(part)
        settings.update()
        self._argilla.api.datasets.publish(self._dataset.id)
        self._dataset.get()

    def _record(self, body: dict[str, Any]) -> Any:
        suggestion = self._sdk.Suggestion(**body.pop("suggestion"))
        return self._sdk.Record(**body, suggestions=[suggestion], _dataset=self._dataset)

    def _page(self, offset: int, *include: str) -> list[dict[str, Any]]:
        """Return the page of records that starts at ``offset``, in the order in which the records were added."""
        path = f"/api/v1/datasets/{self._dataset.id}/records"
        query = {"offset": offset, "limit": _PAGE, "include": list(include)}
        records = self._ask(lambda: self._argilla.http_client.get(path, params=query).raise_for_status().json())
        if not isinstance(records, dict) or not isinstance(records.get("items"), list):
            raise self._stranger("no records")
        items: list[dict[str, Any]] = records["items"]
        return items

    def _ask(self, step: Callable[[], _T]) -> _T:
        """Run a step that uses the SDK; turn the SDK's errors into ``Unavailable`` and ``ReviewError``."""
        try:
            with quiet():
                return step()
        except httpx.RequestError as error:
            raise Unavailable(broken(error)) from None
        except ReviewError:
            raise
        except Exception as error:
            response = response_of(error)
            if response is not None and response.status_code == 409:  # another process created the data set meanwhile
                raise Unavailable("another process is creating the data set") from None
            if response is not None:
                raise self._broken_off(response) from None
            if isinstance(error, ValueError | KeyError | TypeError):  # from a response that the SDK can't read
                raise self._stranger(type(error).__name__) from error
            raise

    def _broken_off(self, response: httpx.Response) -> ReviewError | Unavailable:
        try:
            raise_for_response(response, self._product)
        except ReviewError as error:
            return ReviewError(f"{self.title} at {self.url}: {self._safe(error)}")
        except Unavailable as error:
            return error
        return self._stranger(f"status {response.status_code}")
