"""Graphs written by hand: what may come between attention and head, and what has to be left alone."""

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import TensorProto, helper

from exporter.graph.first_token import keep_first_token
from tests.support.graphs import EXACT, Net, difference, ids, run


def unchanged(model: onnx.ModelProto) -> str:
    rewrite = keep_first_token(model)
    assert rewrite.model is model
    assert not rewrite.applied
    assert rewrite.description.startswith("unchanged: ")
    return rewrite.description.removeprefix("unchanged: ")


def test_the_mean_of_all_tokens_is_left_alone() -> None:
    net = Net()
    assert unchanged(net.model(net.add("ReduceMean", net.attention(), net.constant([1])))) == (
        "its head does not read the first token alone"
    )


def test_the_last_token_is_left_alone() -> None:
    net = Net()
    assert unchanged(net.model(net.add("Gather", net.attention(), net.constant(-1), axis=1))) == (
        "its head does not read the first token alone"
    )


def test_a_head_that_reads_the_mean_too_is_left_alone() -> None:
    net = Net()
    hidden = net.attention()
    mean = net.add("ReduceMean", hidden, net.constant([1]), keepdims=0)
    first = net.add("Gather", hidden, net.constant(0), axis=1)
    assert unchanged(net.model(net.add("Add", first, mean))) == (
        "its head reads the first token, but other tokens of its last layer are read too"
    )


@pytest.mark.parametrize("operator", ["CumSum", "Softmax", "ReverseSequence"])
def test_what_mixes_tokens_is_left_alone(operator: str) -> None:
    net = Net()
    hidden = net.attention()
    if operator == "CumSum":
        mixed = net.add("CumSum", hidden, net.constant(1), reverse=1)
    elif operator == "Softmax":
        mixed = net.add("Softmax", hidden, axis=1)
    else:
        lengths = net.add("Expand", net.constant([2]), net.add("Shape", hidden, start=0, end=1))
        mixed = net.add("ReverseSequence", hidden, lengths, batch_axis=0, time_axis=1)
    assert unchanged(net.model(net.add("Gather", mixed, net.constant(0), axis=1))) == (
        f"what its head reads of the first token comes from {operator}, which may mix tokens"
    )


def test_a_graph_that_can_not_be_run_is_left_alone() -> None:
    net = Net()
    too_few = net.add("Gather", net.weight(5, 4), net.add("Shape", "input_ids", start=1))
    model = net.model(net.add("Add", net.attention(), too_few))
    assert unchanged(model).startswith("its shapes can't be measured (")


@pytest.mark.parametrize("ends", [1, 2])
def test_a_head_that_slices(ends: int) -> None:
    net = Net()
    bounds = [net.constant([value]) for value in (0, ends, 1, 1)]
    model = net.model(net.add("Slice", net.attention(), *bounds))
    rewrite = keep_first_token(model)
    assert rewrite.applied == (ends == 1)
    assert difference(run(rewrite.model, ids(3, 6)), run(model, ids(3, 6))) <= EXACT


def mix_batch(net: Net, x: str) -> str:
    return net.add("Add", x, net.add("ReduceMean", x, net.constant([0])))


def heads(net: Net, x: str) -> str:
    """Apart into two heads and together again, as attention does: the target of the second has the length in it."""
    shape = net.add("Shape", x)
    apart = net.add("Reshape", x, net.constant([0, 0, 2, 2]))
    apart = net.add("Tanh", net.add("Transpose", apart, perm=[0, 2, 1, 3]))
    return net.add("Reshape", net.add("Transpose", apart, perm=[0, 2, 1, 3]), shape)


def batch_by_heads(net: Net, x: str) -> str:
    """Batch and heads in one axis, as in DeBERTa."""
    count = net.add("Shape", x, start=1, end=2)
    apart = net.add("Reshape", x, net.add("Concat", net.constant([-1]), count, net.constant([2, 2]), axis=0))
    apart = net.add("Transpose", apart, perm=[0, 2, 1, 3])
    joined = net.add("Reshape", apart, net.add("Concat", net.constant([-1]), count, net.constant([2]), axis=0))
    apart = net.add(
        "Reshape", net.add("Neg", joined), net.add("Concat", net.constant([-1, 2]), count, net.constant([2]), axis=0)
    )
    back = net.add("Transpose", apart, perm=[0, 2, 1, 3])
    return net.add("Reshape", back, net.add("Concat", net.add("Shape", x, end=2), net.constant([4]), axis=0))


def by_length(net: Net, x: str) -> str:
    """Scale by the number of tokens, which is asked of the very tensor that is cut."""
    positive = net.add("Abs", x)
    return net.add("Mul", positive, net.add("Cast", net.add("Shape", positive, start=1, end=2), to=TensorProto.DOUBLE))


def by_lengths_from_the_end(net: Net, x: str) -> str:
    """Ask for the last two dimensions, of which one is the number of tokens."""
    positive = net.add("Abs", x)
    shape = net.add("Cast", net.add("Shape", positive, start=-2), to=TensorProto.DOUBLE)
    return net.add("Mul", positive, net.add("ReduceSum", shape, keepdims=1))


def by_length_of_another(net: Net, x: str) -> str:
    """Scale by the number of tokens of a tensor that is wanted for nothing else, and so stays whole."""
    count = net.add("Gather", net.add("Shape", net.add("Abs", x)), net.constant(1))
    return net.add("Mul", x, net.add("Cast", count, to=TensorProto.DOUBLE))


def expanded(net: Net, x: str) -> str:
    return net.add("Sub", x, net.add("Expand", net.weight(1, 1, 4), net.add("Shape", x)))


def picked(net: Net, x: str) -> str:
    """Look up by an index of the whole length, as relative positions do."""
    index = net.add("Expand", net.constant([[[3, 0, 2, 1]]]), net.add("Shape", x))
    return net.add("GatherElements", x, index, axis=-1)


def picked_across(net: Net, x: str) -> str:
    """Look up along the axis of tokens itself: all of them may be wanted."""
    whole = net.add("Cast", x, to=TensorProto.INT64)
    return net.add("GatherElements", x, net.add("Sub", net.add("Sub", whole, whole), net.constant(1)), axis=1)


def halves(net: Net, x: str) -> str:
    """Rotate the halves of the channels, as rotary positions do."""
    one, two = (net.add("Slice", x, *(net.constant([v]) for v in (start, start + 2, 2))) for start in (0, 2))
    return net.add("Concat", net.add("Neg", two), one, axis=2)


def position(net: Net, x: str) -> str:
    """Add an embedding of the position, a tensor with an axis of tokens that nothing else needs."""
    ones = net.add("Expand", net.constant(1, np.float64), net.add("Shape", x, start=1, end=2))
    row = net.add("CumSum", ones, net.constant(0))
    column = net.add("Unsqueeze", row, net.constant([1]))
    return net.add("Add", x, net.add("Unsqueeze", column, net.constant([0])))


def shifted(net: Net, x: str) -> str:
    """Move every token one place on: the last comes first."""
    last, end, rest = net.constant([-1]), net.constant([2**62]), net.constant([0])
    axis = net.constant([1])
    return net.add("Concat", net.add("Slice", x, last, end, axis), net.add("Slice", x, rest, last, axis), axis=1)


def looked_up(net: Net, x: str) -> str:
    """Take the last token for every one."""
    index = net.add("Expand", net.constant(-1), net.add("Shape", x, start=1, end=2))
    return net.add("Gather", x, index, axis=1)


def in_one_row(net: Net, x: str) -> str:
    """Batch and tokens in one axis: a text's first token is no longer the first."""
    return net.add("Reshape", net.add("Tanh", net.add("Reshape", x, net.constant([-1, 4]))), net.add("Shape", x))


def in_heaps(net: Net, x: str) -> str:
    """An axis as long as the tokens, but of other things: halves of channels, of two tokens side by side."""
    target = net.add("Concat", net.constant([-1]), net.add("Shape", x, start=1, end=2), net.constant([2]), axis=0)
    return net.add("Reshape", net.add("Tanh", net.add("Reshape", x, target)), net.add("Shape", x))


def turned(net: Net, x: str) -> str:
    """Put the last token first: a slice of all of them."""
    return net.add("Slice", x, *(net.constant([value]) for value in (-1, -(2**62), 1, -1)))


def in_a_branch(net: Net, x: str) -> str:
    """Read all tokens inside a subgraph, which has no inputs and takes what it finds."""
    branches = {}
    for branch, op, inputs in (
        ("then_branch", "ReduceMax", [x, net.constant([1])]),
        ("else_branch", "Identity", [x]),
    ):
        output = helper.make_tensor_value_info(f"{branch}_{net.add('Identity', x)}", TensorProto.DOUBLE, None)
        branches[branch] = helper.make_graph([helper.make_node(op, inputs, [output.name])], branch, [], [output])
    return net.add("Add", x, net.add("If", net.constant(True, np.bool_), **branches))


def mean_apart(net: Net, x: str) -> str:
    """As ``mean``, by an axis that goes and comes back; there is no rule for it, as no classifier does it."""
    gone = net.add("ReduceMean", x, net.constant([2]), keepdims=0)
    return net.add("Sub", x, net.add("Unsqueeze", gone, net.constant([2])))


def longest(net: Net, x: str) -> str:
    """The largest of all tokens: not of the first token alone."""
    return net.add("Add", x, net.add("ReduceMax", x, net.constant([1])))


def split(net: Net, x: str, axis: int = 2, parts: int = 2) -> list[str]:
    names = [f"{net.add('Identity', x)}_{part}" for part in range(parts)]
    net.nodes.append(helper.make_node("Split", [x], names, axis=axis, num_outputs=parts))
    return names


def gated(net: Net, x: str) -> str:
    """Multiply the halves of the channels, as ModernBERT's feed-forward does by torch's route."""
    return net.add("Concat", net.add("Mul", *split(net, x)), x, axis=2)


STEPS: dict[str, Callable[[Net, str], str]] = {
    "batch_by_heads": batch_by_heads,
    "by_length": by_length,
    "by_length_of_another": by_length_of_another,
    "by_lengths_from_the_end": by_lengths_from_the_end,
    "clip": lambda net, x: net.add("Clip", x, net.constant(-1, np.float64), net.constant(1, np.float64)),
    "expanded": expanded,
    "gathered": lambda net, x: net.add("Gather", x, net.constant([3, 1, 1, 0]), axis=2),
    "gated": lambda net, x: net.add("MatMul", gated(net, x), net.weight(6, 4)),
    "gelu": lambda net, x: net.add("Mul", x, net.add("Sigmoid", net.add("Div", x, net.constant(0.6, np.float64)))),
    "halves": halves,
    "heads": heads,
    "in_a_branch": in_a_branch,
    "in_heaps": in_heaps,
    "in_one_row": in_one_row,
    "layer_norm": lambda net, x: net.add("LayerNormalization", x, net.weight(4), net.weight(4), axis=-1),
    "layer_norm_over_two": lambda net, x: net.add("Add", x, net.add("ReduceMean", x, net.constant([1, 2]))),
    "linear": lambda net, x: net.add("Add", net.weight(4), net.add("MatMul", x, net.weight(4, 4))),
    "longest": longest,
    "looked_up": looked_up,
    "mean": lambda net, x: net.add("Sub", x, net.add("ReduceMean", x, net.constant([-1]))),
    "mean_apart": mean_apart,
    "mix_batch": mix_batch,
    "picked": picked,
    "picked_across": picked_across,
    "position": position,
    "shifted": shifted,
    "split_tokens": lambda net, x: split(net, x, 1, 1)[0],
    "softmax": lambda net, x: net.add("Softmax", x, axis=2),
    "turned": turned,
    "where": lambda net, x: net.add("Where", net.add("Less", x, net.weight(1)), x, net.weight(1, 1, 4)),
}
NEED_ALL = {
    "by_length_of_another",
    "in_a_branch",
    "in_heaps",
    "in_one_row",
    "layer_norm_over_two",
    "longest",
    "looked_up",
    "mean_apart",
    "picked_across",
    "shifted",
    "split_tokens",
    "turned",
}


def check(steps: list[str], rows: int, tokens: int) -> None:
    """Put steps between an attention and the head, and compare the rewritten graph with the graph."""
    net = Net()
    hidden = net.attention()
    for step in steps:
        hidden = STEPS[step](net, hidden)
    model = net.model(net.add("Gather", hidden, net.constant(0), axis=1))
    rewrite = keep_first_token(model)
    assert rewrite.applied == (not NEED_ALL.intersection(steps))
    onnx.checker.check_model(rewrite.model, full_check=True)
    (found,), (wanted,) = run(rewrite.model, ids(rows, tokens)), run(model, ids(rows, tokens))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", STEPS)
def test_what_comes_between_the_attention_and_the_head(step: str) -> None:
    check([step], 3, 8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=5), st.integers(1, 3), st.integers(1, 9))
def test_whatever_comes_between_them(steps: list[str], rows: int, tokens: int) -> None:
    check(steps, rows, tokens)


def test_scores_the_other_way_round() -> None:
    """Keys by queries: the queries are the columns, and no column alone is taken of a product."""
    net = Net()
    hidden = net.add("Gather", net.weight(50, 4), "input_ids")
    queries, keys = (net.add("MatMul", hidden, net.weight(4, 4)) for _ in range(2))
    scores = net.add("MatMul", keys, net.add("Transpose", queries, perm=[0, 2, 1]))
    shares = net.add("Softmax", net.add("Transpose", scores, perm=[0, 2, 1]), axis=-1)
    model = net.model(net.add("Gather", net.add("MatMul", shares, hidden), net.constant(0), axis=1))
    rewrite = keep_first_token(model)
    assert rewrite.applied
    assert difference(run(rewrite.model, ids(3, 6)), run(model, ids(3, 6))) <= EXACT
