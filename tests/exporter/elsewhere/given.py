"""Classifiers as their users have them: an ONNX file, a tokenizer's folder and the names of the classes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

import lossrank as lr
from scorer import ModelBundle
from scorer.model.losses import log_softmax
from tests.exporter.test_export import TEXTS, bundle_logits
from tests.support.tiny_models import POSITIONS


@dataclass
class Given:
    """A tiny BERT as its user has it: a graph, a folder with the tokenizer, and the model for the test."""

    graph: Path
    tokenizer: Path
    labels: Path
    model: Path

    def export(self, output: Path, **changed: Any) -> ModelBundle:
        arguments = {"onnx": self.graph, "tokenizer": self.tokenizer, "labels": self.labels, "max_tokens": POSITIONS}
        return lr.export(output=output, progress=False, **{**arguments, **changed})


def changed(given: Given, change: Callable[[onnx.ModelProto], None], name: str = "changed.onnx") -> Path:
    graph = onnx.load(given.graph)
    change(graph)
    file = given.graph.with_name(name)
    onnx.save(graph, file)
    return file


def losses(bundle: ModelBundle, texts: list[str] = TEXTS) -> Any:
    return log_softmax(bundle_logits(bundle, texts))
