"""Log review records to a server so that nobody's work is lost and one bad record costs only itself.

A server that gets a record again replaces it, and a person's answer with it (Rubrix), or has it twice (Label Studio).
So every send starts by asking which of its ids are there, and so does every send after a failed one: part of that one
may have been stored, and a person may have been quick. That is also why the same command, run again, goes on where it
stopped.
"""

from collections.abc import Callable, Iterable, Iterator

from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.http import Fault, Refused, ReviewClient
from lossrank.review.servers.server import ReviewError

_MAX_BYTES = 8 << 20  # of one bulk: OpenSearch takes 100 MB, proxies often less
_SENDS = 5  # of one bulk, or one record, that fails without a word on why
_SICK = 5  # records in a row that fail so: then it is the server, not the records
_Line = tuple[ReviewRecord, bytes]


class ChunkedLog:
    """One logging of records to one data set, and its counts so far.

    ``logged`` records were stored by it, ``already_there`` were found and left as they are, ``refused`` stay out;
    those refused before any request can be given to count along.
    """

    def __init__(
        self,
        api: ReviewClient,
        name: str,
        encode: Callable[[ReviewRecord], bytes],
        chunk_size: int = 500,
        refused: Iterable[Refusal] = (),
    ) -> None:
        self._api = api
        self.name = name
        self._encode = encode
        self._chunk_size = chunk_size
        self._failed_in_a_row = 0
        self.logged = 0
        self.already_there = 0
        self.refused = list(refused)

    def log(self, records: Iterable[ReviewRecord]) -> Iterator[int]:
        """Log records in order, in chunks of at most 1,000, and yield the size of each chunk once it is settled.

        Raises:
            ReviewError: the server can't be used, or stays away for too long; what was logged stays logged.
        """
        for chunk in self._chunks(records):
            self._settle(chunk, sends=_SENDS, sent=False)
            yield len(chunk)

    def _chunks(self, records: Iterable[ReviewRecord]) -> Iterator[list[_Line]]:
        chunk: list[_Line] = []
        size = 0
        for record in records:
            line = self._encode(record)
            if chunk and (len(chunk) == self._chunk_size or size + len(line) > _MAX_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append((record, line))
            size += len(line)
        if chunk:
            yield chunk

    def _settle(self, chunk: list[_Line], sends: int, sent: bool) -> None:
        """Store each record of a chunk or refuse it; ``sent`` says that an earlier, failed send may have stored it.

        A record that is there then counts as logged: whether that send or somebody else stored it, no server tells.
        """
        waiting = chunk

        def send() -> None:
            nonlocal waiting, sent
            waiting = self._without_stored(waiting, sent)
            if waiting:
                before, sent = sent, True
                try:
                    self._api.bulk(self.name, [line for _, line in waiting])
                except (Refused, Fault) as error:
                    sent = before or error.stored
                    raise
                self._count_logged(len(waiting))

        try:
            self._api.insist(send, sends)
        except (Refused, Fault) as error:
            if len(waiting) > 1:
                for part in _parts(waiting, error):
                    self._settle(part, sends=_SENDS if len(part) == 1 else 1, sent=sent)
            elif self._api.persist(lambda: self._without_stored(waiting, sent)):
                self._refuse(waiting[0][0], error)

    def _without_stored(self, lines: list[_Line], sent: bool) -> list[_Line]:
        """Drop the records that the server has, after counting them as this logging's own if it ``sent`` them."""
        there = self._api.existing_ids(self.name, [record.id for record, _ in lines])
        if there and sent:
            self._count_logged(len(there))
        else:
            self.already_there += len(there)
        return [line for line in lines if line[0].id not in there]

    def _count_logged(self, count: int) -> None:
        self.logged += count
        self._failed_in_a_row = 0

    def _refuse(self, record: ReviewRecord, error: Refused | Fault) -> None:
        self.refused.append(Refusal(record.row, str(error)))
        self._failed_in_a_row = self._failed_in_a_row + 1 if isinstance(error, Fault) else 0
        if self._failed_in_a_row == _SICK:
            del self.refused[-_SICK:]
            raise ReviewError(
                f"{self._api.title} at {self._api.url} answers but stores nothing any more ({error}); "
                "see the server's log, then run this again"
            )


def _parts(lines: list[_Line], error: Refused | Fault) -> list[list[_Line]]:
    """Cut records that failed together: the named ones singly and the others together, or else into halves.

    Every part that is stored takes the server up to a second, whatever its size, so there should be few.
    """
    named = sorted(error.positions & set(range(len(lines))))
    if named:
        others = [line for position, line in enumerate(lines) if position not in error.positions]
        return [part for part in (others, *([lines[position]] for position in named)) if part]
    half = (len(lines) + 1) // 2
    return [lines[:half], lines[half:]]
