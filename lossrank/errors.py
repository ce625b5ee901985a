"""The error of wrong usage; the other errors are defined in ``scorer.errors`` and beside the code that raises them."""

from scorer.errors import LossrankError


class ArgumentError(LossrankError):
    """Raised for wrong usage: arguments are missing or contradict each other."""

    exit_code = 2
