"""quantize: a Gemm with a row for each token is a product and a bias, as in GPT-2 and OPT."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from exporter.fetch import fetch
from exporter.load import load
from exporter.routes.choose import choose
from exporter.routes.with_torch import TORCH
from tests.exporter.graph.test_quantize import int8, left_alone, weights_of
from tests.support import SOAK
from tests.support.graphs import Net, converted, ids, run
from tests.support.tiny_models import build, quiet

WEIGHT = np.random.default_rng(6).normal(size=(8, 5)).astype(np.float32)
BIAS = np.random.default_rng(7).normal(size=5).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.graph.quantize._FEWEST", 1)
        yield


def rows(*, transposed: bool = False, bias: bool = True, **attributes: Any) -> onnx.ModelProto:
    """Return a graph that looks up the tokens, reshapes them to rows, and multiplies these by a Gemm."""
    net = Net()
    lookup = net.constant(np.random.default_rng(8).normal(size=(50, 8)), np.float32)
    flat = net.add("Reshape", net.add("Gather", lookup, "input_ids"), net.constant([-1, 8]))
    weight = net.constant(WEIGHT.T if transposed else WEIGHT, np.float32)
    added = [net.constant(BIAS, np.float32)] if bias else []
    product = net.add("Gemm", flat, weight, *added, transB=int(transposed), **attributes)
    return net.model(net.add("Cast", product, to=TensorProto.DOUBLE))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_gemm_of_every_token_is_a_product_and_a_bias(transposed: bool, bias: bool) -> None:
    """As torch writes GPT-2's linear layers, and OPT's."""
    model = rows(transposed=transposed, bias=bias)
    small, feeds = int8(model), ids(3, 7)
    assert not [node for node in small.graph.node if node.op_type == "Gemm"]
    (wanted,), (found,) = run(model, feeds), run(small, feeds)
    assert found.shape == wanted.shape == (21, 5)
    assert 0 < np.abs(found - wanted).max() < 0.2
    ((weight, *_),) = weights_of(small)
    assert weight.shape == WEIGHT.shape


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"beta": 2.0}])
def test_a_scaled_gemm_is_left_alone(attributes: dict[str, float]) -> None:
    left_alone(rows(**attributes))


@pytest.mark.parametrize("route", ["optimum", pytest.param("torch", marks=SOAK)])
@quiet
def test_gpt2_is_in_int8(route: str, tmp_path: Path) -> None:
    if route == "optimum":
        if "optimum" not in [each.name for each in choose("auto", "gpt2")]:
            pytest.skip("optimum is not installed beside this transformers")
        _, _, model = converted("gpt2", tmp_path)
    else:
        classifier = load(fetch(build("gpt2", tmp_path / "model")))
        TORCH.convert(classifier.model, tmp_path / "model.onnx", ("input_ids", "attention_mask"))
        model = onnx.load(tmp_path / "model.onnx")
    small = int8(model)
    assert not [node for node in small.graph.node if node.op_type == "Gemm"]
    assert len(weights_of(small)) >= 8  # four a layer
