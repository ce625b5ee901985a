"""Quantise a graph's matrix products to int8, with one scale per token for the activations.

onnxruntime's dynamic quantisation takes one scale for a whole batch, so a row's loss depends on the other rows of its
batch (onnxruntime #10111); its static quantisation needs texts to calibrate with and is less exact. Here each token's
vector x is scaled by its largest absolute element, and each column of a weight by its
largest absolute element:

    x · W  ≈  a * ((q_x - 128) · q_W) * b,    a = max|x| / 127 for each token,    b = max|W| / 63 for each column

Weights have 7 bits, because AVX2 without VNNI adds pairs of products in 16 bits: 2 * 255 * 63 fits, 2 * 255 * 127
does not. So the integer products are exact on every CPU, and int8 losses don't depend on the machine.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from exporter.graph.beside import DataFile, is_beside, values_of
from exporter.graph.rules import attribute
from exporter.graph.shapes import Shapes, measure
from exporter.graph.writer import GraphRewrite, GraphWriter

QUANTIZED = "weight products in int8, a scale for each token"
_DOMAIN = "com.microsoft"
_ACTIVATION, _WEIGHT, _ZERO = 127, 63, 128
_FEWEST = 32  # columns; narrower products take too little time to matter


@dataclass(frozen=True)
class _Product:
    """A product x · W (+ bias): the names of x and bias, and the tensor of W [K, N], or of W transposed."""

    left: str
    weight: onnx.TensorProto
    transposed: bool = False
    bias: str | None = None

    @property
    def columns(self) -> int:
        return int(self.weight.dims[0 if self.transposed else 1])


def quantize(model: onnx.ModelProto, file: Path | None = None) -> GraphRewrite:
    """Return the graph with every product of activations and a weight matrix in int8; unchanged if there is none.

    Embeddings, attention's own products, LayerNorms, products with few columns, such as the head's, and a Gemm that is
    done once per text stay in fp32. ``model`` itself is not changed. ``file`` is where the new graph is going to be
    saved, in the folder of ``model``: weights beside ``model`` are read from there one by one, and the int8 weights of
    such a model are written beside ``file``. Weights that are not quantised stay where they are, for both graphs.
    """
    products = _products(model.graph)
    if any(node.op_type == "Gemm" for node in map(model.graph.node.__getitem__, products)):
        try:
            shapes = measure(model)
        except Exception:  # onnxruntime can raise any type
            shapes = None
        products = {
            i: each for i, each in products.items() if _is_of_every_token(model.graph, model.graph.node[i], shapes)
        }
    if not products:
        return GraphRewrite(model, False, "unchanged: no product with a large constant matrix")
    beside = file is not None and any(map(is_beside, model.graph.initializer))
    writer = GraphWriter(model, "int8", {_DOMAIN: 1}, DataFile(file) if file is not None and beside else None)
    quantiser = _Quantiser(writer, _opset(model), None if file is None else file.parent)
    for i, node in enumerate(model.graph.node):
        if i in products:
            quantiser.add_product(products[i], node.output[0])
        else:
            writer.copy(node)
    return GraphRewrite(writer.finish(), True, QUANTIZED)


def _products(graph: onnx.GraphProto) -> dict[int, _Product]:
    """Return, by the index of its node, each product whose right input is a weight matrix."""
    matrices = {
        tensor.name: tensor
        for tensor in graph.initializer
        if len(tensor.dims) == 2 and tensor.data_type == onnx.TensorProto.FLOAT
    }
    # A weight that several layers share, or that is stored once for equal weights, is read through an Identity.
    names = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    found = {}
    for i, node in enumerate(graph.node):
        weight = matrices.get(names.get(node.input[1], node.input[1])) if len(node.input) > 1 else None
        if weight is not None and (product := _product(node, weight)) is not None and product.columns >= _FEWEST:
            found[i] = product
    return found


def _product(node: onnx.NodeProto, weight: onnx.TensorProto) -> _Product | None:
    """Return a node as a product with a weight; None if it is another one."""
    if node.op_type == "MatMul":
        return _Product(node.input[0], weight)
    # What torch makes of Conv1D, GPT-2's linear layer, and of a linear layer after a reshape of all tokens to rows.
    scaled = any(attribute(node, name, 1.0) != 1.0 for name in ("alpha", "beta"))
    if node.op_type != "Gemm" or scaled or attribute(node, "transA", 0):
        return None
    bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
    return _Product(node.input[0], weight, bool(attribute(node, "transB", 0)), bias)


def _is_of_every_token(graph: onnx.GraphProto, node: onnx.NodeProto, shapes: Shapes | None) -> bool:
    """Return whether a product is no Gemm, or a Gemm with a row for each token, and not for each text as a head's."""
    if node.op_type != "Gemm":
        return True
    tokens = None if shapes is None else tuple(map(prod, shapes.dimensions[graph.input[0].name]))
    return shapes is not None and shapes.rank(node.input[0]) == 2 and shapes.before(node.input[0], 1) == tokens


class _Quantiser:
    """Writes products in int8; a weight that several products share is quantised and stored once."""

    def __init__(self, writer: GraphWriter, opset: int, folder: Path | None) -> None:
        self._writer = writer
        self._opset = opset
        self._folder = folder
        self._made: dict[tuple[str, bool], tuple[str, str, str]] = {}

    def add_product(self, product: _Product, output: str) -> None:
        quantised, scale = self._add_activations(product.left)
        weight, columns, zeros = self._weight(product)
        one, zero = self._writer.constant(np.float32(1), "one"), self._writer.constant(np.uint8(_ZERO), "zero")
        inputs = [quantised, weight, one, columns, zero, zeros]
        found = self._writer.add("MatMulIntegerToFloat", inputs, output, domain=_DOMAIN)
        if product.bias is None:
            self._writer.add("Mul", [found, scale], output, output)
        else:
            self._writer.add("Add", [self._writer.add("Mul", [found, scale], output), product.bias], output, output)

    def _weight(self, product: _Product) -> tuple[str, str, str]:
        """Return the names of a product's int8 weight, of the scales of its columns and of their zero points."""
        name, key = product.weight.name, (product.weight.name, product.transposed)
        if key not in self._made:
            values: NDArray[np.float32] = values_of(product.weight, self._folder)
            values = values.T if product.transposed else values
            columns = np.abs(values).max(axis=0) / _WEIGHT
            columns = np.maximum(columns, np.finfo(np.float32).tiny).astype(np.float32)
            self._made[key] = (
                self._writer.constant(np.rint(values / columns).astype(np.int8), name),
                self._writer.constant(columns, name),
                self._writer.constant(np.zeros(len(columns), np.int8), "zeros"),
            )
        return self._made[key]

    def _add_activations(self, x: str) -> tuple[str, str]:
        """Return the names of ``x`` [..., K] in uint8 and of its scales [..., 1]; all readers of ``x`` share them."""
        writer = self._writer
        size = writer.add("Abs", [x], x)
        if self._opset >= 18:
            largest = writer.add("ReduceMax", [size, writer.constant(np.array([-1]), "last")], x, keepdims=1)
        else:
            largest = writer.add("ReduceMax", [size], x, axes=[-1], keepdims=1)
        largest = writer.add("Max", [largest, writer.constant(np.float32(1e-30), "least")], x)
        steps = writer.add("Div", [writer.constant(np.float32(_ACTIVATION), "most"), largest], x)
        scaled = writer.add("Mul", [x, steps], x)
        one, zero = writer.constant(np.float32(1), "one"), writer.constant(np.uint8(_ZERO), "zero")
        quantised = writer.add("QuantizeLinear", [scaled, one, zero], x)
        return quantised, writer.add("Mul", [largest, writer.constant(np.float32(1 / _ACTIVATION), "step")], x)


def _opset(model: onnx.ModelProto) -> int:
    return next(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))
