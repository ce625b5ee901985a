"""Convert a torch classifier to an ONNX graph with optimum; the graph accepts any batch size and text length."""

from pathlib import Path
from typing import Any

from exporter.errors import ModelError
from exporter.libraries import captured

_FED = ("input_ids", "attention_mask", "token_type_ids")


def convert(model: Any, file: Path) -> tuple[str, ...]:
    """Write a model's graph to ``file``, and return the names of the graph's inputs.

    If the graph exceeds ONNX's limit of 2 GB, its weights are written to ``<name>_data`` beside ``file``.

    Raises:
        ModelError: the graph has an input that scoring does not feed.
        ConversionError: optimum fails.
    """
    import onnx
    import torch
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    with captured("converting to ONNX"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the model is traced with random inputs
        make_config = TasksManager.get_exporter_config_constructor(
            "onnx", model=model, task="text-classification", library_name="transformers"
        )
        export(model, make_config(model.config), file)
        graph = onnx.load(str(file), load_external_data=False).graph
    names = tuple(node.name for node in graph.input)
    unknown = [name for name in names if name not in _FED]
    if unknown:
        raise ModelError(
            f"{type(model).__name__} can't be exported: its graph reads {', '.join(unknown)}; scoring feeds only "
            f"{', '.join(_FED)}"
        )
    return names
