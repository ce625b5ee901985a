"""count_token_parameters(): the weights that a model multiplies every token with, from its graph."""

from math import prod

import onnx

from exporter.graph.shapes import measure
from exporter.graph.writer import captured


def count_token_parameters(model: onnx.ModelProto) -> int | None:
    """Return how many weights each token is multiplied with, or None if the graph does not tell.

    They are the elements of the matrices ``[n, m]`` of weights on the right of a MatMul or Gemm whose left side has a
    row for every token, once for each product, so a matrix that layers share counts once a layer. Embeddings, norms,
    biases, attention's own products (their number grows with the text) and what is done once a text don't count.
    Twice this number is the floating-point operations of a token (Kaplan et al. 2020, "Scaling laws for neural
    language models", section 2.1). Meant for the graph as it was converted, before work is taken out of it. The
    weights are not looked at: external data need not be loaded.
    """
    try:
        shapes = measure(model)
    except Exception:  # onnxruntime's, of any type
        return None
    graph = model.graph
    tokens = tuple(prod(shape) for shape in shapes.dimensions[graph.input[0].name])
    constant = {tensor.name for tensor in graph.initializer}
    count = 0
    for node in graph.node:
        # A Constant, or what is made of weights alone: transposed, cast or scaled before it is used.
        read = [name for name in (*node.input, *captured(node)) if name]
        if node.op_type == "Constant" or (read and constant.issuperset(read)):
            constant.update(node.output)
        elif node.op_type in ("MatMul", "Gemm") and node.input[1] in constant and shapes.rank(node.input[1]) == 2:
            rank = shapes.rank(node.input[0])
            if rank is not None and shapes.before(node.input[0], rank - 1) == tokens:
                count += prod(shapes.dimensions[node.input[1]][0])
    return count or None
