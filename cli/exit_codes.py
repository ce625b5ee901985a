"""What the command line's exit codes mean."""

from cli.signals import HUNG_UP, INTERRUPTED, TERMINATED
from scorer.errors import LossrankError

NOT_AS_ASKED = 3

# Code 2 is click's own; those of Ctrl-C and the signals are what a shell says of them.
EXIT_CODES = {
    0: "done",
    1: "an error, a run that `verify` finds wrong or unfinished among them; one line on stderr says what to do",
    2: "wrong usage",
    NOT_AS_ASKED: "done, but not as it was to be: a `--fail-if` gate failed, the review tool refused rows, or `pull` "
    "left out what is of other data or has a label that is no class; each is named or counted, and results are kept",
    HUNG_UP: "stopped by SIGHUP, as of a terminal that was closed; the same command goes on",
    INTERRUPTED: "stopped by Ctrl-C; the same command goes on",
    TERMINATED: "stopped by SIGTERM; the same command goes on",
}


class NotAsAskedError(LossrankError):
    """All is done and kept, and a gate failed."""

    exit_code = NOT_AS_ASKED
