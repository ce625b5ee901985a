"""Convert a model with torch itself (torch.export and onnxscript), which needs no knowledge of the model type."""

from pathlib import Path
from typing import Any

from exporter.libraries import captured
from exporter.network import inputs_of, network
from exporter.routes.base import FED, Route

_OPSET = 18
_ROWS, _TOKENS = 3, 21  # of the batch that is traced; both are free in the graph
_BRANCHING = {
    "LongformerSelfAttention": "its attention looks up which tokens are global, and branches on what it finds",
    "LEDEncoderSelfAttention": "its attention looks up which tokens are global, and branches on what it finds",
    "XmodOutput": "it splits a batch by the language of each text, and sends each part to an adapter of its own",
}


def _convert(model: Any, file: Path, inputs: tuple[str, ...]) -> None:
    """Write a model's graph, whose inputs are those of ``inputs`` that the model reads.

    Raises:
        ConversionError: torch can't export the model.
    """
    import onnx
    import torch
    from torch.export import Dim

    from exporter.graph import beside

    reads = inputs_of(model)
    names = [name for name in FED if name in inputs and name in reads]
    with captured("converting to ONNX with torch"):
        cause: BaseException | None = None
        try:
            torch.onnx.export(
                network(model),
                (),
                str(file),
                kwargs={name: _example(name) for name in names},
                input_names=names,
                output_names=["logits"],
                opset_version=_OPSET,
                dynamo=True,
                dynamic_shapes={name: {0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for name in names},
                external_data=_size(model) > beside.LARGEST,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            # Its message is a page about the exporter; the cause says what stands in the way.
            cause = error.__cause__ or error
        if cause is not None:
            raise cause  # outside of except, where the exporter's error, whose cause it is, would become its context
        graph = onnx.load(file, load_external_data=False)
        _forget_sources(graph)
        onnx.save(graph, file)


def _refuses(model: Any) -> str | None:
    """Return a reason if the model's code branches on the values of a text, or needs what onnxruntime hasn't got."""
    import torch

    if model.config.model_type == "falcon" and model.config.alibi:
        return "its ALiBi positions are computed in bfloat16, which onnxruntime can't do on a CPU"
    for module in model.modules():
        if (kind := type(module).__name__) in _BRANCHING:
            return f"{_BRANCHING[kind]}; torch can't convert that to a graph"
        if isinstance(getattr(module, "experts", None), torch.nn.Module):
            return "each token goes to a few of its experts, chosen while it runs; torch can't convert that to a graph"
    return None


def _example(name: str) -> Any:
    """Return an input of a batch in which one text is shorter than the others."""
    import torch

    values = torch.full((_ROWS, _TOKENS), {"input_ids": 5, "attention_mask": 1}.get(name, 0))
    values[1, _TOKENS // 2 :] = 0
    return values


def _size(model: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def _forget_sources(model: Any) -> None:
    """Remove what torch notes of the code behind each node: it has the paths of this machine."""
    graph = model.graph
    for each in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.ClearField("doc_string")


TORCH = Route("torch", "onnxscript", "onnxscript", lambda model_type: True, _convert, _refuses)
