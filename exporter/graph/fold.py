"""Compute single-query attention without projecting every token to a key and a value; losses stay exact.

After ``keep_first_token`` the last layer's attention has one query, for [CLS]. With one query q, hidden states h_j and
attention weights p_j, the key and value projections need not be applied to each token:

    q · (W_k h_j + b_k) = (W_kᵀ q) · h_j + q · b_k        Σ p_j (W_v h_j + b_v) = W_v (Σ p_j h_j) + b_v    (Σ p_j = 1)

Each projection is then applied once per text instead of once per token. What remains per token and head is a product
with a vector instead of a matrix.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from exporter.graph.beside import values_of
from exporter.graph.rules import attribute
from exporter.graph.shapes import Shapes, measure
from exporter.graph.writer import GraphRewrite, GraphWriter, captured
from scorer.text import one_line

FOLDED = "without its keys and values"
_KEYS, _VALUES = (0, 2, 3, 1), (0, 2, 1, 3)  # the permutations of keys and values from [b, t, heads, width]


@dataclass(frozen=True)
class _Projection:
    """A key or value projection: hidden states [b, t, n] times weight [n, heads, width] plus bias [heads, width].

    ``scales`` are the Mul and Div nodes applied afterwards, as (operator, scalar's name), in order.
    """

    hidden: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None
    scales: tuple[tuple[str, str], ...]


def fold_keys_and_values(model: onnx.ModelProto, folder: Path | None = None) -> GraphRewrite:
    """Return the graph with the key and value projections of single-query attention folded, or unchanged.

    Call this after ``keep_first_token``. ``model`` itself is not changed. Weights beside the graph are read from
    ``folder``, as they are needed; the folded ones, of one layer, are in the new graph.
    """
    try:
        shapes = measure(model)
    except Exception as error:  # onnxruntime can raise any type
        return GraphRewrite(model, False, f"unchanged: its shapes can't be measured ({one_line(error, 120)})")
    reader = _Reader(model.graph, shapes, folder)
    found = {i: each for i, node in enumerate(model.graph.node) if (each := reader.projection(node)) is not None}
    if not found:
        return GraphRewrite(model, False, "unchanged: no plain keys or values of an attention with one query")
    writer = GraphWriter(model, "folded")
    for i, node in enumerate(model.graph.node):
        if i not in found:
            writer.copy(node)
        elif shapes.is_length(node.output[0], 3):
            _add_scores(writer, node, found[i])
        else:
            _add_context(writer, node, found[i])
    return GraphRewrite(writer.finish(), True, FOLDED)


class _Reader:
    """Finds the key and value projections by following attention's two products back to their inputs."""

    def __init__(self, graph: onnx.GraphProto, shapes: Shapes, folder: Path | None) -> None:
        self._shapes = shapes
        self._folder = folder
        self._makers = {name: node for node in graph.node for name in node.output}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._reads = Counter(name for node in graph.node for name in (*node.input, *captured(node)))

    def projection(self, node: onnx.NodeProto) -> _Projection | None:
        """Return the projection behind the right input of a single-query attention product, or None.

        None is also returned if the input passes through other operators or has another reader.
        """
        if node.op_type != "MatMul" or not self._is_of_one_query(node):
            return None
        keys = self._shapes.is_length(node.output[0], 3)
        if not keys and not self._sums_to_one(node.input[0]):
            return None
        perm, scales = (0, 1, 2, 3), []
        for made in self._upwards(node.input[1]):
            if made.op_type == "Transpose":
                own = attribute(made, "perm")
                perm = tuple(own[axis] for axis in perm)
            elif made.op_type in ("Mul", "Div") and self._is_scalar(made.input[1]):
                scales.append((made.op_type, made.input[1]))
            elif made.op_type == "Reshape" and perm == (_KEYS if keys else _VALUES):
                return self._linear(made, tuple(reversed(scales)))
            else:
                return None
        return None

    def _upwards(self, name: str) -> Iterator[onnx.NodeProto]:
        """Yield a tensor's producer, the producer of its first input and so on, while each has a single reader."""
        while name in self._makers and self._reads[name] == 1:
            yield self._makers[name]
            name = self._makers[name].input[0] if self._makers[name].input else ""

    def _linear(self, reshape: onnx.NodeProto, scales: tuple[tuple[str, str], ...]) -> _Projection | None:
        heads = self._shapes.dimensions[reshape.output[0]]
        flat = self._shapes.dimensions[reshape.input[0]]
        if any(len(h) != 4 or len(f) != 3 or h[:2] != f[:2] for h, f in zip(heads, flat, strict=True)):
            return None
        product, bias = self._makers.get(reshape.input[0]), None
        if product is not None and product.op_type == "Add" and self._reads[reshape.input[0]] == 1:
            sides = [self._array(name) for name in product.input]
            bias = next((side for side in sides if side is not None), None)
            product = self._makers.get(product.input[0 if sides[0] is None else 1])
        if product is None or product.op_type != "MatMul" or self._reads[product.output[0]] != 1:
            return None
        weight, width = self._array(product.input[1]), heads[0][2:]
        if weight is None or weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[1:]):
            return None
        return _Projection(
            product.input[0],
            weight.reshape(-1, *width),
            None if bias is None else bias.reshape(width),
            scales,
        )

    def _array(self, name: str) -> NDArray[Any] | None:
        """Return a weight's values; return None for a tensor that is computed."""
        maker = self._makers.get(name)
        tensor = self._weights.get(maker.input[0] if maker is not None and maker.op_type == "Identity" else name)
        return None if tensor is None else values_of(tensor, self._folder)

    def _is_of_one_query(self, node: onnx.NodeProto) -> bool:
        left, right = node.input
        return (
            self._shapes.rank(left) == self._shapes.rank(right) == 4
            and self._shapes.is_one(left, 2)
            and (self._shapes.is_length(right, 3) != self._shapes.is_length(right, 2))
        )

    def _sums_to_one(self, name: str) -> bool:
        maker = self._makers.get(name)
        return maker is not None and maker.op_type == "Softmax" and attribute(maker, "axis") in (-1, 3)

    def _is_scalar(self, name: str) -> bool:
        return all(int(np.prod(shape)) == 1 and len(shape) <= 1 for shape in self._shapes.dimensions[name])


# Both functions put the batch into one matrix [b, ...] per head, so that a head's weight is multiplied once per batch.


def _add_scores(writer: GraphWriter, node: onnx.NodeProto, keys: _Projection) -> None:
    query = writer.add("Transpose", node.input[:1], node.output[0], perm=[2, 1, 0, 3])  # [1, heads, b, width]
    matrix = writer.constant(keys.weight.transpose(1, 2, 0))
    asked = writer.add("MatMul", [query, matrix], node.output[0])
    asked = writer.add("Transpose", [asked], node.output[0], perm=[2, 0, 1, 3])  # [b, 1, heads, n]
    hidden = writer.add("Transpose", [_unsqueezed(writer, keys.hidden)], keys.hidden, perm=[0, 1, 3, 2])
    scores = writer.add("MatMul", [asked, hidden], node.output[0])
    if keys.bias is not None:
        same = writer.add("MatMul", [query, writer.constant(keys.bias[:, :, None])], node.output[0])
        same = writer.add("Transpose", [same], node.output[0], perm=[2, 0, 1, 3])
        scores = writer.add("Add", [scores, same], node.output[0])
    _finish(writer, node, scores, [0, 2, 1, 3], keys.scales)


def _add_context(writer: GraphWriter, node: onnx.NodeProto, values: _Projection) -> None:
    shares = writer.add("Transpose", node.input[:1], node.output[0], perm=[0, 2, 1, 3])  # [b, 1, heads, t]
    mean = writer.add("MatMul", [shares, _unsqueezed(writer, values.hidden)], node.output[0])
    mean = writer.add("Transpose", [mean], node.output[0], perm=[1, 2, 0, 3])  # [1, heads, b, n]
    context = writer.add("MatMul", [mean, writer.constant(values.weight.transpose(1, 0, 2))], node.output[0])
    if values.bias is not None:
        context = writer.add("Add", [context, writer.constant(values.bias[:, None, :])], node.output[0])
    _finish(writer, node, context, [2, 1, 0, 3], values.scales)


def _unsqueezed(writer: GraphWriter, hidden: str) -> str:
    return writer.add("Unsqueeze", [hidden, writer.constant([1])], hidden)


def _finish(
    writer: GraphWriter, node: onnx.NodeProto, name: str, perm: list[int], scales: tuple[tuple[str, str], ...]
) -> None:
    """Apply the scales of the keys or values, and transpose to [b, heads, 1, ...] under the node's old output name."""
    for op, scale in scales:
        name = writer.add(op, [name, scale], node.output[0])
    writer.add("Transpose", [name], node.output[0], node.output[0], perm=perm)
