"""Measure parity: run the same texts through torch and through the code that scores, and compare logits and losses."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from exporter.errors import ConversionError, ParityError
from exporter.libraries import captured
from exporter.parity.reference import Logits, Reference, row_difference, tolerance
from exporter.parity.texts import Text
from scorer.errors import BundleError
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_manifest import Parity
from scorer.model.engine import Engine
from scorer.model.losses import cross_entropy, log_softmax
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer

# (texts per window, tokens per batch). The first is as in scoring: large windows sorted by length, little padding.
# The second has small windows in which short texts are padded to the length of long ones.
ARRANGEMENTS = ((1024, 1024), (8, 16384))
_LOW_IS_BAD = ("label_agreement", "top_k_overlap")
_DIFFERENCES = (
    "max_logit_difference",
    "max_loss_difference",
    "mean_loss_difference",
    "label_agreement",
    "top_k_overlap",
)


class Runner:
    """The code that scores on the CPU, with a bundle's graph of one precision."""

    def __init__(self, bundle: ModelBundle, precision: str = "fp32", max_tokens: int | None = None) -> None:
        """Load the graph; texts are cut to ``max_tokens``, by default the bundle's limit.

        Raises:
            ConversionError: onnxruntime can't load the graph.
        """
        self._bundle = bundle
        self._tokenizer = BundleTokenizer(bundle, max_tokens)
        try:
            self._session = OrtSession(bundle.model_file(precision), "cpu", precision=precision)
        except BundleError as error:
            raise ConversionError(f"the exported graph can't be used: {error}") from error

    def logits(
        self, texts: Sequence[Text], window_rows: int, batch_tokens: int, threads: int = 1
    ) -> tuple[Logits, NDArray[np.bool_]]:
        """Return the logits [n, C], and which texts [n] were too large for memory; batches are halved as in scoring.

        Raises:
            ConversionError: onnxruntime can't run the graph.
        """
        logits = np.full((len(texts), len(self._bundle.class_names)), np.nan, dtype=np.float32)
        no_memory = np.zeros(len(texts), dtype=np.bool_)
        singles = [i for i, (_, pair) in enumerate(texts) if pair is None]
        pairs = [i for i, (_, pair) in enumerate(texts) if pair is not None]
        windows = [*_windows(singles, window_rows), *_windows(pairs, window_rows)]
        with ThreadPoolExecutor(threads) as runners, captured(f"running the exported graph on {len(texts)} texts"):
            engine = Engine(self._session, runners, batch_tokens, self._bundle.pad_id)
            started = []
            for rows in windows:
                second = [pair for _, pair in (texts[i] for i in rows) if pair is not None]
                window = self._tokenizer.tokenise([texts[i][0] for i in rows], second or None)
                started.append(engine.start(window, logits.shape[1]))
            for rows, running in zip(windows, started, strict=True):
                logits[rows] = running.logits()
                no_memory[rows] = running.no_memory
        return logits, no_memory


def compare(reference: Logits, logits: Logits) -> Parity:
    """Compare logits [n, C] with the reference [n, C]; a logit that is not finite has an infinite difference."""
    n, classes = reference.shape
    logit_difference = row_difference(reference, logits)
    loss_difference = row_difference(log_softmax(reference), log_softmax(logits))
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


def require_parity(bundle: ModelBundle, reference: Reference, say: Callable[[str], None]) -> Parity:
    """Score the texts with the bundle and compare with the reference; return the worst result for each measure.

    The short texts are scored once with little padding and once with much, the long ones alone. ``say`` is told if a
    long text is left out because it does not fit into memory.

    Raises:
        ParityError: a logit or a loss differs by more than ``tolerance``.
        ParityError: a logit is not finite.
        ConversionError: onnxruntime can't run the graph, or has too little memory for a short text.
    """

    def fault(texts: Sequence[Text], expected: Logits, logits: Logits) -> str | None:
        found = _fault(texts, expected, logits)
        return found and f"{bundle.model} can't be exported: {found}"

    short = _short_logits(bundle, reference, "fp32", fault)
    plan, rows = reference.plan, list(range(reference.plan.short))
    long = range(plan.short, len(plan.texts))
    logits = np.full((0, len(bundle.class_names)), np.nan, dtype=np.float32)
    if long:
        texts = [plan.texts[i] for i in long]
        logits, no_memory = Runner(bundle, max_tokens=plan.max_tokens).logits(texts, 1, plan.max_tokens)
        logits = logits[~no_memory]
        rows += [i for i, failed in zip(long, no_memory, strict=True) if not failed]
        if no_memory.any():
            say(f"onnxruntime has too little memory for {no_memory.sum()} texts of {plan.max_tokens:,} tokens")
        # Texts of the same arrangement are judged together; the short ones have passed.
        if len(logits) and (reason := fault(texts, reference.logits[plan.short :][~no_memory], logits)):
            raise ParityError(reason)
    found = _worst([compare(reference.logits[rows], np.concatenate([each, logits])) for each in short])
    attention = UNSET if reference.attention is None else reference.attention
    apart = UNSET if reference.attention_difference is None else reference.attention_difference
    return msgspec.structs.replace(
        found,
        max_tokens=plan.max_tokens if len(rows) > plan.short else plan.longest_short,
        attention=attention,
        attention_difference=apart,
    )


def measure_parity(bundle: ModelBundle, reference: Reference, precision: str) -> Parity:
    """Return the parity of a variant whose differences are not limited, on the short texts of ``require_parity``.

    Raises:
        ParityError: a logit is not finite.
        ConversionError: onnxruntime can't load or run the graph.
    """
    reason = f"{precision} gives logits that are not finite"
    short = _short_logits(
        bundle, reference, precision, lambda _, expected, logits: None if np.isfinite(logits).all() else reason
    )
    expected = reference.logits[: reference.plan.short]
    found = _worst([compare(expected, logits) for logits in short])
    return msgspec.structs.replace(found, max_tokens=reference.plan.longest_short)


def _short_logits(
    bundle: ModelBundle,
    reference: Reference,
    precision: str,
    fault: Callable[[Sequence[Text], Logits, Logits], str | None],
) -> list[Logits]:
    """Return the logits [n, C] of the short texts in each arrangement.

    Raises:
        ParityError: ``fault`` returns a reason for an arrangement's logits.
        ConversionError: onnxruntime can't run the graph, or has too little memory for a text.
    """
    plan = reference.plan
    texts, longest = plan.texts[: plan.short], plan.longest_short
    runner = Runner(bundle, precision)
    found = []
    for window_rows, batch_tokens in ARRANGEMENTS:
        within = min(batch_tokens, plan.cost.rows(longest) * longest)
        threads = plan.cost.threads(max(1, min(window_rows, within // longest)), longest)
        logits, no_memory = runner.logits(texts, window_rows, within, threads)
        if no_memory.any():
            raise ConversionError(f"this machine has too little memory to run the exported graph on {longest:,} tokens")
        if reason := fault(texts, reference.logits[: plan.short], logits):
            raise ParityError(reason)
        found.append(logits)
    return found


def _worst(found: Sequence[Parity]) -> Parity:
    """Return the worst of each difference."""
    worst = {
        name: (min if name in _LOW_IS_BAD else max)(getattr(parity, name) for parity in found) for name in _DIFFERENCES
    }
    return msgspec.structs.replace(found[0], **worst)


def _fault(texts: Sequence[Text], reference: Logits, logits: Logits) -> str | None:
    """Return a sentence about the text with the largest difference over the tolerance, or about logits not finite.

    Returns None if all logits are finite and no difference is larger."""
    for name, values in (("torch", reference), ("the exported graph", logits)):
        rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(rows):
            return f"{name} gives logits that are not finite for {_where(texts, rows[0])}; {len(rows)} such texts"
    allowed = tolerance(reference)
    for what, differences in (
        ("logit", row_difference(reference, logits)),
        ("loss", row_difference(log_softmax(reference), log_softmax(logits))),
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
