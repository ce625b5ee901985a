"""on_disk(): give the exporter a folder for a model that is already loaded."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.errors import ModelError
from exporter.libraries import captured


@dataclass(frozen=True)
class Location:
    """A model's folder or hub name as ``given``, and the ``name`` that the bundle gets."""

    given: str | Path
    name: str


@contextlib.contextmanager
def on_disk(model: Any, tokenizer: Any = None) -> Iterator[Location]:
    """Yield where ``model`` lies; a loaded model or a pipeline is saved to a temporary folder for as long.

    Raises:
        ModelError: a loaded model has no tokenizer, or ``model`` is something else.
        ConversionError: transformers can't save the model.
    """
    if isinstance(model, str | Path):
        if tokenizer is not None:
            raise ModelError(f"{model} has its own tokenizer; leave `tokenizer` out, or give a loaded model")
        yield Location(model, str(model))
        return
    network, words = _parts(model, tokenizer)
    named = str(getattr(network.config, "_name_or_path", "") or type(network).__name__)
    with tempfile.TemporaryDirectory(prefix="lossrank-") as folder:
        with captured("saving the loaded model"):
            network.save_pretrained(folder, safe_serialization=True)
            words.save_pretrained(folder)
        yield Location(Path(folder), Path(named).name if Path(named).exists() else named)


def _parts(model: Any, tokenizer: Any) -> tuple[Any, Any]:
    """Return the network and the tokenizer of a loaded model or a pipeline."""
    if hasattr(model, "model") and hasattr(model, "tokenizer") and hasattr(model, "task"):  # a pipeline
        model, tokenizer = model.model, tokenizer if tokenizer is not None else model.tokenizer
    if hasattr(model, "predict_proba") and not hasattr(model, "save_pretrained"):
        raise ModelError(
            f"`model` is of type {type(model).__name__}, which needs no bundle: give its model.predict_proba(texts) to "
            "lossrank.import_probs(data, probs, 'run', classes=model.classes_)"
        )
    if not (hasattr(model, "save_pretrained") and hasattr(model, "config")):
        raise ModelError(
            f"`model` is of type {type(model).__name__}; it must be a folder, a name on the hub, a loaded transformers "
            "model, or a text-classification pipeline"
        )
    if tokenizer is None:
        raise ModelError(f"the loaded {type(model).__name__} has no tokenizer; give it as `tokenizer`")
    return model, tokenizer
