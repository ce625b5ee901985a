"""Pieces: a stream of record batches, given out in pieces of the sizes that another stream has."""

from collections.abc import Iterator

import pyarrow as pa


class Pieces:
    """Gives out the rows of a stream in order, as many at a time as are asked for; holds one batch more."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: list[pa.RecordBatch] = []

    def take(self, rows: int) -> pa.Table:
        """Return the next ``rows`` rows, at least 1; fewer only where the stream ends."""
        taken = []
        while rows:
            batch = self._held.pop() if self._held else next(self._batches, None)
            if batch is None:
                break
            if len(batch) > rows:
                self._held.append(batch.slice(rows))
                batch = batch.slice(0, rows)
            taken.append(batch)
            rows -= len(batch)
        return pa.Table.from_batches(taken)
