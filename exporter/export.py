"""export_model(): a Hugging Face classifier to a bundle directory that scores without torch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from exporter import libraries
from exporter.convert import convert
from exporter.errors import ConversionError, ParityError
from exporter.fetch import fetch
from exporter.libraries import captured
from exporter.load import Classifier, load
from exporter.output import replacing
from exporter.parity import Logits, Parity, measure_parity, reference_logits, require_parity
from exporter.parity_texts import Text, parity_texts
from exporter.tokenizer import Encoding, encode, require_same_ids, save_tokenizer
from scorer.files import file_sha256
from scorer.model.bundle import ModelBundle

_GRAPH, _INT8_GRAPH = "model.onnx", "model.int8.onnx"


def export_model(
    model: str | Path,
    output: str | Path,
    *,
    revision: str | None = None,
    force: bool = False,
    int8: bool = True,
    progress: Callable[[str], None] | None = None,
) -> ModelBundle:
    """Export a sequence classifier, from a folder or the Hugging Face hub, and return its bundle.

    What the bundle computes has been compared with torch, text by text: ``variants["fp32"]["parity"]``; what was
    taken out of its graph before is in ``variants["fp32"]["graph"]``. With ``int8`` it has a second graph for screens,
    whose distance from torch is measured too but not limited; a model that has no such form goes without.
    ``progress`` is told what is being done. A failure, Ctrl-C too, leaves nothing and destroys nothing.

    Raises:
        MissingExtraError: torch, transformers or optimum is not installed.
        OutputError: ``output`` is there (without ``force``), is not a bundle, can't be written, or the disk is full.
        ModelError: the model is not there or can't be exported so that its losses would be right, with all reasons.
        ConversionError: a library fails on the way.
        ParityError: the bundle does not compute what torch computes.
        DeviceError: onnxruntime is missing or installed twice.
    """
    say = progress or (lambda doing: None)
    path = Path(output).expanduser()
    with replacing(path, force) as folder:
        say(f"looking for {model}")
        files = fetch(model, revision)
        say("loading torch and transformers")
        libraries.require()
        say(f"loading {files.name}")
        classifier = load(files)
        network, tokenizer = classifier.model, classifier.tokenizer
        save_tokenizer(tokenizer, folder)
        texts, encodings = _texts(classifier)
        say(f"running {len(texts)} texts through torch")
        # Before the conversion, which patches the network.
        reference = reference_logits(network, encodings)
        say("converting to ONNX")
        input_names = convert(network, folder / _GRAPH)
        draft = ModelBundle(
            path=folder,
            class_names=classifier.class_names,
            problem_type="single_label_classification",
            model_type=network.config.model_type,
            max_tokens=classifier.max_tokens,
            input_names=input_names,
            pad_id=classifier.pad_id,
            model=classifier.name,
            revision=classifier.revision,
            variants={"fp32": {"file": _GRAPH}},
            versions=libraries.versions(),
            files={},
        )
        say(f"running {len(texts)} texts through onnxruntime")
        require_same_ids(draft, texts, encodings)
        token_parameters = _token_parameters(draft)  # before the graph is rewritten
        description, parity = _rewrite(draft, texts, reference)
        variants = {"fp32": {"file": _GRAPH, "graph": description, "parity": parity.as_dict()}}
        if int8:
            say("making the int8 variant")
            variants |= _int8(draft, texts, reference, say)
        bundle = replace(
            draft,
            variants=variants,
            files={file.name: file_sha256(file) for file in sorted(folder.iterdir())},
            token_parameters=token_parameters,
        )
        bundle.save()
    return replace(bundle, path=path)


def _token_parameters(draft: ModelBundle) -> int | None:
    import onnx

    from exporter.graph.parameters import count_token_parameters

    with captured("counting the weights of the graph"):
        return count_token_parameters(onnx.load(draft.model_file(), load_external_data=False))


def _rewrite(draft: ModelBundle, texts: list[Text], reference: Logits) -> tuple[str, Parity]:
    """Take from the graph the work that its head never reads, as long as it computes what torch computes.

    Returns what was done, or why nothing was, and the parity of the graph that is left.
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


def _int8(
    draft: ModelBundle, texts: list[Text], reference: Logits, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Write the int8 graph and return what is known of it; nothing if the model can't be run in int8."""
    import onnx

    from exporter.graph.quantize import quantize

    variant = {"int8": {"file": _INT8_GRAPH}}
    file = draft.path / _INT8_GRAPH
    with captured("quantising the graph"):
        quantised = quantize(onnx.load(draft.model_file(), load_external_data=False))
    if not quantised.applied:
        say(f"there is no int8 variant: {quantised.description}")
        return {}
    onnx.save(quantised.model, file)
    try:
        parity = measure_parity(replace(draft, variants=variant), texts, reference, "int8")
    except (ParityError, ConversionError) as error:
        file.unlink()
        say(f"there is no int8 variant: {error}")
        return {}
    return {"int8": {**variant["int8"], "graph": quantised.description, "parity": parity.as_dict()}}


def _texts(classifier: Classifier) -> tuple[list[Text], list[Encoding]]:
    """Return the parity texts and their tokens, without those of no token: no model reads them, none has a loss."""
    tokenizer, limit = classifier.tokenizer, classifier.max_tokens
    texts = parity_texts(limit, tokenizer.all_special_tokens)
    both = [pair for pair in zip(texts, encode(tokenizer, texts, limit), strict=True) if pair[1]["input_ids"]]
    return [text for text, _ in both], [encoding for _, encoding in both]
