"""Export a Hugging Face classifier to a bundle: a directory that scores without torch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from exporter import libraries
from exporter.errors import ConversionError, ModelError, ParityError
from exporter.fetch import fetch
from exporter.libraries import captured
from exporter.load import Classifier, load
from exporter.loaded import on_disk
from exporter.output import replacing
from exporter.parity import Logits, measure_parity, reference_logits, require_own_parity, require_parity
from exporter.parity_texts import Text, parity_texts
from exporter.routes.base import Route, require_fed
from exporter.routes.choose import Exporter, choose
from exporter.tokenizer import Encoding, encode, require_same_ids, save_tokenizer
from scorer.files import file_sha256
from scorer.model.bundle import TOKENIZER, ModelBundle
from scorer.model.bundle_manifest import Parity, Variant

_GRAPH, _INT8_GRAPH = "model.onnx", "model.int8.onnx"


def export_model(
    model: Any,
    output: str | Path,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    force: bool = False,
    int8: bool = True,
    exporter: Exporter = "auto",
    max_tokens: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> ModelBundle:
    """Export a sequence classifier and return its bundle.

    ``model`` is a folder, a name on the Hugging Face hub, a loaded transformers model with its ``tokenizer``, or a
    text-classification ``pipeline``. A loaded model is saved to a temporary folder and loaded from there.

    The bundle's logits and losses are compared with torch's, text by text; ``variants["fp32"].parity`` has the
    differences, and ``variants["fp32"].graph`` describes how the graph was rewritten. With ``int8`` the bundle gets
    a second graph for screening; its differences from torch are measured but not limited. A model that can't be
    quantised gets no int8 graph. ``exporter`` is the route to ONNX: ``optimum``, ``torch``, or ``auto``, which takes
    optimum if it is installed and knows the model, and otherwise, or if optimum fails, torch. The bundle reads at most
    ``max_tokens`` of a text; None is as many as the model can read. ``progress`` is called with the name of each step.
    A failure or Ctrl-C leaves no partial bundle and keeps the old one.

    Raises:
        MissingExtraError: torch, transformers, or what the route needs is not installed.
        OutputError: ``output`` is a bundle and ``force`` is not set.
        OutputError: ``output`` exists, is not empty and is not a bundle, or has files that don't belong to the bundle.
        OutputError: ``output`` can't be written, or the disk is full.
        ModelError: the model is not found.
        ModelError: the model can't be exported with correct losses; the message has every reason.
        ConversionError: a library fails.
        ParityError: the bundle's logits or losses differ from torch's by more than the tolerance.
        DeviceError: onnxruntime is missing or installed twice.
    """
    say = progress or (lambda doing: None)
    path = Path(output).expanduser()
    with replacing(path, force) as folder, on_disk(model, tokenizer) as location:
        say(f"looking for {location.name}")
        files = fetch(location.given, revision)
        files = files if files.on_hub or location.given == model else replace(files, name=location.name)
        say("loading torch and transformers")
        libraries.require()
        say(f"loading {files.name}")
        classifier = load(files, max_tokens)
        routes = choose(exporter, classifier.model.config.model_type)
        save_tokenizer(classifier.tokenizer, folder)
        texts, encodings = _texts(classifier)
        if classifier.tokenizer.truncation_side == "left":
            say("a long text is read from its end, as its tokenizer says (truncation_side 'left')")
        say(f"running {len(texts)} texts through torch")
        # Torch runs before the conversion because the conversion patches the network.
        reference = reference_logits(classifier.model, encodings)
        require_own_parity(classifier, encodings, reference)
        inputs = tuple({name: None for encoding in encodings for name in encoding})
        for route in routes:
            try:
                say(f"converting to ONNX with {route.name}")
                route.convert(classifier.model, folder / _GRAPH, inputs)
                bundle = _finished(folder, classifier, route, texts, encodings, reference, int8, say)
                break
            except (ConversionError, ModelError, ParityError) as error:
                if route is routes[-1]:
                    raise
                say(f"{route.name} can't export it: {error}")
                for file in folder.iterdir():
                    if file.name != TOKENIZER:
                        file.unlink()
                classifier = load(files, max_tokens)
        bundle.save()
    return msgspec.structs.replace(bundle, path=path)


def _finished(
    folder: Path,
    classifier: Classifier,
    route: Route,
    texts: list[Text],
    encodings: list[Encoding],
    reference: Logits,
    int8: bool,
    say: Callable[[str], None],
) -> ModelBundle:
    """Return the bundle around a graph that a route has written, rewritten and compared with torch."""
    draft = _draft(folder, classifier, _input_names(classifier, folder / _GRAPH))
    say(f"running {len(texts)} texts through onnxruntime")
    require_same_ids(draft, texts, encodings)
    token_parameters = _token_parameters(draft)  # counted before a rewrite removes any products
    description, parity = _rewrite(draft, texts, reference)
    variants = {"fp32": Variant(file=_GRAPH, graph=description, parity=parity)}
    if int8:
        say("making the int8 variant")
        variants |= _int8(draft, texts, reference, say)
    return msgspec.structs.replace(
        draft,
        exporter=route.name,
        variants=variants,
        files={file.name: file_sha256(file) for file in sorted(folder.iterdir())},
        token_parameters=token_parameters,
    )


def _input_names(classifier: Classifier, file: Path) -> tuple[str, ...]:
    import onnx

    with captured("reading the graph"):
        names = tuple(node.name for node in onnx.load(file, load_external_data=False).graph.input)
    require_fed(classifier.model, names)
    return names


def _draft(folder: Path, classifier: Classifier, input_names: tuple[str, ...]) -> ModelBundle:
    """Return a draft of the bundle, in which parity is not measured and files are not hashed yet."""
    return ModelBundle(
        path=folder,
        class_names=classifier.class_names,
        problem_type="single_label_classification",
        model_type=classifier.model.config.model_type,
        max_tokens=classifier.max_tokens,
        input_names=input_names,
        pad_id=classifier.pad_id,
        model=classifier.name,
        revision=classifier.revision,
        variants={"fp32": Variant(file=_GRAPH)},
        versions=libraries.versions(),
        files={},
        long_text="tail" if classifier.tokenizer.truncation_side == "left" else msgspec.UNSET,
    )


def _token_parameters(draft: ModelBundle) -> int | None:
    import onnx

    from exporter.graph.parameters import count_token_parameters

    with captured("counting the weights of the graph"):
        return count_token_parameters(onnx.load(draft.model_file(), load_external_data=False))


def _rewrite(draft: ModelBundle, texts: list[Text], reference: Logits) -> tuple[str, Parity]:
    """Remove from the graph the work that its head never reads; restore the original if parity with torch is lost.

    Returns a description of the rewrite, or the reason for none, and the parity of the graph that is kept.
    """
    import onnx

    from exporter.graph.first_token import keep_first_token
    from exporter.graph.fold import fold_keys_and_values

    file = draft.model_file()
    plain = file.read_bytes()
    with captured("rewriting the graph"):
        first = keep_first_token(onnx.load(file, load_external_data=False))
        folded = fold_keys_and_values(first.model)
    if first.applied:
        onnx.save(folded.model, file)
        description = f"{first.description}, {folded.description}" if folded.applied else first.description
        try:
            return description, require_parity(draft, texts, reference)
        except ParityError as error:
            file.write_bytes(plain)
            first = replace(first, description=f"unchanged: {first.description} is not exact here ({error})")
    return first.description, require_parity(draft, texts, reference)


def _int8(draft: ModelBundle, texts: list[Text], reference: Logits, say: Callable[[str], None]) -> dict[str, Variant]:
    """Write the int8 graph and return its entry for ``variants``; return {} if the model can't run in int8."""
    import onnx

    from exporter.graph.quantize import quantize

    variants = {"int8": Variant(file=_INT8_GRAPH)}
    file = draft.path / _INT8_GRAPH
    with captured("quantising the graph"):
        quantised = quantize(onnx.load(draft.model_file(), load_external_data=False))
    if not quantised.applied:
        say(f"there is no int8 variant: {quantised.description}")
        return {}
    onnx.save(quantised.model, file)
    try:
        parity = measure_parity(msgspec.structs.replace(draft, variants=variants), texts, reference, "int8")
    except (ParityError, ConversionError) as error:
        file.unlink()
        say(f"there is no int8 variant: {error}")
        return {}
    return {"int8": Variant(file=_INT8_GRAPH, graph=quantised.description, parity=parity)}


def _texts(classifier: Classifier) -> tuple[list[Text], list[Encoding]]:
    """Return the parity texts and their encodings; a text without any token is left out, because it has no loss."""
    tokenizer, limit = classifier.tokenizer, classifier.max_tokens
    texts = parity_texts(limit, tokenizer.all_special_tokens)
    both = [pair for pair in zip(texts, encode(tokenizer, texts, limit), strict=True) if pair[1]["input_ids"]]
    return [text for text, _ in both], [encoding for _, encoding in both]
