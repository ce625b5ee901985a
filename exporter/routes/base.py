"""Route: one way to convert a torch classifier to an ONNX graph."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.errors import ModelError

FED = ("input_ids", "attention_mask", "token_type_ids")  # the inputs that scoring feeds


@dataclass(frozen=True)
class Route:
    """One way to convert a model.

    ``needs`` names the package to install for it, and ``module`` the module to import before it is used. ``exports``
    tells whether it knows a model type, and ``refuses`` why it can't convert a model of a type that it knows, None if
    it may. ``convert`` writes the graph of a model, which reads the ``inputs`` that its
    tokenizer gives, to a file. If the graph exceeds ONNX's limit of 2 GB, its weights are written beside the file.
    """

    name: str
    needs: str
    module: str
    exports: Callable[[str], bool]
    convert: Callable[[Any, Path, tuple[str, ...]], None]
    refuses: Callable[[Any], str | None] = lambda model: None


def require_fed(model: Any, names: tuple[str, ...]) -> None:
    """Check that a graph reads only what scoring feeds.

    Raises:
        ModelError: the graph has another input.
    """
    unknown = [name for name in names if name not in FED]
    if unknown:
        raise ModelError(
            f"{type(model).__name__} can't be exported: its graph reads {', '.join(unknown)}; scoring feeds only "
            f"{', '.join(FED)}"
        )
