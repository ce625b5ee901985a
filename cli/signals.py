"""Turn Ctrl-C, SIGTERM and SIGHUP into an orderly stop with the right exit code."""

import os
import signal
from typing import NoReturn

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # exit codes
_CODES = {signal.SIGHUP: HUNG_UP, signal.SIGTERM: TERMINATED}


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM (from a service manager, say) and SIGHUP (when the terminal closes); handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = _CODES[signal.Signals(number)]


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code for Ctrl-C, SIGTERM or SIGHUP."""
    return error.exit_code if isinstance(error, Terminated) else INTERRUPTED


def stop_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise ``Terminated``; if SIGHUP is ignored, as under nohup, it stays ignored."""
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
    """Redirect a closed terminal to /dev/null, because a failed write would interrupt the clean-up."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def ignore_signals() -> None:
    """Ignore signals from now on, so that none interrupts the command's last steps or changes its exit code."""
    for number in (signal.SIGINT, *_CODES):
        signal.signal(number, signal.SIG_IGN)
