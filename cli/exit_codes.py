"""What the command line's exit codes mean."""

from cli.signals import HUNG_UP, INTERRUPTED, TERMINATED
from scorer.errors import LossrankError

NOT_AS_ASKED = 3

# Code 2 is click's own; the codes of Ctrl-C and the signals are those that a shell reports.
EXIT_CODES = {
    0: "done",
    1: "an error, or a run that `verify` finds wrong or unfinished; one line on stderr says what to do",
    2: "wrong usage",
    NOT_AS_ASKED: "finished, with problems: a `--fail-if` gate failed, the review tool refused rows, or `pull` left "
    "out records of other data or answers whose label is no class; all are named or counted, and results are kept",
    HUNG_UP: "stopped by SIGHUP, which a closed terminal sends; the same command goes on",
    INTERRUPTED: "stopped by Ctrl-C; the same command goes on",
    TERMINATED: "stopped by SIGTERM; the same command goes on",
}


class NotAsAskedError(LossrankError):
    """Everything is done and kept, and a gate failed."""

    exit_code = NOT_AS_ASKED
