"""Where the installed command starts: Ctrl-C while Python is still importing is one too, as SIGTERM and SIGHUP are."""

import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # exit codes
_THREADS = ("tokenise", "model")  # a run's, by scorer.reader and scorer.pipeline, which take a moment to import
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


def _leave_behind(code: str | int | None) -> None:
    """End the process at once if a thread of a run is still in native code.

    A read of the data may stall there (a store's client has minutes of patience), and after a second Ctrl-C nothing has
    waited for the model. Python would abort when one comes back from there to find it ending.
    """
    if isinstance(code, int) and any(thread.name.startswith(_THREADS) for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def main() -> None:
    """Run the `lossrank` command."""
    code: str | int | None = 0
    try:
        stop_on_signals()
        from cli.main import run

        run()
    except KeyboardInterrupt as error:  # while Python was importing
        ignore_signals()
        print("Stopped.", file=sys.stderr)
        code = exit_code(error)
    except SystemExit as end:
        code = end.code
    ignore_signals()
    _leave_behind(code)
    sys.exit(code)
