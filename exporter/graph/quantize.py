"""Quantise a graph's matrix products to int8, with one scale per token for the activations.

onnxruntime's dynamic quantisation takes one scale for a whole batch, so a row's loss depends on the other rows of its
batch (onnxruntime #10111); its static quantisation needs texts to calibrate with and is less exact. Here each token's
vector x is scaled by its largest absolute element, and each column of a weight by its
largest absolute element:

    x · W  ≈  a * ((q_x - 128) · q_W) * b,    a = max|x| / 127 for each token,    b = max|W| / 63 for each column

Weights have 7 bits, because AVX2 without VNNI adds pairs of products in 16 bits: 2 * 255 * 63 fits, 2 * 255 * 127
does not. So the integer products are exact on every CPU, and int8 losses don't depend on the machine.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from exporter.graph.writer import GraphRewrite, GraphWriter

QUANTIZED = "weight products in int8, a scale for each token"
_DOMAIN = "com.microsoft"
_ACTIVATION, _WEIGHT, _ZERO = 127, 63, 128
_FEWEST = 32  # columns; narrower products take too little time to matter


def quantize(model: onnx.ModelProto) -> GraphRewrite:
    """Return the graph with every product of activations and a weight matrix in int8; unchanged if there is none.

    Embeddings, attention's own products, LayerNorms and products with few columns, such as the head's, stay in fp32.
    ``model`` itself is not changed; its weights must be loaded.
    """
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        return GraphRewrite(model, False, "unchanged: its weights are not loaded")
    weights = dict(_weights(model.graph))
    if not weights:
        return GraphRewrite(model, False, "unchanged: no product with a large constant matrix")
    writer = GraphWriter(model, "int8", {_DOMAIN: 1})
    for i, node in enumerate(model.graph.node):
        if i in weights:
            _add_product(writer, node, weights[i], _opset(model))
        else:
            writer.copy(node)
    return GraphRewrite(writer.finish(), True, QUANTIZED)


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the node index and the weight matrix [K, N] of each product whose right input is a weight matrix."""
    matrices = {
        tensor.name: tensor
        for tensor in graph.initializer
        if len(tensor.dims) == 2 and tensor.dims[1] >= _FEWEST and tensor.data_type == onnx.TensorProto.FLOAT
    }
    # A weight that several layers share, or that is stored once for equal weights, is read through an Identity.
    names = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    for i, node in enumerate(graph.node):
        if node.op_type == "MatMul":
            tensor = matrices.get(names.get(node.input[1], node.input[1]))
            if tensor is not None:
                yield i, numpy_helper.to_array(tensor)


def _add_product(writer: GraphWriter, node: onnx.NodeProto, weight: NDArray[np.float32], opset: int) -> None:
    x, output = node.input[0], node.output[0]
    quantised, scale = _add_activations(writer, x, opset)
    columns = np.maximum(np.abs(weight).max(axis=0) / _WEIGHT, np.finfo(np.float32).tiny).astype(np.float32)
    product = writer.add(
        "MatMulIntegerToFloat",
        [
            quantised,
            writer.constant(np.rint(weight / columns).astype(np.int8), node.input[1]),
            writer.constant(np.float32(1), "one"),
            writer.constant(columns, node.input[1]),
            writer.constant(np.uint8(_ZERO), "zero"),
            writer.constant(np.zeros(len(columns), np.int8), "zeros"),
        ],
        output,
        domain=_DOMAIN,
    )
    writer.add("Mul", [product, scale], output, output)


def _add_activations(writer: GraphWriter, x: str, opset: int) -> tuple[str, str]:
    """Return the names of ``x`` [..., K] in uint8 and of its scales [..., 1]; all readers of ``x`` share them."""
    size = writer.add("Abs", [x], x)
    if opset >= 18:
        largest = writer.add("ReduceMax", [size, writer.constant(np.array([-1]), "last")], x, keepdims=1)
    else:
        largest = writer.add("ReduceMax", [size], x, axes=[-1], keepdims=1)
    largest = writer.add("Max", [largest, writer.constant(np.float32(1e-30), "least")], x)
    scaled = writer.add(
        "Mul", [x, writer.add("Div", [writer.constant(np.float32(_ACTIVATION), "most"), largest], x)], x
    )
    one, zero = writer.constant(np.float32(1), "one"), writer.constant(np.uint8(_ZERO), "zero")
    quantised = writer.add("QuantizeLinear", [scaled, one, zero], x)
    return quantised, writer.add("Mul", [largest, writer.constant(np.float32(1 / _ACTIVATION), "step")], x)


def _opset(model: onnx.ModelProto) -> int:
    return next(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))
