"""The errors that lossrank adds to ``scorer.errors``."""

from scorer.errors import LossrankError


class ArgumentError(LossrankError):
    """Raised for wrong usage: arguments are missing or contradict each other."""

    exit_code = 2
