"""GraphWriter: a graph written anew node by node, with new names where needed and nothing left over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper


@dataclass(frozen=True)
class GraphRewrite:
    """A graph and, for people, what was done to it or why it was left alone (it is the one that was given then)."""

    model: onnx.ModelProto
    applied: bool
    description: str


class GraphWriter:
    """Takes nodes, old and new ones, in the order they run in; ``suffix`` ends the names of the new ones.

    ``domains`` are those of operators that the model has none of yet, with their versions.
    """

    def __init__(self, model: onnx.ModelProto, suffix: str, domains: Mapping[str, int] | None = None) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        for domain, version in (domains or {}).items():
            if all(each.domain != domain for each in self._model.opset_import):
                self._model.opset_import.append(helper.make_opsetid(domain, version))
        self._suffix = suffix
        self._nodes: list[onnx.NodeProto] = []
        self._taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        self._taken.update(tensor.name for tensor in model.graph.initializer)
        self._made: dict[object, str] = {}

    def name(self, like: str) -> str:
        """Return a free name that tells where it comes from."""
        name, number = f"{like}/{self._suffix}", 1
        while name in self._taken:
            name, number = f"{like}/{self._suffix}_{number}", number + 1
        self._taken.add(name)
        return name

    def copy(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Add a node as it is and return it, to be changed."""
        new = onnx.NodeProto()
        new.CopyFrom(node)
        self._nodes.append(new)
        return new

    def add(self, op: str, inputs: Sequence[str], like: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return its output's name; the same one again if it was added before."""
        key = (op, tuple(inputs), repr(sorted(attributes.items())))
        if key not in self._made or output is not None:
            self._made[key] = output or self.name(like)
            self._nodes.append(helper.make_node(op, inputs, [self._made[key]], name=self._made[key], **attributes))
        return self._made[key]

    def constant(self, values: ArrayLike, like: str = "constant") -> str:
        """Add an initializer and return its name; the same one again for the same values."""
        array = np.array(values, order="C")
        key = (array.dtype, array.shape, array.tobytes())
        if key not in self._made:
            self._made[key] = self.name(like)
            self._model.graph.initializer.append(numpy_helper.from_array(array, self._made[key]))
        return self._made[key]

    def finish(self, wrong: Callable[[str], bool] = lambda name: False) -> onnx.ModelProto:
        """Return the model with the new nodes, without what no output depends on.

        ``wrong`` says of which tensors the shape that the model states is no longer theirs.
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
    """Give the names that a node's subgraphs read; those of their own among them do no harm."""
    for each in node.attribute:
        for graph in (*each.graphs, *((each.g,) if each.HasField("g") else ())):
            for inner in graph.node:
                yield from inner.input
                yield from captured(inner)
            yield from (output.name for output in graph.output)


def _keep(messages: Any, wanted: Callable[[Any], bool]) -> None:
    """Filter in place by index: a message's ``remove`` compares whole weights."""
    for i in reversed(range(len(messages))):
        if not wanted(messages[i]):
            del messages[i]
