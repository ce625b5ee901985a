"""convert(): a classifier in torch to an ONNX graph of any batch size and length, by optimum's ONNX export."""

from pathlib import Path
from typing import Any

from exporter.errors import ModelError
from exporter.libraries import captured

_FED = ("input_ids", "attention_mask", "token_type_ids")


def convert(model: Any, file: Path) -> tuple[str, ...]:
    """Write the graph, beside it ``<name>_data`` if it is past ONNX's 2 GB, and return its inputs' names.

    Raises:
        ModelError: the graph reads something that scoring does not feed.
        ConversionError: optimum fails.
    """
    import onnx
    import torch
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    with captured("converting to ONNX"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of the inputs that the model is traced with
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
