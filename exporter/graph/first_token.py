"""Compute a classifier's last layer for the first token ([CLS]) only, if its head reads no other; losses stay exact.

The head of a BERT classifier reads only the first token's hidden state. So the last layer's queries, attention output,
residuals, LayerNorms and feed-forward are needed for that token only; its keys and values are needed for all tokens.
No architecture and no tensor name is hard-coded: the rewrite goes backwards from the graph's outputs and finds, with
one rule per operator (rules.py), whether a tensor is needed whole or for the first token only.
"""

from dataclasses import dataclass, field

import onnx

from exporter.graph.rules import Axes, Context, attribute, first_token_axis, sums_over_tokens, through
from exporter.graph.shapes import measure
from exporter.graph.writer import GraphRewrite, GraphWriter, captured
from scorer.text import one_line

PRUNED = "last layer on the first token only"
_WHOLE = -1  # the tensor is needed whole; any other value is the axis on which only the first element is needed


def keep_first_token(model: onnx.ModelProto) -> GraphRewrite:
    """Return the graph with its last layer computed for the first token only, or unchanged if that is not possible.

    ``model`` itself is not changed. Its weights are not read, so external data need not be loaded.
    """
    try:
        context = Context.of(model.graph, measure(model))
    except Exception as error:  # onnxruntime can raise any type
        return GraphRewrite(model, False, f"unchanged: its shapes can't be measured ({one_line(error, 120)})")
    plan = _plan(model.graph, context)
    # A plan that cuts no attention saves no layer, at most a LayerNorm, and is not worth a rewrite.
    if not any(sums_over_tokens(model.graph.node[i], context) for i in plan.cut):
        return GraphRewrite(model, False, f"unchanged: {_why_not(plan)}")
    return GraphRewrite(_rewritten(model, plan, context), True, PRUNED)


@dataclass
class _Plan:
    """The plan of a rewrite: which part of each tensor is needed.

    ``need`` maps a tensor's name to the token axis of which only the first element is needed, or to ``_WHOLE``. ``cut``
    maps the index of each node whose output is needed for the first token only to the token axes of the node's inputs.
    ``heads`` counts the nodes that pick the first token.
    """

    need: dict[str, int] = field(default_factory=dict)
    cut: dict[int, Axes] = field(default_factory=dict)
    heads: int = 0
    stuck: list[str] = field(default_factory=list)  # operators without a rule, the nearest to the head first

    def ask(self, name: str, need: int) -> None:
        """Record which part of a tensor one reader needs; the tensor is needed whole if its readers' needs differ."""
        self.need[name] = need if self.need.get(name, need) == need else _WHOLE


def _plan(graph: onnx.GraphProto, context: Context) -> _Plan:
    """Plan the cuts in reverse node order: ONNX sorts nodes, so a tensor's readers are visited before its producer."""
    plan = _Plan()
    only_shape: set[str] = set()
    for output in graph.output:
        plan.ask(output.name, _WHOLE)
    for i, node in reversed(list(enumerate(graph.node))):
        needs = {plan.need.get(name, _WHOLE) for name in node.output if name in plan.need or name in only_shape}
        if not needs:
            continue
        need = needs.pop() if len(needs) == 1 else _WHOLE
        axes = None if need == _WHOLE else through(node, need, context)
        if axes is not None:
            plan.cut[i] = axes
        elif need != _WHOLE:
            plan.stuck.append(node.op_type)
        for name in node.output:
            plan.need[name] = _WHOLE if axes is None else need
        if axes is None and node.op_type == "Shape":
            only_shape.add(node.input[0])  # the shape can be computed without the whole tensor
            continue
        head = first_token_axis(node, context) if axes is None else None
        if head is not None:
            axes = (head, *(None for _ in node.input[1:]))
            plan.heads += 1
        for j, name in enumerate(node.input):
            axis = None if axes is None else axes[j]
            plan.ask(name, _WHOLE if axis is None else axis)
        for name in captured(node):
            plan.ask(name, _WHOLE)
    return plan


def _why_not(plan: _Plan) -> str:
    if not plan.heads:
        return "its head does not read the first token alone"
    if plan.stuck:
        return f"what its head reads of the first token comes from {plan.stuck[0]}, which may mix tokens"
    return "its head reads the first token, but other tokens of its last layer are read too"


def _rewritten(model: onnx.ModelProto, plan: _Plan, context: Context) -> onnx.ModelProto:
    """Return the graph in which each tensor that the plan shortens keeps its name and only the first token."""
    writer = GraphWriter(model, "first_token")
    nodes = model.graph.node
    cut = {name: plan.need[name] for i in plan.cut for name in nodes[i].output}
    for i, original in enumerate(nodes):
        if original.op_type == "Shape" and original.input[0] in cut:
            _add_shape_of_all(writer, original, cut[original.input[0]], context, model.graph.input[0].name)
            continue
        inputs = list(original.input)
        for j, axis in enumerate(plan.cut.get(i, ())):
            if axis is not None and cut.get(inputs[j]) != axis:
                inputs[j] = _slice(writer, inputs[j], 0, axis)
        if i in plan.cut and original.op_type in ("Reshape", "Expand"):
            targets, axis = context.shapes.vectors[inputs[1]], cut[original.output[0]]
            # A target shape with -1 for the tokens fits one token too; a measured length must become 1.
            if any(target[axis] != -1 for target in targets):
                inputs[1] = _replace(writer, inputs[1], axis, len(targets[0]), writer.constant([1]))
        writer.copy(original).input[:] = inputs
    return writer.finish(cut.__contains__)


def _add_shape_of_all(writer: GraphWriter, node: onnx.NodeProto, axis: int, context: Context, ids: str) -> None:
    """Make a cut tensor's Shape node give the full number of tokens, from which lengths and positions are computed."""
    start, output = attribute(node, "start", 0), node.output[0]
    index = axis - (start + (context.shapes.rank(node.input[0]) or 0) if start < 0 else start)
    length = len(context.shapes.vectors[output][0])
    shape = writer.copy(node)
    if 0 <= index < length:
        shape.output[0] = writer.name(output)
        tokens = _slice(writer, writer.add("Shape", [ids], ids), 1, 0)
        _replace(writer, shape.output[0], index, length, tokens, output)


def _slice(writer: GraphWriter, name: str, index: int, axis: int) -> str:
    """Add a Slice to one element on an axis, which then has length 1, and return the Slice's output name."""
    return writer.add("Slice", [name, *(writer.constant([each]) for each in (index, index + 1, axis))], name)


def _replace(writer: GraphWriter, vector: str, index: int, length: int, value: str, output: str | None = None) -> str:
    """Add a Where that replaces a vector's value at an index, and return the Where's output name."""
    here = writer.constant([i == index for i in range(length)])
    return writer.add("Where", [here, value, vector], vector, output)
