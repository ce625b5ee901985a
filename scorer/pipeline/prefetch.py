"""Reader: a thread that reads and tokenises ahead of the model, and never delays the end of a run for long."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
_PATIENCE = 2.0  # seconds to wait at the end of a run for the window in preparation


class Reader:
    """Prepares one window after the other in a daemon thread.

    A read from a slow store may stall, and Ctrl-C must still end the run. When Python exits, it waits for the threads
    of an executor, but not for a daemon thread.
    """

    def __init__(self, name: str = "tokenise") -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> "Reader":
        # The thread starts once, for all windows. If Ctrl-C interrupts the start, the thread is told to end.
        try:
            self._thread.start()
        except BaseException:
            self._jobs.put(None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Python may abort if it exits while a thread is in native code; a thread that is not stalled ends soon.
        self._jobs.put(None)
        self._thread.join(_PATIENCE)

    def start(self, prepare: Callable[[], T]) -> Future[T]:
        """Begin to prepare a window; the window before it must be ready."""
        prepared: Future[T] = Future()

        def job() -> None:
            try:
                prepared.set_result(prepare())
            except BaseException as error:  # the main thread raises it
                prepared.set_exception(error)

        self._jobs.put(job)
        return prepared

    def _work(self) -> None:
        while job := self._jobs.get():
            job()
