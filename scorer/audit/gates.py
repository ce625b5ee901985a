"""Gates: conditions on a run's summary, such as ``mean_loss > 0.5``; a run that meets a gate's condition fails."""

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scorer.errors import RunError
from scorer.run.manifest import RunStats
from scorer.run.schema import STATUSES
from scorer.text import nearest

# The numbers of a summary, with their units. A gate may also name a status: its number is the share of its rows.
NUMBERS = {
    "rows": "rows",
    "mean_loss": "nats",
    "accuracy": "0..1",
    "truncated": "rows",
    "truncated_share": "0..1",
    "duplicates": "rows",
    "tokens": "tokens",
    "padding": "0..1",
    "rows_per_second": "rows/s",
    "peak_memory_bytes": "bytes",
}
NAMES = (*NUMBERS, *STATUSES)

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_GATE = re.compile(r"\s*([A-Za-z_]+)\s*([<>=!]+)\s*(\S+)\s*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Gate:
    """A condition, ``NAME OP NUMBER``, that a good run does not meet."""

    name: str
    op: str
    number: float

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """Parse a gate, such as ``mean_loss > 0.5``.

        Raises:
            RunError: the text is not ``NAME OP NUMBER``.
            RunError: the name or the operator is not known.
            RunError: the number is not finite.
        """
        parts = _GATE.fullmatch(text)
        if parts is None:
            raise RunError(f"the gate {text!r} must be NAME OP NUMBER, such as 'mean_loss > 0.5'; {_names()}")
        name, op, written = parts.groups()
        if name not in NAMES:
            raise RunError(f"the gate {text!r} has the unknown name {name!r}{nearest(name, list(NAMES))}; {_names()}")
        if op not in _OPERATORS:
            raise RunError(f"the gate {text!r} has the operator {op!r}; it must be one of: {' '.join(_OPERATORS)}")
        # float() alone would also take 1_0 and the digits of every script.
        number = float(written) if _NUMBER.fullmatch(written) else math.nan
        if not math.isfinite(number):
            raise RunError(f"the gate {text!r} compares with {written!r}; compare with a finite number such as 0.5")
        return cls(name, op, number)

    def __str__(self) -> str:
        return f"{self.name} {self.op} {_plain(self.number)}"

    def failure(self, summary: RunStats) -> str | None:
        """Return why a run with this summary fails the gate, None if it passes; a run without that number fails."""
        value = _value(self.name, summary)
        if value is None:
            return f"{self}: {_why_none(self.name, summary)}"
        return f"{self}: {self.name} is {value:.6g}" if _OPERATORS[self.op](value, self.number) else None


def failures(gates: Iterable[Gate], summary: RunStats) -> list[str]:
    """Return why a run with this summary fails, one line per failed gate, in the gates' order."""
    return [why for gate in gates if (why := gate.failure(summary))]


def _value(name: str, summary: RunStats) -> float | None:
    if name in STATUSES:
        return float(summary.by_status.get(name, 0) / summary.rows)
    if name == "truncated_share":
        return float(summary.truncated / summary.rows)
    if name == "rows_per_second":
        return summary.rows_per_second
    value = getattr(summary, name)
    return None if value is None else float(value)


def _why_none(name: str, summary: RunStats) -> str:
    if name == "rows_per_second":
        return f"{name} was not measured, because earlier processes had scored every row"
    statuses = ", ".join(f"{status} {count:,}" for status, count in summary.by_status.items())
    return f"the run has no {name}, because no row has a loss (rows by status: {statuses})"


def _names() -> str:
    return f"names: {', '.join(NAMES)}"


def _plain(number: float) -> str:
    """Return a number in full, without a trailing ``.0``."""
    return repr(number).removesuffix(".0")
