"""The errors that lossrank adds to ``scorer.errors``."""

from scorer.errors import LossrankError


class ArgumentError(LossrankError):
    """Arguments are missing, or don't go together: wrong usage."""

    exit_code = 2
