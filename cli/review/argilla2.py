"""Argilla 2.x as a review server."""

from collections.abc import Iterable, Iterator

from cli.review.argilla_api import MAX_BULK, ArgillaApi
from cli.review.argilla_record import MAX_NAME, answers, encode, screen
from cli.review.base import SORT, BaseServer
from cli.review.chunks import ChunkedLog
from cli.review.decision import Answer, Place
from cli.review.records import Refusal, ReviewRecord
from cli.review.server import Form, ReviewError
from scorer import RunDirectory


class Argilla2Server(BaseServer[ArgillaApi]):
    """An Argilla 2.x server, seen with one key in one workspace."""

    def check_name(self, name: str) -> None:
        if not 1 <= len(name) <= MAX_NAME or not name.strip() or not name.isprintable():
            raise ReviewError(
                f"Argilla takes no data set name {name!r}: 1 to {MAX_NAME} characters, none a control character"
            )

    def screen(self, records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
        return screen(records)

    def open(self, name: str, form: Form) -> Place:
        return Place("argilla", self._api.url, self._api.open_dataset(name, form), name)

    def sending(self, place: Place, chunk_size: int, refused: Iterable[Refusal]) -> ChunkedLog:
        return ChunkedLog(self._api, place.name, encode, min(chunk_size, MAX_BULK), refused)

    def page(self, place: Place) -> str:
        return f"{place.url}/dataset/{self._api.dataset_id}/annotation-mode"

    def sort_hint(self, by: str) -> str:
        return f"Sort, Metadata, {SORT[by]}"

    def answers(self, place: Place, run: RunDirectory) -> Iterator[Answer]:
        self._api.open_dataset(place.name, None)
        names = self._api.users()
        for record in self._api.answered():
            try:
                yield from answers(record, run.data_fingerprint, names)
            except ValueError as error:
                raise ReviewError(f"{self._api.title} at {self._api.url}: {error}") from None
