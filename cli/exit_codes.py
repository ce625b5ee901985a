"""The meanings of the exit codes."""

from cli.signals import HUNG_UP, INTERRUPTED, TERMINATED
from scorer.errors import LossrankError

NOT_AS_ASKED = 3

# Code 2 is click's own. The codes for Ctrl-C and signals are those that a shell reports.
EXIT_CODES = {
    0: "done",
    1: "an error, or `verify` found the run wrong or unfinished; one line on stderr says what to do",
    2: "wrong usage",
    NOT_AS_ASKED: "finished, with problems: a `--fail-if` gate failed, the review tool refused rows, or `pull` left "
    "out records of other data or answers whose label is not a class; the problems are named or counted, and the "
    "results are kept",
    HUNG_UP: "stopped by SIGHUP, which a closed terminal sends; the same command continues",
    INTERRUPTED: "stopped by Ctrl-C; the same command continues",
    TERMINATED: "stopped by SIGTERM; the same command continues",
}


class NotAsAskedError(LossrankError):
    """Raised when the work is done and its results are kept, but a gate failed."""

    exit_code = NOT_AS_ASKED
