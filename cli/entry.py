"""Where the installed command starts: a Ctrl-C while Python is still importing is a Ctrl-C too, and so is SIGTERM."""

import signal
import sys
from typing import NoReturn

INTERRUPTED, TERMINATED = 130, 143  # exit codes


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a service manager or a batch system sends it: whatever Ctrl-C leaves whole, this does."""


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code that says which of the two it was."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def _terminate(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would cut the tidying up
    raise Terminated


def main() -> None:
    """Run the `lossrank` command."""
    try:
        signal.signal(signal.SIGTERM, _terminate)
        from cli.main import run

        run()
    except KeyboardInterrupt as error:
        print("Stopped.", file=sys.stderr)
        sys.exit(exit_code(error))
