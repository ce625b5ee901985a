"""Turn Ctrl-C, SIGTERM and SIGHUP into an orderly stop with the right exit code."""

import os
import signal
from typing import NoReturn

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # exit codes
_CODES = {signal.SIGHUP: HUNG_UP, signal.SIGTERM: TERMINATED}


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a service manager sends it, or SIGHUP, of a closed terminal: what Ctrl-C leaves whole, they do."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = _CODES[signal.Signals(number)]


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code that says which of the three it was."""
    return error.exit_code if isinstance(error, Terminated) else INTERRUPTED


def stop_on_signals() -> None:
    """Have SIGTERM and SIGHUP raise ``Terminated``; a SIGHUP that is ignored, as under nohup, stays so."""
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def terminate(number: int, frame: object) -> NoReturn:
        for each in _CODES:  # once is enough: a second one would cut the tidying up
            signal.signal(each, signal.SIG_IGN)
        for gone in (stream for stream in terminals if not os.isatty(stream)):
            _silence(gone)
        raise Terminated(number)

    for number in _CODES:
        if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, terminate)


def _silence(stream: int) -> None:
    """Let what is written to a terminal that was closed go nowhere, instead of ending the tidying up."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def ignore_signals() -> None:
    """Let nothing cut off what is left to do at a command's end, nor change the exit code that is decided by now."""
    for number in (signal.SIGINT, *_CODES):
        signal.signal(number, signal.SIG_IGN)
