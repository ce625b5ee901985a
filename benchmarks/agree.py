"""Check that the candidates compute the same losses as torch; int8 losses are also compared with lossrank's fp32."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol import Info

Losses = NDArray[np.float64]
_WORST = 0.01


class DisagreementError(Exception):
    """Raised when the losses of an fp32 candidate differ from torch's."""


def compare(losses: Mapping[str, Losses], infos: Mapping[str, Info]) -> dict[str, dict[str, Any]]:
    """Return how far each candidate's losses are from torch's and, unless they are fp32, from lossrank's fp32 losses.

    Raises:
        DisagreementError: a candidate has a loss that is not finite.
        DisagreementError: a candidate's loss differs from torch's by more than its tolerance.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, mine in losses.items():
        if not np.isfinite(mine).all():
            raise DisagreementError(f"{name}: {np.count_nonzero(~np.isfinite(mine))} losses are not finite")
        found[name] = {}
        if "tutorial" in losses and name != "tutorial":
            found[name]["to_torch"] = difference(mine, losses["tutorial"])
            tolerance, largest = infos[name].tolerance, found[name]["to_torch"]["max"]
            if tolerance is not None and not largest <= tolerance:
                raise DisagreementError(
                    f"{name}: a loss is off by {largest:.2g} nats; at most {tolerance:g} is allowed"
                )
            found[name]["tolerance"] = tolerance
        if "lossrank_fp32" in losses and infos[name].precision != "fp32":
            found[name]["to_lossrank_fp32"] = difference(mine, losses["lossrank_fp32"])
    return found


def difference(mine: Losses, theirs: Losses) -> dict[str, float]:
    """Return the differences (nats) on the rows that both scored, and the share of the worst 1% that both have."""
    count = min(len(mine), len(theirs))
    apart = np.abs(mine[:count] - theirs[:count])
    worst = max(1, round(_WORST * count))
    both = set(np.argsort(-mine[:count])[:worst]) & set(np.argsort(-theirs[:count])[:worst])
    return {
        "rows": count,
        "mean": float(apart.mean()),
        "p99_9": float(np.percentile(apart, 99.9)),
        "max": float(apart.max()),
        "worst_rows": worst,
        "worst_rows_shared": len(both) / worst,
    }
