"""export_onnx(): make a bundle of an ONNX classifier that the user has, without torch and transformers.

Nothing is known about the model that the graph was made from. So the graph is compared with itself: each text alone
with the same text in padded batches of several sizes. The bundle records that it was not compared with torch.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from exporter import libraries
from exporter.elsewhere.graph import ANEW, GivenGraph, read_graph, without_softmax
from exporter.elsewhere.labels import class_names
from exporter.elsewhere.tokenizer import GivenTokenizer, read_tokenizer
from exporter.errors import ModelError, ParityError
from exporter.output import replacing
from exporter.parity.budget import Cost, Plan, memory_for, planned
from exporter.parity.compare import ARRANGEMENTS, Runner
from exporter.parity.reference import Logits, Reference, row_difference, tolerance
from exporter.parity.texts import Text, parity_texts
from exporter.stages import Stages, alone
from exporter.tokenizer import Encoding
from exporter.variants import GRAPH, count_parameters, rewrite, variants_of
from scorer.errors import BundleError
from scorer.files import file_sha256
from scorer.model.buckets import Bucket, make_buckets
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_manifest import ITSELF, Parity, Variant
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from scorer.text import shortened

_NEEDED = ("onnx",)
# What onnxruntime says before the reason: its code, the file, and a place in its source.
_PREAMBLE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:|Non-zero status code .*? Status Message: )?"
    r"(/\S+:\d+ .*?\) )?"
)
_SUM = 1e-3  # most that the probabilities of a row may differ from 1 together


def export_onnx(
    onnx: str | Path,
    output: str | Path,
    *,
    tokenizer: str | Path,
    labels: Sequence[str] | str | Path,
    output_name: str | None = None,
    logits: bool = False,
    force: bool = False,
    int8: bool = True,
    max_tokens: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> ModelBundle:
    """Make a bundle of an ONNX classifier and return it.

    ``tokenizer`` is a folder with tokenizer.json; ``labels`` are the class names in the order of the logits, or a file
    with them. ``output_name`` is the output of the graph that has the logits, if there are several. If all texts get
    probabilities, the bundle's graph gives the logits behind them, or their logarithms. ``logits`` says that numbers
    which are all in 0..1 are logits all the same. ``max_tokens`` is by default what tokenizer_config.json says. The
    other arguments are as in ``export_model``.

    Raises:
        MissingExtraError: onnx is not installed.
        OutputError: as in ``export_model``.
        ModelError: the graph, the tokenizer or the labels can't be used, or don't fit together.
        ConversionError: onnxruntime fails on a text.
        ParityError: the losses of a text depend on the batch that it is in, or are not finite.
        DeviceError: onnxruntime is missing or installed twice.
    """
    stages = Stages(progress or (lambda doing: None))
    path, file = Path(output).expanduser(), Path(onnx).expanduser()
    libraries.require(_NEEDED)
    with replacing(path, force) as folder, alone(stages):
        stages.begin("reading", f"reading {file}")
        names = class_names(labels)
        words = read_tokenizer(tokenizer, max_tokens)
        graph = read_graph(file, output_name)
        graph.save(folder / GRAPH)
        words.save(folder)
        draft = _draft(folder, file, graph, words, names)
        _probe(draft, file, words, _open(draft, file))
        parameters = count_parameters(draft)
        plan = planned(*_texts(draft, words), draft.max_tokens, _cost(draft.model_file(), parameters))
        stages.begin("alone", f"running {plan}, one at a time (nothing is compared with torch)")
        reference = _run_alone(draft, plan)
        changed = None if logits else _as_logits(draft, file, graph.output, reference.logits, stages.say)
        if changed:
            reference = _run_alone(draft, plan)
        stages.begin("padded", "running them in padded batches")
        description, parity = _compared(draft, reference, stages.say)
        description = f"{changed}; {description}" if changed else description
        bundle = msgspec.structs.replace(
            draft,
            variants=variants_of(draft, description, parity, reference, int8, stages),
            files={each.name: file_sha256(each) for each in sorted(folder.iterdir())},
            token_parameters=parameters,
        )
        bundle.save()
    stages.end()
    return msgspec.structs.replace(bundle, path=path)


def _draft(folder: Path, file: Path, graph: GivenGraph, words: GivenTokenizer, names: tuple[str, ...]) -> ModelBundle:
    return ModelBundle(
        path=folder,
        class_names=names,
        problem_type="single_label_classification",
        model_type="onnx",
        max_tokens=words.max_tokens,
        input_names=graph.input_names,
        pad_id=words.pad_id,
        model=file.name,
        revision=None,
        variants={"fp32": Variant(file=GRAPH)},
        versions=libraries.versions(),
        files={},
        exporter="onnx",
        compared_with=ITSELF,
        long_text="tail" if words.keeps_end else msgspec.UNSET,
    )


def _open(draft: ModelBundle, file: Path) -> OrtSession:
    try:
        return OrtSession(draft.model_file(), "cpu")
    except BundleError as error:
        import onnxruntime

        reason = _reason(error.__cause__ or error)
        newer = re.search("opset|IR version", reason) is not None
        fix = "; update onnxruntime, or export it with an older opset" if newer else ""
        raise ModelError(f"`onnx`: onnxruntime {onnxruntime.__version__} can't open {file} ({reason}){fix}") from error


def _probe(draft: ModelBundle, file: Path, words: GivenTokenizer, session: OrtSession) -> None:
    """Check that the graph runs batches of any shape, all ids and the longest text, and gives a logit for each class.

    Raises:
        ModelError: it does not.
    """
    window = BundleTokenizer(draft).tokenise(["A text", "A longer text of other words", "a"])
    classes = len(draft.class_names)
    for rows in (1, 3):
        bucket = next(make_buckets(window, rows * int(window.lengths.max()), draft.pad_id), None)
        if bucket is None:
            raise ModelError(f"`tokenizer`: it gives no token for {'A text'!r}")
        shape = f"{len(bucket.row)} texts of {bucket.input_ids.shape[1]} tokens"
        found = _run(session, bucket, f"`onnx`: {file} can't run {shape}; if its axes are not free, {ANEW}")
        if found.ndim != 2 or len(found) != len(bucket.row):
            raise ModelError(
                f"`onnx`: {file} gives {list(found.shape)} numbers for {shape}; [texts, classes] is needed"
            )
        if found.shape[1] != classes:
            one = "; one number is no classifier's output for 2 classes" if found.shape[1] == 1 else ""
            raise ModelError(
                f"`onnx`: {file} gives {found.shape[1]} numbers a text, but `labels` has {classes} names{one}"
            )
    if words.largest_id >= 0:
        ids = np.full((1, window.lengths.max()), words.largest_id)
        _run(session, _batch(ids), f"`tokenizer`: it gives ids up to {words.largest_id}, which {file} doesn't know")
    longest = np.full((1, draft.max_tokens), window.ids[0], np.int64)
    fix = f"`onnx`: {file} can't read {draft.max_tokens} tokens, so give fewer as `max_tokens`"
    _run(session, _batch(longest), fix)


def _batch(ids: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Bucket:
    return Bucket(np.arange(len(ids)), ids, np.ones_like(ids), None)


def _run(session: OrtSession, bucket: Bucket, fault: str) -> Logits:
    with libraries.captured("running the graph"):
        try:
            return session.run(bucket)
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's own exception classes are not exported
            raise ModelError(f"{fault} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Return onnxruntime's reason for an error as at most 200 characters."""
    return shortened(_PREAMBLE.sub("", " ".join(str(error).split())), 200)


def _texts(draft: ModelBundle, words: GivenTokenizer) -> tuple[list[Text], list[Encoding]]:
    """Return the parity texts and their ids; a text without any token is left out, because it has no loss."""
    tokenizer = BundleTokenizer(draft)
    found: list[tuple[Text, Encoding]] = []
    for text, pair in parity_texts(draft.max_tokens, words.special_tokens):
        ids = tokenizer.tokenise([text], None if pair is None else [pair]).ids.tolist()
        if ids:
            found.append(((text, pair), {"input_ids": ids}))
    return [text for text, _ in found], [encoding for _, encoding in found]


def _cost(graph: Path, parameters: int | None) -> Cost:
    """Return what a text costs a model of which only the number of weights is known, taken to be rather deep."""
    held = sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*"))
    return Cost(heads=16, hidden=1024, layers=24, weights=parameters or held // 4, memory=memory_for(held))


def _run_alone(draft: ModelBundle, plan: Plan) -> Reference:
    """Return the logits [n, C] of each text in a batch of its own.

    Raises:
        ConversionError: onnxruntime can't run a text.
        ParityError: a logit is not finite.
    """
    found, _ = Runner(draft).logits(plan.texts[: plan.short], 1, 1)
    if plan.texts[plan.short :]:
        long, no_memory = Runner(draft, max_tokens=plan.max_tokens).logits(plan.texts[plan.short :], 1, 1)
        if no_memory.any():
            return _run_alone(draft, plan.shorter())
        found = np.concatenate([found, long])
    rows = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(rows):
        raise ParityError(
            f"{draft.model} can't be used: it gives numbers that are not finite for {len(rows)} of {len(found)} texts, "
            f"such as {plan.texts[rows[0]][0][:30]!r}"
        )
    return Reference(plan, found)


def _as_logits(draft: ModelBundle, file: Path, output: str, found: Logits, say: Callable[[str], None]) -> str | None:
    """Change the graph to give logits if it gives probabilities, and describe the change; None if it gives logits.

    Raises:
        ModelError: the numbers are not certain to be either.
    """
    if found.min() < 0 or found.max() > 1:
        return None
    apart = np.abs(found.sum(axis=1, dtype=np.float64) - 1)
    if apart.max() <= _SUM:
        how = without_softmax(draft.model_file(), output)
        say(f"{output} has probabilities (all rows are in 0..1 and sum to 1), so the bundle takes {how}")
        return f"probabilities became {how}"
    raise ModelError(
        f"`onnx`: all numbers of {output} in {file} are in 0..1, but rows don't sum to 1: they may be a sigmoid's, of "
        "classes that don't exclude each other, for which a cross-entropy is wrong; if they are logits, give `logits`"
    )


def _compared(draft: ModelBundle, reference: Reference, say: Callable[[str], None]) -> tuple[str, Parity]:
    """Rewrite the graph where that is exact, and compare it with each text alone in the graph as given.

    Raises:
        ParityError: the graph as given does not give the same in padded batches.
    """
    try:
        description, parity = rewrite(draft, reference, say)
    except ParityError as error:
        raise _dependent(draft, reference) or error from error
    return description.replace("torch's", "the given graph's"), parity


def _dependent(draft: ModelBundle, reference: Reference) -> ParityError | None:
    """Return the error that names the text whose logits change most in a padded batch; None if none does."""
    short = reference.plan.short
    texts, expected = reference.plan.texts[:short], reference.logits[:short]
    runner, allowed = Runner(draft), tolerance(expected)
    for arrangement in ARRANGEMENTS:
        apart = row_difference(expected, runner.logits(texts, *arrangement)[0])
        worst = int(apart.argmax())
        if apart[worst] > allowed:
            return ParityError(
                f"{draft.model} can't be used: its losses depend on the batch: in a padded one, the logits of text "
                f"{worst} of {len(texts)} ({texts[worst][0][:30]!r}) are {apart[worst]:.3g} from those of the text "
                f"alone; the most allowed is {allowed:.2g}; {np.count_nonzero(apart > allowed)} texts exceed it; "
                "export it with an attention_mask that it heeds"
            )
    return None
