"""Weights in a file beside their graph: a graph itself can't hold 2 GB, and one of 1 GB is slow to copy.

Only large weights lie there. Small tensors, such as shapes, stay in the graph, because the rewrites read them.
"""

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LARGEST = 1_000_000_000  # bytes of weights that a graph holds itself
SMALL = 1_000_000  # bytes; smaller tensors always stay in the graph
_PAGE = 4096  # bytes; onnxruntime maps weights that start at one instead of reading them


class DataFile:
    """A file of weights beside a graph, to which weights are appended."""

    def __init__(self, graph: Path) -> None:
        self.path = data_of(graph)

    def add(self, array: NDArray[Any], name: str) -> TensorProto:
        """Append an array and return the tensor that points to it."""
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        with self.path.open("ab") as stream:
            stream.write(bytes(-stream.tell() % _PAGE))
            _point(tensor, self.path.name, stream.tell(), array.nbytes)
            stream.write(np.ascontiguousarray(array).data)
        return tensor


def data_of(graph: Path) -> Path:
    """Return the path of the file of weights beside a graph."""
    return graph.with_name(f"{graph.name}.data")


def is_beside(tensor: TensorProto) -> bool:
    """Return whether a tensor's values are in a file beside the graph."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model: weights, and the attributes of nodes, of subgraphs and functions too."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def values_of(tensor: TensorProto, folder: Path | None) -> NDArray[Any]:
    """Return a tensor's values, read from the graph's folder if they are beside the graph.

    Raises:
        ValueError: they are beside the graph and no folder is given.
    """
    if not is_beside(tensor):
        return numpy_helper.to_array(tensor)
    if folder is None:
        raise ValueError(f"the values of {tensor.name} are not in the graph")
    place = {each.key: each.value for each in tensor.external_data}
    found = np.fromfile(
        folder / place["location"],
        helper.tensor_dtype_to_np_dtype(tensor.data_type),
        prod(tensor.dims),
        offset=int(place.get("offset", 0)),
    )
    return found.reshape(tensor.dims)


def settle(made: Path, file: Path) -> None:
    """Move a graph that a library wrote to ``file``, with its large weights in ``DataFile(file)`` or in the graph.

    They are beside the graph if they were, in any number of files, or if they have more than ``LARGEST`` bytes. Both
    paths must be on one file system.
    """
    model = onnx.load(made, load_external_data=False)
    if sum(map(_bytes, tensors(model))) <= LARGEST and not any(map(is_beside, tensors(model))):
        made.replace(file)
        return
    _constants_to_weights(model.graph)
    large = [tensor for tensor in model.graph.initializer if _bytes(tensor) >= SMALL]
    names = {tensor.name for tensor in large}
    for tensor in tensors(model):
        if is_beside(tensor) and tensor.name not in names:
            _load(tensor, made.parent)
    places = {each.value for tensor in large for each in tensor.external_data if each.key == "location"}
    data = DataFile(file)
    if len(places) == 1 and all(map(is_beside, large)):
        (made.parent / places.pop()).replace(data.path)
        for tensor in large:
            next(each for each in tensor.external_data if each.key == "location").value = data.path.name
    else:
        for tensor in large:
            tensor.CopyFrom(data.add(values_of(tensor, made.parent), tensor.name))
    onnx.save(model, file)


def _constants_to_weights(graph: onnx.GraphProto) -> None:
    """Make each large tensor of a Constant node an initializer: only an initializer can be beside the graph."""
    for i in reversed(range(len(graph.node))):
        node = graph.node[i]
        if node.op_type == "Constant" and node.attribute[0].HasField("t") and _bytes(node.attribute[0].t) >= SMALL:
            graph.initializer.add().CopyFrom(node.attribute[0].t)
            graph.initializer[-1].name = node.output[0]
            del graph.node[i]


def _load(tensor: TensorProto, folder: Path) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values_of(tensor, folder), tensor.name))


def _point(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _bytes(tensor: TensorProto) -> int:
    held: int = prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return held


def _of_graph(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    yield from (part for each in graph.sparse_initializer for part in (each.values, each.indices))
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    """Yield the tensors that are attributes of nodes, of those in subgraphs too."""
    for node in nodes:
        for each in node.attribute:
            if each.HasField("t"):
                yield each.t
            yield from each.tensors
            for inner in (*each.graphs, *((each.g,) if each.HasField("g") else ())):
                yield from _of_graph(inner)
