"""Tell what the thread that exports prints, warns and logs from what the other threads of the process do.

``sys.stdout``, the filters of warnings and the handlers of loggers belong to the whole process. Each stand-in here is
given what comes from the export, and hands on everything else as if it were not there.
"""

import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TextIO


class OwnThread:
    """The calling thread, and the threads that the libraries named ``libraries`` start while it exports.

    ``ended`` is set at the end: a stand-in that something still holds then hands on everything.
    """

    def __init__(self, libraries: tuple[str, ...]) -> None:
        self.ended = False
        self._libraries = libraries
        self._own = threading.get_ident()
        self._others = {thread.ident for thread in threading.enumerate()} - {self._own}

    def __bool__(self) -> bool:
        """Whether the code that asks is part of the export."""
        if self.ended or (thread := threading.get_ident()) in self._others:
            return False
        return thread == self._own or self._in_library()

    def _in_library(self) -> bool:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if str(frame.f_globals.get("__name__")).partition(".")[0] in self._libraries:
                return True
            frame = frame.f_back
        return False

    def match(self, text: str) -> bool:
        """Stand in for the pattern of a warning's text, so that a filter is for the export alone."""
        return bool(self)


class Stream:
    """A text stream that writes what the export prints to ``log``, and the rest to ``other``."""

    def __init__(self, own: OwnThread, log: TextIO, other: TextIO) -> None:
        self._own, self._log, self._other = own, log, other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log if self._own else self._other, name)


class LogHandler(logging.StreamHandler[TextIO]):
    """Takes the place of a logger's handlers, and hands the records of other threads to those."""

    def __init__(self, own: OwnThread, log: TextIO, logger: logging.Logger) -> None:
        super().__init__(log)
        self._own, self._logger = own, logger
        self._handlers, self._propagate = logger.handlers, logger.propagate

    def handle(self, record: logging.LogRecord) -> Any:
        if self._own:
            return super().handle(record)
        for handler in self._handlers:
            if record.levelno >= handler.level:
                handler.handle(record)
        if self._propagate and self._logger.parent is not None:
            self._logger.parent.callHandlers(record)
        return True


def showing(own: OwnThread, log: TextIO, other: Callable[..., None]) -> Callable[..., None]:
    """Return a ``warnings.showwarning`` that writes the export's warnings to ``log``."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if own:
            log.write(f"{category.__name__}: {message}\n")
        else:
            other(message, category, *where, **more)

    return show
