"""A thread that reads and tokenises ahead of a run, and that the run's end need not wait for."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
_PATIENCE = 2.0  # seconds for what is being prepared to be ready, when the run ends


class Reader:
    """Prepares one window after the other in a daemon thread.

    A read may stall for as long as its store likes, and Ctrl-C must end the run meanwhile: Python waits at its end for
    the threads of an executor, and not for a daemon.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tokenise", daemon=True)

    def __enter__(self) -> "Reader":
        # Once for all windows: a thread that Ctrl-C catches while it starts can be told to end, and not be waited for.
        try:
            self._thread.start()
        except BaseException:
            self._jobs.put(None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # One that is not stalled is soon done, and Python may abort if it ends while a thread is in native code.
        self._jobs.put(None)
        self._thread.join(_PATIENCE)

    def start(self, prepare: Callable[[], T]) -> Future[T]:
        """Begin with a window; the one before it is done."""
        prepared: Future[T] = Future()

        def job() -> None:
            try:
                prepared.set_result(prepare())
            except BaseException as error:  # it is the main thread's to raise
                prepared.set_exception(error)

        self._jobs.put(job)
        return prepared

    def _work(self) -> None:
        while job := self._jobs.get():
            job()
