"""Turn Ctrl-C, SIGTERM and SIGHUP into an orderly stop with the right exit code."""

import os
import signal
from typing import NoReturn

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # exit codes
_CODES = {signal.SIGHUP: HUNG_UP, signal.SIGTERM: TERMINATED}


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a service manager, or SIGHUP, from a closed terminal; handled as Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = _CODES[signal.Signals(number)]


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code of Ctrl-C, SIGTERM or SIGHUP."""
    return error.exit_code if isinstance(error, Terminated) else INTERRUPTED


def stop_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise ``Terminated``; a SIGHUP that is ignored, as under nohup, stays ignored."""
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def terminate(number: int, frame: object) -> NoReturn:
        for other in _CODES:  # a second signal would interrupt the clean-up
            signal.signal(other, signal.SIG_IGN)
        for gone in (stream for stream in terminals if not os.isatty(stream)):
            _silence(gone)
        raise Terminated(number)

    for number in _CODES:
        if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, terminate)


def _silence(stream: int) -> None:
    """Send what is written to a closed terminal nowhere, as an error would interrupt the clean-up."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def ignore_signals() -> None:
    """Ignore signals from here on, so that a command's last steps are done and its exit code stays as decided."""
    for number in (signal.SIGINT, *_CODES):
        signal.signal(number, signal.SIG_IGN)
