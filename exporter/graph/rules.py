"""Decide which part of a node's inputs is needed if only the first token of the node's output is needed.

There is one rule for each operator that treats every token alike, such as residual Adds and LayerNorm. An operator
without a rule may mix tokens, so its inputs are needed whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import numpy_helper

from exporter.graph.shapes import Shapes

Axes = tuple[int | None, ...]  # per input: the axis on which only the first element is needed, None if needed whole

_ELEMENTWISE = frozenset({
    "Abs", "Add", "And", "Cast", "Clip", "Div", "Elu", "Equal", "Erf", "Exp", "Gelu", "Greater", "GreaterOrEqual",
    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min", "Mish", "Mul",
    "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh",
    "Where", "Xor",
})  # fmt: skip


class _MixesTokens(Exception):
    """The first token of the output can't be computed from the first token of an input."""


@dataclass(frozen=True)
class Context:
    """The facts about a graph that the rules use: measured shapes and integer constants."""

    shapes: Shapes
    constants: Mapping[str, list[int]]

    @classmethod
    def of(cls, graph: onnx.GraphProto, shapes: Shapes) -> "Context":
        """Collect the graph's int64 scalars and vectors from ``Constant`` nodes and initializers."""
        tensors = {node.output[0]: attribute(node, "value") for node in graph.node if node.op_type == "Constant"}
        tensors |= {tensor.name: tensor for tensor in graph.initializer}
        return cls(
            shapes,
            {
                name: numpy_helper.to_array(tensor).reshape(-1).tolist()
                for name, tensor in tensors.items()
                if tensor is not None
                and tensor.data_type == onnx.TensorProto.INT64
                and tensor.data_location != onnx.TensorProto.EXTERNAL
                and len(tensor.dims) <= 1
            },
        )


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, ``default`` if the node lacks the attribute."""
    return next((onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def first_token_axis(node: onnx.NodeProto, context: Context) -> int | None:
    """Return the token axis on which the node picks the first token of its first input, or None."""
    data = node.input[0] if node.input else ""
    rank = context.shapes.rank(data)
    if node.op_type == "Gather" and rank is not None:
        axes, picked = [attribute(node, "axis", 0)], context.constants.get(node.input[1]) == [0]
    elif node.op_type == "Slice" and rank is not None and len(node.input) > 3:
        starts, ends, axes = (context.constants.get(name, []) for name in node.input[1:4])
        picked = (starts, ends) == ([0], [1])  # any step gives the same element
    else:
        return None
    if not picked or len(axes) != 1 or not context.shapes.is_length(data, axes[0] % rank):
        return None
    return int(axes[0] % rank)


def sums_over_tokens(node: onnx.NodeProto, context: Context) -> bool:
    """Return whether the node is attention's second product: attention weights times values, summed over tokens."""
    rank = context.shapes.rank(node.input[1]) if node.op_type == "MatMul" else None
    return rank is not None and context.shapes.is_length(node.input[1], rank - 2)


def through(node: onnx.NodeProto, axis: int, context: Context) -> Axes | None:
    """Return, for each input, the axis of which the first element suffices to compute the output's first on ``axis``.

    Returns None if the operator has no rule, or if its rule finds that the node may mix tokens."""
    rule = _elementwise if node.op_type in _ELEMENTWISE else _RULES.get(node.op_type)
    if rule is None or node.domain not in ("", "ai.onnx"):
        return None
    try:
        axes = rule(node, axis, context)
    except _MixesTokens:
        return None
    # Only token axes may be cut, whichever axes the rule returned.
    cut = [context.shapes.is_length(node.input[i], each) for i, each in enumerate(axes) if each is not None]
    return axes if all(cut) and (cut or node.op_type == "Expand") else None


def _elementwise(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    from_end = axis - _rank(node.output[0], context)
    return tuple(_broadcast(name, from_end, context) for name in node.input)


def _broadcast(name: str, from_end: int, context: Context) -> int | None:
    """Return an input's axis ``from_end`` (negative, as numpy broadcasts); None if it is missing or has length 1."""
    axis = _rank(name, context) + from_end if name else -1
    return None if axis < 0 or context.shapes.is_one(name, axis) else axis


def _expand(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    return _broadcast(node.input[0], axis - _rank(node.output[0], context), context), None


def _matmul(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    left, right = (_rank(name, context) for name in node.input)
    if min(left, right) < 2 or axis != _rank(node.output[0], context) - 2:
        raise _MixesTokens
    return left - 2, None


def _reshape(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    """Find the input's axis that matches the output's: the same length, and the same number of elements before it."""
    data, shapes = node.input[0], context.shapes
    before = shapes.before(node.output[0], axis)
    for own in range(_rank(data, context)):
        if shapes.is_length(data, own) and shapes.before(data, own) == before:
            return own, None
    raise _MixesTokens


def _transpose(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    rank = _rank(node.input[0], context)
    return (int(attribute(node, "perm", range(rank)[::-1])[axis]),)


def _normalise(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    """Allow Softmax and LayerNormalization if they normalise only over axes after the one that is cut."""
    # Softmax must name its axis: the default differs before opset 13.
    over = attribute(node, "axis", -1 if node.op_type == "LayerNormalization" else None)
    if over is None or axis >= over % _rank(node.input[0], context):
        raise _MixesTokens
    return (axis, *(None for _ in node.input[1:]))


def _reduce(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    """Allow any reduced axes: a reduced axis has length 1 in the output, so it can't be the token axis."""
    if not attribute(node, "keepdims", 1):
        raise _MixesTokens
    return (axis, *(None for _ in node.input[1:]))


def _slice(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    rank = _rank(node.input[0], context)
    if axis in (each % rank for each in _constant(node, 3, context)):
        raise _MixesTokens
    return (axis, *(None for _ in node.input[1:]))


def _split(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    if axis == attribute(node, "axis", 0) % _rank(node.input[0], context):
        raise _MixesTokens
    return (axis, *(None for _ in node.input[1:]))


def _gather(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    data, picks = (_rank(name, context) for name in node.input)
    over = attribute(node, "axis", 0) % data
    if over <= axis < over + picks:
        raise _MixesTokens
    return axis if axis < over else axis - picks + 1, None


def _gather_elements(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    over = attribute(node, "axis", 0) % _rank(node.input[0], context)
    return None if axis == over else axis, axis


def _unsqueeze(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    rank = _rank(node.output[0], context)
    return axis - sum(each % rank < axis for each in _constant(node, 1, context)), None


def _concat(node: onnx.NodeProto, axis: int, context: Context) -> Axes:
    """Allow any axis: no input is as long as the output on the concatenated axis, so ``through`` refuses that axis."""
    return tuple(axis for _ in node.input)


def _constant(node: onnx.NodeProto, index: int, context: Context) -> list[int]:
    values = context.constants.get(node.input[index]) if index < len(node.input) else None
    if values is None:
        raise _MixesTokens
    return values


def _rank(name: str, context: Context) -> int:
    rank = context.shapes.rank(name)
    if rank is None:
        raise _MixesTokens
    return rank


_RULES: dict[str, Callable[[onnx.NodeProto, int, Context], Axes]] = {
    "Concat": _concat,
    "Expand": _expand,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "LayerNormalization": _normalise,
    "MatMul": _matmul,
    "ReduceMean": _reduce,
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": _normalise,
    "Split": _split,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
