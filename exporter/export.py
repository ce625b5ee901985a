"""Export a Hugging Face classifier to a bundle: a directory that scores without torch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from exporter import libraries
from exporter.errors import ConversionError, ModelError, ParityError
from exporter.fetch import fetch
from exporter.libraries import captured
from exporter.load import Classifier, load
from exporter.loaded import on_disk
from exporter.output import replacing
from exporter.parity.budget import cost_of, planned
from exporter.parity.reference import Reference, refer
from exporter.parity.texts import Text, parity_texts
from exporter.routes.base import Route, require_fed
from exporter.routes.choose import Exporter, choose, willing
from exporter.stages import Stages, alone
from exporter.tokenizer import Encoding, encode, require_same_ids, save_tokenizer
from exporter.variants import GRAPH, count_parameters, rewrite, variants_of
from scorer.files import file_sha256
from scorer.model.bundle import TOKENIZER, ModelBundle
from scorer.model.bundle_manifest import Variant


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
    differences and the length of the longest text compared, which is the model's limit if memory and time allow, and
    ``variants["fp32"].graph`` describes how the graph was rewritten. With ``int8`` the bundle gets a second graph for
    screening; its differences from torch are measured but not limited. A model that can't be quantised gets no int8
    graph. ``exporter`` is the route to ONNX: ``optimum``, ``torch``, or ``auto``, which takes optimum if it is
    installed and knows the model, and otherwise, or if optimum fails, torch. The bundle reads at most ``max_tokens`` of
    a text; None is as many as the model can read.

    ``progress`` is called with the name of each step, and at the end with the seconds of each stage. A failure or
    Ctrl-C leaves no partial bundle and keeps the old one. An export may run in any thread: what other threads print is
    not touched, and a second export in the same process waits for the first.

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
    stages = Stages(progress or (lambda doing: None))
    path = Path(output).expanduser()
    with replacing(path, force) as folder, alone(stages), on_disk(model, tokenizer) as location:
        stages.begin("fetching", f"looking for {location.name}")
        files = fetch(location.given, revision)
        files = files if files.on_hub or location.given == model else replace(files, name=location.name)
        stages.begin("importing", "loading torch and transformers")
        libraries.require()
        stages.begin("loading", f"loading {files.name}")
        classifier = load(files, max_tokens)
        routes = willing(choose(exporter, classifier.model.config.model_type), classifier.model)
        save_tokenizer(classifier.tokenizer, folder)
        texts, encodings = _texts(classifier)
        plan = planned(texts, encodings, classifier.max_tokens, cost_of(classifier.model))
        if classifier.tokenizer.truncation_side == "left":
            stages.say("a long text is read from its end, as its tokenizer says (truncation_side 'left')")
        stages.begin("torch", f"running {plan} through torch")
        # Torch runs before the conversion because the conversion patches the network.
        reference = refer(classifier, plan, stages.say)
        inputs = tuple({name: None for encoding in encodings for name in encoding})
        for route in routes:
            try:
                stages.begin("converting", f"converting to ONNX with {route.name}")
                _convert(route, classifier, folder / GRAPH, inputs)
                bundle = _finished(folder, classifier, route, texts, encodings, reference, int8, stages)
                break
            except (ConversionError, ModelError, ParityError) as error:
                if route is routes[-1]:
                    raise
                stages.say(f"{route.name} can't export it: {error}")
                for file in folder.iterdir():
                    if file.name != TOKENIZER:
                        file.unlink()
                classifier = load(files, max_tokens)
        bundle.save()
    stages.end()
    return msgspec.structs.replace(bundle, path=path)


def _convert(route: Route, classifier: Classifier, file: Path, inputs: tuple[str, ...]) -> None:
    """Write a route's graph to ``file``, with its weights in it or in one file beside it; nothing else is left."""
    from exporter.graph.beside import settle

    with TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        route.convert(classifier.model, made, inputs)
        with captured("reading the graph that was made"):
            settle(made, file)


def _finished(
    folder: Path,
    classifier: Classifier,
    route: Route,
    texts: list[Text],
    encodings: list[Encoding],
    reference: Reference,
    int8: bool,
    stages: Stages,
) -> ModelBundle:
    """Return the bundle around a graph that a route has written, rewritten and compared with torch."""
    draft = _draft(folder, classifier, _input_names(classifier, folder / GRAPH))
    stages.begin("token ids")
    require_same_ids(draft, texts, encodings)
    token_parameters = count_parameters(draft)  # counted before a rewrite removes any products
    stages.begin("onnxruntime", f"running {reference.plan} through onnxruntime")
    description, parity = rewrite(draft, reference, stages.say)
    variants = variants_of(draft, description, parity, reference, int8, stages)
    stages.begin("hashing")
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
        variants={"fp32": Variant(file=GRAPH)},
        versions=libraries.versions(),
        files={},
        long_text="tail" if classifier.tokenizer.truncation_side == "left" else msgspec.UNSET,
    )


def _texts(classifier: Classifier) -> tuple[list[Text], list[Encoding]]:
    """Return the parity texts and their encodings; a text without any token is left out, because it has no loss."""
    tokenizer, limit = classifier.tokenizer, classifier.max_tokens
    texts = parity_texts(limit, tokenizer.all_special_tokens)
    both = [pair for pair in zip(texts, encode(tokenizer, texts, limit), strict=True) if pair[1]["input_ids"]]
    return [text for text, _ in both], [encoding for _, encoding in both]
