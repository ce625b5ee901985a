"""Write a copy of a graph node by node: choose free names for new tensors and drop unused nodes and weights."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

from exporter.graph import beside
from exporter.graph.beside import DataFile


@dataclass(frozen=True)
class GraphRewrite:
    """The result of a rewrite: the graph, whether it was changed, and a description for people.

    If ``applied`` is false, ``model`` is the original graph and ``description`` says why it is unchanged.
    """

    model: onnx.ModelProto
    applied: bool
    description: str


class GraphWriter:
    """Collects old and new nodes in the order in which they run; the names of new tensors end in ``suffix``.

    ``domains`` are operator domains, with their versions, to add to the model's opset imports. Large new weights are
    appended to ``data``, if given.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        suffix: str,
        domains: Mapping[str, int] | None = None,
        data: DataFile | None = None,
    ) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        for domain, version in (domains or {}).items():
            if all(each.domain != domain for each in self._model.opset_import):
                self._model.opset_import.append(helper.make_opsetid(domain, version))
        self._suffix = suffix
        self._data = data
        self._nodes: list[onnx.NodeProto] = []
        self._taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        self._taken.update(tensor.name for tensor in model.graph.initializer)
        self._made: dict[object, str] = {}

    def name(self, like: str) -> str:
        """Return an unused name that starts with ``like``."""
        name, number = f"{like}/{self._suffix}", 1
        while name in self._taken:
            name, number = f"{like}/{self._suffix}_{number}", number + 1
        self._taken.add(name)
        return name

    def copy(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Add a copy of a node and return the copy, which the caller may change."""
        new = onnx.NodeProto()
        new.CopyFrom(node)
        self._nodes.append(new)
        return new

    def add(self, op: str, inputs: Sequence[str], like: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return its output's name; an equal node that was added before is reused."""
        key = (op, tuple(inputs), repr(sorted(attributes.items())))
        if key not in self._made or output is not None:
            self._made[key] = output or self.name(like)
            self._nodes.append(helper.make_node(op, inputs, [self._made[key]], name=self._made[key], **attributes))
        return self._made[key]

    def constant(self, values: ArrayLike, like: str = "constant") -> str:
        """Add an initializer and return its name; an initializer with equal values is reused."""
        array = np.asarray(values, order="C")
        key = (array.dtype, array.shape, hashlib.sha256(array.data).digest())
        if key not in self._made:
            name = self._made[key] = self.name(like)
            large = self._data is not None and array.nbytes >= beside.SMALL
            make = self._data.add if self._data is not None and large else numpy_helper.from_array
            self._model.graph.initializer.append(make(array, name))
        return self._made[key]

    def finish(self, wrong: Callable[[str], bool] = lambda name: False) -> onnx.ModelProto:
        """Return the model with the collected nodes, without those that no output depends on.

        ``wrong`` returns whether the shape that the model records for a tensor is now wrong; wrong shapes are dropped.
        """
        graph = self._model.graph
        used = {output.name for output in graph.output}
        kept = []
        for node in reversed(self._nodes):
            if used.intersection(node.output):
                kept.append(node)
                used.update(node.input, captured(node))
        del graph.node[:]
        graph.node.extend(reversed(kept))
        _keep(graph.initializer, lambda tensor: tensor.name in used)
        _keep(graph.value_info, lambda value: value.name in used and not wrong(value.name))
        return self._model


def captured(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names that a node's subgraphs read; names from inside a subgraph are included, which does no harm."""
    for each in node.attribute:
        for graph in (*each.graphs, *((each.g,) if each.HasField("g") else ())):
            for inner in graph.node:
                yield from inner.input
                yield from captured(inner)
            yield from (output.name for output in graph.output)


def _keep(messages: Any, wanted: Callable[[Any], bool]) -> None:
    """Remove unwanted messages in place, by index because a message's ``remove`` compares whole weights."""
    for i in reversed(range(len(messages))):
        if not wanted(messages[i]):
            del messages[i]
