"""Measure the shape of every tensor of a graph by running it at two batch sizes and lengths, with zeros for weights.

ONNX's shape inference is no substitute: it gives up at a Reshape or an Expand to a computed shape, and attention has
many of them.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

# (rows, tokens) of each run. They are primes so that a product of dimensions shows its factors; no other dimension of
# a graph is 7 in the first run and 11 in the second.
_SIZES = ((3, 7), (5, 11))
_LARGE = 1024  # elements; an initializer of this size or more is a weight, and no shape depends on its values


@dataclass(frozen=True)
class Shapes:
    """The dimensions of every tensor in each run, and the values of int64 vectors, most of which are shapes."""

    dimensions: dict[str, tuple[tuple[int, ...], ...]]
    vectors: dict[str, tuple[tuple[int, ...], ...]]

    def rank(self, name: str) -> int | None:
        """Return the number of a tensor's axes; None if the number is unknown or differs between runs."""
        ranks = {len(shape) for shape in self.dimensions.get(name, ())}
        return ranks.pop() if len(ranks) == 1 else None

    def is_length(self, name: str, axis: int) -> bool:
        """Return whether an axis is as long as the batch's number of tokens in every run."""
        return self._along(name, axis) == tuple(tokens for _, tokens in _SIZES)

    def is_one(self, name: str, axis: int) -> bool:
        """Return whether an axis has length 1 in every run."""
        return self._along(name, axis) == (1,) * len(_SIZES)

    def before(self, name: str, axis: int) -> tuple[int, ...]:
        """Return the product of the dimensions before an axis, in each run."""
        return tuple(int(np.prod(shape[:axis])) for shape in self.dimensions[name])

    def _along(self, name: str, axis: int) -> tuple[int, ...]:
        rank = self.rank(name)
        return tuple(shape[axis] for shape in self.dimensions[name]) if rank is not None and 0 <= axis < rank else ()


def measure(model: onnx.ModelProto) -> Shapes:
    """Run the graph on batches of zeros and return the shapes of all its tensors outside subgraphs.

    The weights are neither read nor copied, so external data need not be loaded.

    Raises:
        Exception: onnxruntime can't run the graph; it can raise any type.
    """
    import onnxruntime as ort

    graph = model.graph
    weights = [tensor for tensor in graph.initializer if _is_weight(tensor)]
    kept = {tensor.name: tensor for tensor in graph.initializer if not _is_weight(tensor)}
    fed = {node.name: node.type.tensor_type.elem_type for node in graph.input}
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    bare.graph.name = graph.name
    bare.graph.node.extend(graph.node)
    bare.graph.input.extend(graph.input)
    bare.graph.input.extend(onnx.helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights)
    bare.graph.initializer.extend(kept.values())
    outputs = [name for node in graph.node for name in node.output if name]
    bare.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, so they need no log
    session = ort.InferenceSession(bare.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # np.zeros takes no memory until it is written to.
    zeros = {weight.name: np.zeros(weight.dims, _dtype(weight.data_type)) for weight in weights}
    found: dict[str, list[NDArray[np.generic]]] = {}
    for size in _SIZES:
        feeds = {name: np.full(size, name == "attention_mask", _dtype(kind)) for name, kind in fed.items()}
        for name, value in (feeds | zeros).items():
            found.setdefault(name, []).append(value)
        for name, value in zip(outputs, session.run(outputs, feeds | zeros), strict=True):
            found.setdefault(name, []).append(value)
    found |= {name: [onnx.numpy_helper.to_array(tensor)] * len(_SIZES) for name, tensor in kept.items()}
    dimensions = {name: tuple(value.shape for value in values) for name, values in found.items()}
    vectors = {
        name: tuple(tuple(value.tolist()) for value in values)
        for name, values in found.items()
        if values[0].ndim == 1 and values[0].dtype == np.int64
    }
    return Shapes(dimensions, vectors)


def _is_weight(tensor: onnx.TensorProto) -> bool:
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    return external or (tensor.data_type != onnx.TensorProto.INT64 and np.prod(tensor.dims) >= _LARGE)


def _dtype(element_type: int) -> np.dtype[np.generic]:
    return onnx.helper.tensor_dtype_to_np_dtype(element_type)
