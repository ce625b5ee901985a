"""ChunkedLog: send review records to a server; no person's answer is lost, and only bad records are left out.

A record that is sent twice replaces the stored record and a person's answer to it (Rubrix), or is stored twice (Label
Studio). Therefore each request is preceded by a question which of its record ids the server has, and these records are
left out. This is asked again before a failed request is repeated, because the server may have stored some of its
records, and people may have answered them. Logging again after an interruption adds the missing records in the same
way.
"""

from collections.abc import Callable, Iterable, Iterator

from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.http import Fault, Refused, ReviewClient
from lossrank.review.servers.server import ReviewError

_MAX_BYTES = 8 << 20  # per bulk request: OpenSearch accepts 100 MB, proxies often less
_SENDS = 5  # tries of a bulk request, or of one record, that fails for an unknown reason
_SICK = 5  # after this many consecutive records with an unknown failure, the server is at fault
_Line = tuple[ReviewRecord, bytes]


class ChunkedLog:
    """Sends records to one data set in chunks, and counts them.

    ``logged`` counts the records that were stored, ``already_there`` the records that the data set had before and
    keeps. ``refused`` lists the records left out, including the records refused before any request.
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
        """Send records in order and yield the size of each chunk, at most 1,000, once all of it is stored or refused.

        Raises:
            ReviewError: the server can't be used, or is away for too long; stored records stay stored.
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
        """Store or refuse each record of a chunk; if ``sent`` is true, a failed request may have stored some already.

        If ``sent`` is true, records that the server has count as logged, because servers don't tell who stored a
        record.
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
        """Return the records that the server lacks; count the others as logged if ``sent``, else as already there."""
        existing = self._api.existing_ids(self.name, [record.id for record, _ in lines])
        if existing and sent:
            self._count_logged(len(existing))
        else:
            self.already_there += len(existing)
        return [line for line in lines if line[0].id not in existing]

    def _count_logged(self, count: int) -> None:
        self.logged += count
        self._failed_in_a_row = 0

    def _refuse(self, record: ReviewRecord, error: Refused | Fault) -> None:
        self.refused.append(Refusal(record.row, str(error)))
        self._failed_in_a_row = self._failed_in_a_row + 1 if isinstance(error, Fault) else 0
        if self._failed_in_a_row == _SICK:
            del self.refused[-_SICK:]
            raise ReviewError(
                f"{self._api.title} at {self._api.url} responds but stores no more records ({error}); "
                "see the server's log, then log again with the same arguments"
            )


def _parts(lines: list[_Line], error: Refused | Fault) -> list[list[_Line]]:
    """Split the records of a failed request: each record that the error names alone and the others together, or halves.

    A request takes the server up to a second whatever its size, so the parts should be few.
    """
    named = sorted(error.positions & set(range(len(lines))))
    if named:
        others = [line for position, line in enumerate(lines) if position not in error.positions]
        return [part for part in (others, *([lines[position]] for position in named)) if part]
    half = (len(lines) + 1) // 2
    return [lines[:half], lines[half:]]
