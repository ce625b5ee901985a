"""Compute each row's loss (``cross_entropy``), margin and entropy from its logits, in float64 and plain numpy.

``scorer.pipeline.scores.score_table`` calls these functions for the rows of a window. Sums and maxima are taken over
the classes (axis 1), never over the rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def log_softmax(logits: ArrayLike) -> Floats:
    """Return the log-probabilities [n, C], in nats, of logits [n, C].

    The formula ``z - max - log(sum(exp(z - max)))`` is finite for logits of +-1e4 and beyond. A logit of -inf has
    probability 0, a single +inf probability 1. A row with a NaN, with several +inf or with only -inf is all NaN.

    Raises:
        ValueError: the logits are not two-dimensional or have no class.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or z.shape[1] == 0:
        raise ValueError(f"logits have shape {z.shape}; [n, C] with at least one class is needed")
    top = z.max(axis=1, keepdims=True)
    infinite = np.isposinf(top) & (np.isposinf(z).sum(axis=1, keepdims=True) == 1)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf is NaN, see above; -1e308 - 1e308 is -inf
        shifted = np.where(infinite, np.where(np.isposinf(z), 0.0, -np.inf), z - top)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """Return each row's loss [n], ``logsumexp(z) - z[label]``, in nats: 0 is certain of the given label, high is bad.

    Raises:
        ValueError: the logits are not [n, C], or a label is not an index from 0 to C - 1.
    """
    return loss(log_softmax(logits), labels)


def loss(log_probs: ArrayLike, labels: ArrayLike) -> Floats:
    """Return each row's loss [n], minus the log-probability of its label, in nats.

    Raises:
        ValueError: the log-probabilities are not [n, C], or a label is not an index from 0 to C - 1.
    """
    # 0 - x rather than -x, so that a certain row's loss is 0.0 and not -0.0.
    result: Floats = 0.0 - _pick(np.asarray(log_probs, dtype=np.float64), labels)
    return result


def margin(pred_probs: ArrayLike, labels: ArrayLike) -> Floats:
    """Return each row's normalised margin [n]: the probability of the label minus the highest of the other classes.

    It ranges from -1 (bad: certain of another class) to 1 (certain of the label). cleanlab's ``normalized_margin`` is
    this margin shifted to 0..1. With a single class the margin is the probability of that class.

    Raises:
        ValueError: ``pred_probs`` is not [n, C], or a label is not an index from 0 to C - 1.
    """
    probs = np.array(pred_probs, dtype=np.float64)
    own = _pick(probs, labels)
    probs[np.arange(len(probs)), np.asarray(labels, dtype=np.int64)] = 0.0
    result: Floats = own - probs.max(axis=1)
    return result


def entropy(log_probs: ArrayLike) -> Floats:
    """Return each row's entropy [n] (nats) from log-probabilities [n, C]: 0 is certain, ``log(C)`` a uniform guess."""
    logs = np.asarray(log_probs, dtype=np.float64)
    probs = np.exp(logs)
    terms = np.zeros_like(probs)  # 0 * log(0) is 0
    np.multiply(probs, logs, out=terms, where=probs != 0.0)
    result: Floats = 0.0 - terms.sum(axis=1)
    return result


def _pick(values: Floats, labels: ArrayLike) -> Floats:
    """Return ``values[i, labels[i]]`` [n]; a negative index is refused, not counted from the end."""
    index = np.asarray(labels)
    if values.ndim != 2 or index.shape != (len(values),):
        raise ValueError(f"labels have shape {index.shape}; values of shape {values.shape} need one label a row")
    if len(index) and not (
        np.issubdtype(index.dtype, np.integer) and 0 <= index.min() <= index.max() < values.shape[1]
    ):
        raise ValueError(f"labels must be whole numbers from 0 to {values.shape[1] - 1}")
    picked: Floats = values[np.arange(len(values)), index.astype(np.int64)]
    return picked
