"""Check predicted probabilities that another program computed, and turn them into log-probabilities."""

import numpy as np
from numpy.typing import NDArray

from scorer.errors import SourceError

Floats = NDArray[np.float64]
SUM = 1e-3  # how far a row's sum may be from 1
_EDGE = 1e-6  # how far a probability may be outside 0..1, from rounding
LEAST = float(np.finfo(np.float32).smallest_subnormal)  # 1.4e-45; a smaller probability counts as this one
MOST_BAD = 0.5  # the share of bad rows from which on the numbers are no probabilities


def sound(probs: Floats) -> NDArray[np.bool_]:
    """Return which rows [n] of probabilities [n, C] are finite, in 0..1 and sum to 1 within ``SUM``."""
    with np.errstate(invalid="ignore", over="ignore"):  # NaN is not sound
        inside = ((probs >= -_EDGE) & (probs <= 1 + _EDGE)).all(axis=1)
        good: NDArray[np.bool_] = inside & (np.abs(probs.sum(axis=1) - 1) <= SUM)
    return good


def log_probs_of(probs: Floats) -> Floats:
    """Return the natural logarithms [n, C] of sound probabilities; those below ``LEAST`` count as that number."""
    logs: Floats = np.log(np.clip(probs, LEAST, 1.0))
    return logs


def refuse_other_numbers(rows: Floats, name: str, *, logits: bool) -> None:
    """Raise SourceError if the first rows [n, C] of the file ``name`` are most likely no probabilities, or no logits.

    Raises:
        SourceError: most rows are no probabilities; the message says what they look like.
        SourceError: the numbers should be logits (``logits``), but all rows are probabilities, or most are not finite.
    """
    finite, good = np.isfinite(rows).all(axis=1), sound(rows)
    if finite.mean() < 1 - MOST_BAD:
        raise SourceError(
            f"{name}: {int((~finite).sum()):,} of the first {len(rows):,} rows hold NaN, infinity or a value that is "
            "no number; write one finite number for each class, or name the columns of the classes with `classes`"
        )
    if logits:
        if good.all():
            raise SourceError(f"{name} holds probabilities (its rows are in 0..1 and sum to 1); leave `logits` out")
        return
    if good.mean() >= 1 - MOST_BAD:
        return
    shown = rows[finite & ~good]
    sums = shown.sum(axis=1)
    bad = f"{name}: {int((~good).sum()):,} of the first {len(rows):,} rows are no probabilities"
    if (np.abs(sums - 100) <= 100 * SUM).mean() > MOST_BAD and shown.min() >= 0:
        raise SourceError(f"{bad}: they sum to 100, so they look like percentages; divide them by 100")
    outside = ((shown < -_EDGE) | (shown > 1 + _EDGE)).any(axis=1).mean() > MOST_BAD
    if outside:
        raise SourceError(
            f"{bad}: they go from {shown.min():.3g} to {shown.max():.3g}; if they are logits (or logarithms "
            "of probabilities), say so with `logits=True`; if not every column is a class, name those with `classes`"
        )
    raise SourceError(
        f"{bad}: they are in 0..1, but do not sum to 1 (the first such row sums to {sums[0]:.4g}); each row needs "
        "the probabilities of all classes, of which one is true; name the columns of the classes with `classes`"
    )
