"""Count the weights in a model's graph that every token is multiplied with."""

from math import prod

import onnx

from exporter.graph.shapes import measure
from exporter.graph.writer import captured


def count_token_parameters(model: onnx.ModelProto) -> int | None:
    """Return the number of weights that each token is multiplied with, or None if no such weight can be found.

    The count has the elements of each weight matrix ``[n, m]`` that is the right input of a MatMul or Gemm whose left
    input has a row for every token. A matrix that layers share counts once per layer. Embeddings, LayerNorms, biases,
    attention's own products (their number grows with the text) and products done once per text don't count. Twice
    this number is a token's floating-point operations (Kaplan et al. 2020, "Scaling laws for neural language models",
    section 2.1). Call this on the graph as converted, before it is rewritten. The weights are not read, so external
    data need not be loaded.
    """
    try:
        shapes = measure(model)
    except Exception:  # onnxruntime can raise any type
        return None
    graph = model.graph
    tokens = tuple(prod(shape) for shape in shapes.dimensions[graph.input[0].name])
    constant = {tensor.name for tensor in graph.initializer}
    count = 0
    for node in graph.node:
        # A node that reads only weights gives a weight too: transposed, cast or scaled before it is used.
        read = [name for name in (*node.input, *captured(node)) if name]
        if node.op_type == "Constant" or (read and constant.issuperset(read)):
            constant.update(node.output)
        elif node.op_type in ("MatMul", "Gemm") and node.input[1] in constant and shapes.rank(node.input[1]) == 2:
            rank = shapes.rank(node.input[0])
            if rank is not None and shapes.before(node.input[0], rank - 1) == tokens:
                count += prod(shapes.dimensions[node.input[1]][0])
    return count or None
