"""Keys and values that are folded into their one query, and those that are not what they seem."""

import numpy as np
import pytest

from exporter.graph.first_token import keep_first_token
from exporter.graph.fold import fold_keys_and_values
from tests.support.graphs import Net, ids, run

# What is odd about an attention: whether its keys and its values are folded all the same.
ODD = {
    "nothing": (True, True),
    "keys bent": (False, True),
    "keys read twice": (False, True),
    "keys' sums read twice": (False, True),
    "values' products read twice": (True, False),
    "heads in every channel": (False, False),
    "texts in one row": (False, False),
    "shares scaled": (True, False),
    "values read twice": (True, False),
}


class Attention(Net):
    """Two heads, three channels wide, of hidden states [b, t, 4]."""

    def __init__(self, odd: str, *, bias: bool, scale: str | None) -> None:
        super().__init__()
        self._odd, self._bias, self._scale = odd, bias, scale
        self._hidden = self.add("Gather", self.weight(50, 4), "input_ids")

    def part(self, name: str, *perms: list[int]) -> str:
        """Project, take the heads apart and transpose."""
        rows = (
            self.add("Reshape", self._hidden, self.constant([-1, 4])) if self._is("texts in one row") else self._hidden
        )
        product = y = self.add("MatMul", rows, self.weight(4, 6))
        total = y = self.add("Add", self.weight(6), y) if self._bias else y
        y = self.add("Tanh", y) if self._is(f"{name} bent") else y
        apart = self.constant([3, 2] if self._is("heads in every channel") else [2, 3])
        y = self.add("Reshape", y, self.add("Concat", self.add("Shape", "input_ids"), apart, axis=0))
        for perm in perms:
            y = self.add("Transpose", y, perm=perm)
        if self._scale and name != "queries":
            y = self.add(self._scale, y, self.constant([1.7], np.float64))
        for what, read in (("", y), ("' products", product), ("' sums", total)):
            if self._is(f"{name}{what} read twice"):
                self.also = self.add("ReduceMax", read, keepdims=0)
        return y

    def logits(self, *, twice: bool) -> str:
        """Attend, with one transposition of the keys or with two, and take the first token."""
        apart = [0, 3, 1, 2] if self._is("heads in every channel") else [0, 2, 1, 3]
        across = [apart, [0, 1, 3, 2]] if twice else [[apart[0], apart[1], apart[3], apart[2]]]
        self.also = self.constant(0, np.float64)
        scores = self.add("MatMul", self.part("queries", apart), self.part("keys", *across))
        shares = self.add("Softmax", scores, axis=-1)
        shares = self.add("Mul", shares, self.constant(0.5, np.float64)) if self._is("shares scaled") else shares
        context = self.add("Transpose", self.add("MatMul", shares, self.part("values", apart)), perm=[0, 2, 1, 3])
        together = self.add("Reshape", context, self.constant([0, 0, 6]))
        return self.add("Add", self.add("Gather", together, self.constant(0), axis=1), self.also)

    def _is(self, odd: str) -> bool:
        return self._odd == odd


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("scale", [None, "Mul", "Div"])
@pytest.mark.parametrize("odd", ODD)
def test_which_keys_and_values_are_folded(odd: str, bias: bool, twice: bool, scale: str | None) -> None:
    attention = Attention(odd, bias=bias, scale=scale)
    model = attention.model(attention.logits(twice=twice))
    first = keep_first_token(model)
    assert first.applied
    folded = fold_keys_and_values(first.model)
    assert folded.applied == any(ODD[odd])
    matrices = {tuple(tensor.dims) for tensor in folded.model.graph.initializer}
    assert ((2, 3, 4) in matrices, (2, 4, 3) in matrices) == ODD[odd]
    for rows, tokens in ((1, 1), (3, 1), (2, 6)):
        (found,), (wanted,) = run(folded.model, ids(rows, tokens)), run(model, ids(rows, tokens))
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_graph_that_can_not_be_run_is_left_alone() -> None:
    net = Net()
    model = net.model(net.add("Gather", net.weight(5, 4), net.add("Shape", "input_ids", start=1)))
    rewrite = fold_keys_and_values(model)
    assert rewrite.model is model
    assert rewrite.description.startswith("unchanged: its shapes can't be measured (")
