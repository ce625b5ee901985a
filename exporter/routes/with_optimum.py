"""Convert a model with optimum, which traces it with torch's older exporter. optimum lags behind transformers."""

from pathlib import Path
from typing import Any

from exporter.libraries import captured
from exporter.routes.base import Route


def _exports(model_type: str) -> bool:
    from optimum.exporters.tasks import TasksManager

    try:
        tasks = TasksManager.get_supported_tasks_for_model_type(model_type, "onnx", library_name="transformers")
    except KeyError:
        return False
    return "text-classification" in tasks


def _convert(model: Any, file: Path, inputs: tuple[str, ...]) -> None:
    """Write a model's graph; optimum itself knows which inputs a model type has.

    Raises:
        ConversionError: optimum fails.
    """
    import torch
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    with captured("converting to ONNX with optimum"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the model is traced with random inputs
        make_config = TasksManager.get_exporter_config_constructor(
            "onnx", model=model, task="text-classification", library_name="transformers"
        )
        export(model, make_config(model.config), file)


OPTIMUM = Route("optimum", "optimum-onnx", "optimum.exporters.onnx.model_configs", _exports, _convert)
