"""Measure parity: run the same texts through torch and through the code that scores, and compare logits and losses.

The reference is transformers as its documentation uses it: one text at a time, no padding, float32.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.errors import ConversionError, ModelError, ParityError
from exporter.libraries import captured
from exporter.load import Classifier
from exporter.network import inputs_of, network
from exporter.parity_texts import Text
from exporter.tokenizer import Encoding
from scorer.errors import BundleError
from scorer.model.buckets import make_buckets
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_manifest import Parity
from scorer.model.losses import cross_entropy, log_softmax
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer

# Largest allowed difference of a logit or a loss, fp32 against fp32: an absolute part, and a part of the largest
# |logit|, of which a float32 has 7 digits.
TOLERANCE, _OF_LOGITS = 1e-4, 2e-6
# (texts per window, tokens per batch). The first is as in scoring: large windows sorted by length, little padding.
# The second has small windows in which short texts are padded to the length of long ones.
_ARRANGEMENTS = ((1024, 1024), (8, 16384))
_LOW_IS_BAD = ("label_agreement", "top_k_overlap")

_SHORT, _PADDED = 64, 12  # tokens and number of the texts that are padded in torch

Logits = NDArray[np.float32]


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
    apart = _difference(log_softmax(reference[rows][known]), log_softmax(logits[known]))
    # A pad that leaks is far larger than what padding changes by rounding.
    if apart.max(initial=0) > 10 * tolerance(reference):
        raise ModelError(
            f"{classifier.name} can't be exported: {type(classifier.model).__name__} itself, in torch, gives a text "
            f"other losses when it is padded (up to {apart.max():.2g} nats here), so its losses depend on the batch"
        )


def _padded(encoding: Encoding, name: str, length: int, pad_id: int) -> list[int]:
    values = encoding[name]
    return values + [pad_id if name == "input_ids" else 0] * (length - len(values))


def production_logits(
    bundle: ModelBundle, texts: Sequence[Text], window_rows: int, batch_tokens: int, precision: str = "fp32"
) -> Logits:
    """Return the logits [n, C] that scoring on the CPU gives with the bundle's graph of one precision.

    Raises:
        ConversionError: onnxruntime can't load or run the graph.
    """
    tokenizer = BundleTokenizer(bundle)
    try:
        session = OrtSession(bundle.model_file(precision), "cpu", precision=precision)
    except BundleError as error:
        raise ConversionError(f"the exported graph can't be used: {error}") from error
    logits = np.full((len(texts), len(bundle.class_names)), np.nan, dtype=np.float32)
    singles = [i for i, (_, pair) in enumerate(texts) if pair is None]
    pairs = [i for i, (_, pair) in enumerate(texts) if pair is not None]
    for rows in (*_windows(singles, window_rows), *_windows(pairs, window_rows)):
        second = [pair for _, pair in (texts[i] for i in rows) if pair is not None]
        window = tokenizer.tokenise([texts[i][0] for i in rows], second or None)
        for bucket in make_buckets(window, batch_tokens, bundle.pad_id):
            with captured(f"running the exported graph on a batch of {len(bucket.row)} texts"):
                logits[np.asarray(rows)[bucket.row]] = session.run(bucket)
    return logits


def compare(reference: Logits, logits: Logits) -> Parity:
    """Compare logits [n, C] with the reference [n, C]; a logit that is not finite has an infinite difference."""
    n, classes = reference.shape
    logit_difference = _difference(reference, logits)
    loss_difference = _difference(log_softmax(reference), log_softmax(logits))
    labels = np.arange(n) % classes
    top_k = max(1, n // 4)
    worst = [
        set(np.argsort(-cross_entropy(values, labels), kind="stable")[:top_k].tolist())
        for values in (reference, logits)
    ]
    return Parity(
        texts=n,
        max_logit_difference=float(logit_difference.max()),
        max_loss_difference=float(loss_difference.max()),
        mean_loss_difference=float(loss_difference.mean()),
        label_agreement=float(np.mean(reference.argmax(axis=1) == logits.argmax(axis=1))),
        top_k=top_k,
        top_k_overlap=len(worst[0] & worst[1]) / top_k,
    )


def require_parity(bundle: ModelBundle, texts: Sequence[Text], reference: Logits) -> Parity:
    """Score the texts with the bundle, once with little padding and once with much, and compare with the reference.

    Returns the worse of the two results for each measure.

    Raises:
        ParityError: a logit or a loss differs by more than ``tolerance``.
        ParityError: a logit is not finite.
    """
    return _measured(bundle, texts, reference, "fp32", lambda logits: _refusal(bundle, texts, reference, logits))


def measure_parity(bundle: ModelBundle, texts: Sequence[Text], reference: Logits, precision: str) -> Parity:
    """Return the parity of a variant whose differences are not limited, measured as in ``require_parity``.

    Raises:
        ParityError: a logit is not finite.
        ConversionError: onnxruntime can't load or run the graph.
    """
    reason = f"{precision} gives logits that are not finite"
    return _measured(bundle, texts, reference, precision, lambda logits: None if np.isfinite(logits).all() else reason)


def _measured(
    bundle: ModelBundle,
    texts: Sequence[Text],
    reference: Logits,
    precision: str,
    fault: Callable[[Logits], str | None],
) -> Parity:
    """Return the worst result of all arrangements for each measure.

    Raises:
        ParityError: ``fault`` returns a reason for an arrangement's logits.
    """
    found = []
    for window_rows, batch_tokens in _ARRANGEMENTS:
        logits = production_logits(bundle, texts, window_rows, batch_tokens, precision)
        if reason := fault(logits):
            raise ParityError(reason)
        found.append(compare(reference, logits))
    worst = {
        name: (min if name in _LOW_IS_BAD else max)(getattr(parity, name) for parity in found)
        for name in Parity.__struct_fields__
    }
    return Parity(**worst)


def _refusal(bundle: ModelBundle, texts: Sequence[Text], reference: Logits, logits: Logits) -> str | None:
    fault = _fault(texts, reference, logits)
    return fault and f"{bundle.model} can't be exported: {fault}"


def _fault(texts: Sequence[Text], reference: Logits, logits: Logits) -> str | None:
    """Return a sentence about the text with the largest difference over the tolerance, or about logits not finite.

    Returns None if all logits are finite and no difference is larger."""
    for name, values in (("torch", reference), ("the exported graph", logits)):
        rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(rows):
            return f"{name} gives logits that are not finite for {_where(texts, rows[0])}; {len(rows)} such texts"
    allowed = tolerance(reference)
    for what, differences in (
        ("logit", _difference(reference, logits)),
        ("loss", _difference(log_softmax(reference), log_softmax(logits))),
    ):
        worst = int(differences.argmax())
        if not differences[worst] <= allowed:
            return (
                f"a {what} of the exported graph is {differences[worst]:.3g} away from torch's for "
                f"{_where(texts, worst)}; the most allowed is {allowed:.2g}; "
                f"{np.count_nonzero(differences > allowed)} texts exceed it, and "
                f"{compare(reference, logits).label_agreement:.1%} of the predictions agree"
            )
    return None


def _where(texts: Sequence[Text], i: int) -> str:
    return f"text {i} of {len(texts)} ({texts[i][0][:30]!r})"


def _windows(rows: list[int], size: int) -> list[list[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _difference(reference: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the largest absolute difference of each row [n]; infinite where a value is not finite."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        gap = np.abs(reference.astype(np.float64) - values.astype(np.float64)).max(axis=1)
    return np.where(np.isfinite(gap), gap, np.inf)
