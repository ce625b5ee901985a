"""Run the parity texts through torch: the reference is one text at a time, no padding, float32, eager attention.

torch's default attention (SDPA, where the model has it) rounds differently; it is run on some of the texts, and the
difference is recorded. Long texts run in it alone if it is close to eager attention, which holds all pairs of tokens.
"""

import contextlib
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.errors import ConversionError, ModelError
from exporter.libraries import captured
from exporter.load import Classifier
from exporter.network import inputs_of, network
from exporter.parity.budget import Plan
from exporter.tokenizer import Encoding, encode
from scorer.model.losses import log_softmax
from scorer.model.session import of_memory

Logits = NDArray[np.float32]

# Largest allowed difference of a logit or a loss, fp32 against fp32: an absolute part, and a part of the largest
# |logit|, of which a float32 has 7 digits.
TOLERANCE, _OF_LOGITS = 1e-4, 2e-6
_SOME = 12  # texts that are run in torch's default attention too
_SHORT, _PADDED = 64, 12  # tokens and number of the texts that are padded in torch


@dataclass(frozen=True)
class Reference:
    """torch's ``logits`` [n, C] of the texts of ``plan``.

    ``attention`` is torch's default attention and ``attention_difference`` how far its logits are from those of eager
    attention on some texts; both are None if eager attention is the default, or the only one.
    """

    plan: Plan
    logits: Logits
    attention: str | None = None
    attention_difference: float | None = None


def refer(classifier: Classifier, plan: Plan, say: Callable[[str], None]) -> Reference:
    """Run the texts of a plan through torch; if the memory is too little for the long ones, they are cut further.

    Raises:
        ConversionError: the model can't be run on a text.
        ModelError: torch itself gives a text other losses when it is padded.
    """
    short = reference_logits(classifier.model, plan.encodings)
    require_own_parity(classifier, plan.encodings, short)
    other = _default_attention(classifier.model)
    apart = None
    if other is not None:
        some = _spread(plan.encodings)
        logits = reference_logits(other, [plan.encodings[i] for i in some])
        apart = float(row_difference(short[some], logits).max(initial=0.0))
    far = other is None or apart is None or apart > tolerance(short)
    runs = classifier.model if far else other
    rows = [short]
    while len(plan.texts) > plan.short:
        try:
            long = encode(classifier.tokenizer, plan.texts[plan.short :], plan.max_tokens)
            rows.append(reference_logits(runs, long))
            break
        except ConversionError as error:
            if not of_memory(error.__cause__):
                raise
            plan = plan.shorter()
            say(f"torch has too little memory; running {plan}")
    attention = None if other is None else str(other.config._attn_implementation)
    return Reference(plan, np.concatenate(rows), attention, apart)


def reference_logits(model: Any, encodings: Sequence[Encoding]) -> Logits:
    """Return torch's logits [n, C], one text at a time.

    Raises:
        ConversionError: the model can't be run on a text.
    """
    import torch

    reads = inputs_of(model)
    rows = []
    for i, encoding in enumerate(encodings):
        with captured(f"running the model in torch on text {i} of {len(encodings)}"), torch.inference_mode():
            inputs = {name: torch.tensor([values]) for name, values in encoding.items() if name in reads}
            rows.append(model(**inputs).logits[0].float().numpy())
    return np.stack(rows)


def tolerance(reference: Logits) -> float:
    """Return the largest allowed difference from the reference [n, C]."""
    finite = reference[np.isfinite(reference)]
    return TOLERANCE + _OF_LOGITS * float(np.abs(finite).max(initial=0.0))


def row_difference(reference: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the largest absolute difference of each row [n]; infinite where a value is not finite."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        gap = np.abs(reference.astype(np.float64) - values.astype(np.float64)).max(axis=1)
    return np.where(np.isfinite(gap), gap, np.inf)


def _default_attention(model: Any) -> Any:
    """Return a model of the same weights in transformers' default attention; None if that is eager attention too.

    A model is made anew, because many classes choose their attention when they are made.
    """
    import torch

    try:
        with captured("making the model with its default attention"), torch.random.fork_rng(devices=[]), _not_filled():
            config = copy.deepcopy(model.config)
            other = type(model)._from_config(config, attn_implementation=None, dtype=torch.float32)
            if other.config._attn_implementation in (None, "eager"):
                return None
            other.load_state_dict(model.state_dict(), assign=True)
            return other.eval()
    except ConversionError:  # this comparison is for information, and decides nothing
        return None


def _not_filled() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a new model's weights are not filled with random numbers."""
    try:
        from transformers.initialization import no_init_weights  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from transformers.modeling_utils import no_init_weights
    made: contextlib.AbstractContextManager[Any] = no_init_weights()
    return made


def _spread(encodings: Sequence[Encoding]) -> list[int]:
    """Return the indices of some texts, of the shortest to the longest."""
    order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]["input_ids"]))
    return [order[round(place)] for place in np.linspace(0, len(order) - 1, min(_SOME, len(order)))]


def require_own_parity(classifier: Classifier, encodings: Sequence[Encoding], reference: Logits) -> None:
    """Check that torch gives a short text the same logits when it is padded to the length of a longer one.

    Raises:
        ModelError: it does not: then no batch of the model is exact, whatever computes it.
        ConversionError: the model can't be run on the batch.
    """
    import torch

    lengths = [len(encoding["input_ids"]) for encoding in encodings]
    short = sorted((i for i, length in enumerate(lengths) if length <= _SHORT), key=lambda i: lengths[i])
    rows = short[:: max(1, len(short) // _PADDED)]
    reads = inputs_of(classifier.model)
    length = max(lengths[i] for i in rows)
    batch = {
        name: torch.tensor([_padded(encodings[i], name, length, classifier.pad_id) for i in rows])
        for name in encodings[rows[0]]
        if name in reads
    }
    with captured("running a padded batch in torch"), torch.inference_mode():
        logits = network(classifier.model)(**batch).float().numpy()
    known = np.isfinite(reference[rows]).all(axis=1)  # others are reported later
    apart = row_difference(log_softmax(reference[rows][known]), log_softmax(logits[known]))
    # A pad that leaks is far larger than what padding changes by rounding.
    if apart.max(initial=0) > 10 * tolerance(reference):
        raise ModelError(
            f"{classifier.name} can't be exported: {type(classifier.model).__name__} itself, in torch, gives a text "
            f"other losses when it is padded (up to {apart.max():.2g} nats here), so its losses depend on the batch"
        )


def _padded(encoding: Encoding, name: str, length: int, pad_id: int) -> list[int]:
    values = encoding[name]
    return values + [pad_id if name == "input_ids" else 0] * (length - len(values))
