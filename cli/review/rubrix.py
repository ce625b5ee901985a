"""Log review records to Rubrix, in chunks."""

from collections.abc import Iterable

from cli.review.chunks import ChunkedLog
from cli.review.records import Refusal
from cli.review.rubrix_api import RubrixApi
from cli.review.rubrix_record import encode


class RubrixLog(ChunkedLog):
    """One logging of records to one data set of a Rubrix server."""

    def __init__(self, api: RubrixApi, name: str, chunk_size: int = 500, refused: Iterable[Refusal] = ()) -> None:
        super().__init__(api, name, encode, chunk_size, refused)
