"""OpenShard: the windows of the shard that is being scored, kept on disk now and then until the shard is whole."""

import contextlib
import time
from dataclasses import dataclass, field

import pyarrow as pa
from msgspec.structs import replace

from scorer.data.parts import FilePart
from scorer.data.source import Source
from scorer.errors import RunError, SourceError
from scorer.pipeline.summary import add_window
from scorer.pipeline.window import Window
from scorer.run.directory import RunDirectory, shard_name
from scorer.run.manifest import ShardNotes
from scorer.run.unfinished import read_windows_of, write_windows

_FIRST = 1.0  # seconds until windows are kept for the first time, so that `status` soon shows some
_EVERY = 5.0  # seconds between two times that windows are kept
_SHARE = 50  # at most one part in 50 of the time is spent on keeping windows


@dataclass
class OpenShard:
    """The finished windows of one shard after the other; ``begin`` continues with the windows that are kept on disk.

    A shard is written when it is whole. Until then its windows are kept in a file of their own, at most every few
    seconds, so that a fast run writes only shards.
    """

    run: RunDirectory
    source: Source
    _index: int | None = None
    _held: tuple[list[pa.Table], ShardNotes] = field(default_factory=lambda: ([], ShardNotes()))
    _due: float = field(default_factory=lambda: time.monotonic() + _FIRST)

    def add(
        self,
        window: Window,
        scores: pa.Table,
        tokens: int = 0,
        padded_tokens: int = 0,
        duplicates: int = 0,
        zero_probs: int | None = None,
    ) -> None:
        """Add the next window, with its scores and the counts that ``add_window`` takes; write what is due.

        Raises:
            SourceError: the data has changed.
            RunError: the shard or its windows can't be written.
        """
        index = window.first_row // self.run.shard_rows
        if index != self._index:
            self._held, self._index = read_windows_of(self.run, index), index
        tables, notes = self._held[0], replace(self._held[1])
        add_window(notes, window, scores, tokens, padded_tokens, duplicates, zero_probs)
        self._held = [*tables, scores], notes  # in one step: Ctrl-C may come between any two
        start, stop = self.run.shard_range(index)
        if window.stop == stop:
            self.source.refuse_change(start, stop)
            self.run.write_shard(index, pa.concat_tables(self._held[0]), notes)
            self._held, self._index = ([], ShardNotes()), None
        elif time.monotonic() >= self._due:
            self.keep()

    def keep_at_end(self) -> None:
        """Write the windows that are not on disk yet when the process ends early, unless that fails.

        Remote data is not asked whether it has changed, because a store that stalls would hold up the end; so windows
        of the last few seconds are lost.
        """
        if not any(isinstance(part, FilePart) and part.file.is_remote for part in self.source.parts):
            with contextlib.suppress(SourceError, RunError, OSError):  # what ended the run is told, not this
                self.keep()

    def keep(self) -> None:
        """Write the windows of a shard that is not finished, unless they are on disk.

        Raises:
            SourceError: the data has changed.
            RunError: the windows can't be written.
        """
        index, (tables, notes) = self._index, self._held
        rows = sum(map(len, tables))
        if index is None or shard_name(index) in self.run.shards or rows <= self.run.kept_windows(index):
            return
        first, stop = self.run.shard_range(index)
        if first + rows == stop:  # the shard could not be written, and its last window must be scored again
            return
        started = time.monotonic()
        self.source.refuse_change(first, first + rows)
        write_windows(self.run, index, tables, notes)
        ended = time.monotonic()
        self._due = ended + max(_EVERY, _SHARE * (ended - started))
