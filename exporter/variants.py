"""The graphs of a bundle: rewritten where that is exact, and in int8; each compared with the reference."""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from exporter.errors import ConversionError, ParityError
from exporter.libraries import captured
from exporter.parity.compare import measure_parity, require_parity
from exporter.parity.reference import Reference
from exporter.stages import Stages
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_manifest import Parity, Variant

GRAPH, INT8_GRAPH = "model.onnx", "model.int8.onnx"


def variants_of(
    draft: ModelBundle, graph: str, parity: Parity, reference: Reference, int8: bool, stages: Stages
) -> dict[str, Variant]:
    """Return the ``variants`` of a bundle: its rewritten graph, described by ``graph``, and, if asked for, int8."""
    found = {"fp32": Variant(file=GRAPH, graph=graph, parity=parity)}
    if int8:
        stages.begin("int8", "making the int8 variant")
        found |= _int8_variant(draft, reference, stages.say)
    return found


def count_parameters(draft: ModelBundle) -> int | None:
    """Return how many weights each token is multiplied with; None if the graph can't tell."""
    import onnx

    from exporter.graph.parameters import count_token_parameters

    with captured("counting the weights of the graph"):
        return count_token_parameters(onnx.load(draft.model_file(), load_external_data=False))


def rewrite(draft: ModelBundle, reference: Reference, say: Callable[[str], None]) -> tuple[str, Parity]:
    """Remove from the graph the work that its head never reads; restore the original if parity with torch is lost.

    Returns a description of the rewrite, or the reason for none, and the parity of the graph that is kept.
    """
    import onnx

    from exporter.graph.first_token import keep_first_token
    from exporter.graph.fold import fold_keys_and_values

    file = draft.model_file()
    plain = file.with_name("plain.onnx")
    with captured("rewriting the graph"):
        first = keep_first_token(onnx.load(file, load_external_data=False))
        folded = fold_keys_and_values(first.model, file.parent)
    if first.applied:
        file.replace(plain)
        onnx.save(folded.model, file)
        description = f"{first.description}, {folded.description}" if folded.applied else first.description
        try:
            parity = require_parity(draft, reference, say)
            plain.unlink()
            return description, parity
        except ParityError as error:
            plain.replace(file)
            first = replace(first, description=f"unchanged: {first.description} is not exact here ({error})")
    return first.description, require_parity(draft, reference, say)


def _int8_variant(draft: ModelBundle, reference: Reference, say: Callable[[str], None]) -> dict[str, Variant]:
    """Write the int8 graph and return its entry for ``variants``; return {} if the model can't run in int8."""
    import onnx

    from exporter.graph.beside import data_of
    from exporter.graph.quantize import quantize

    variants = {"int8": Variant(file=INT8_GRAPH)}
    file = draft.path / INT8_GRAPH
    with captured("quantising the graph"):
        quantised = quantize(onnx.load(draft.model_file(), load_external_data=False), file)
    if not quantised.applied:
        say(f"there is no int8 variant: {quantised.description}")
        return {}
    onnx.save(quantised.model, file)
    try:
        parity = measure_parity(msgspec.structs.replace(draft, variants=variants), reference, "int8")
    except (ParityError, ConversionError) as error:
        file.unlink()
        data_of(file).unlink(missing_ok=True)
        say(f"there is no int8 variant: {error}")
        return {}
    return {"int8": Variant(file=INT8_GRAPH, graph=quantised.description, parity=parity)}
