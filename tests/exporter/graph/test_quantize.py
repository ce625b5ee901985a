"""quantize: near fp32 for every architecture, nothing of a row depends on another, and no CPU can overflow."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporter.graph import beside
from exporter.graph.beside import is_beside
from exporter.graph.first_token import keep_first_token
from exporter.graph.fold import fold_keys_and_values
from exporter.graph.quantize import QUANTIZED, quantize
from exporter.graph.writer import GraphRewrite
from tests.support.graphs import batch, converted, difference, opened, run
from tests.support.tiny_models import POSITIONS

KINDS = ("albert", "bert", "deberta-v3", "distilbert", "electra", "modernbert", "mpnet", "roberta")
# Logits are about 1 apart; 32 channels average out less of the rounding than a real model's 384. Measured: at most
# 0.23, and 0.048 on average over a batch.
FAR, FAR_ON_AVERAGE = 0.4, 0.08
ROUNDING = 1e-5  # batch mates change the order of fp32's sums; measured: 1e-6
Floats = NDArray[np.float32]
Exported = Callable[[str], tuple[onnx.ModelProto, int]]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Count the products of small models and of those made by hand as large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.graph.quantize._FEWEST", 1)
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give a tiny model's graph, as an export has it before its int8 variant is made, and its pad id."""

    @cache
    def make(kind: str) -> tuple[onnx.ModelProto, int]:
        _, pad_id, plain = converted(kind, tmp_path_factory.mktemp(kind))
        return fold_keys_and_values(keep_first_token(plain).model).model, pad_id

    return make


def graph(nodes: list[onnx.NodeProto], weights: dict[str, Any], channels: int, opset: int = 18) -> onnx.ModelProto:
    """Return a graph of ``x`` [b, t, channels] to ``y``."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "t", channels])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()]
    made = helper.make_graph(nodes, "hand", [x], [y], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def product(weight: Floats, opset: int = 18) -> onnx.ModelProto:
    """Return a graph that is one product and nothing else."""
    return graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, len(weight), opset)


def int8(model: onnx.ModelProto) -> onnx.ModelProto:
    rewrite = quantize(model)
    assert rewrite.applied
    assert rewrite.description == QUANTIZED
    return rewrite.model


def weights_of(model: onnx.ModelProto) -> list[tuple[NDArray[np.int8], Floats, int, NDArray[np.int8]]]:
    """Return each int8 product's weights, their scales and the zero points of activations and weights."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
    found = []
    for node in nodes:
        weight, one, scale, zero, zeros = (stored[name] for name in node.input[1:6])
        assert one == 1
        found.append((weight, scale, zero.item(), zeros))
    return found


class TestModels:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_logits_are_near_fp32s(self, exported: Exported, kind: str) -> None:
        model, pad_id = exported(kind)
        plain, small = opened(model), opened(int8(model))
        for tokens in (1, 17, POSITIONS):
            feeds = batch(tokens, pad_id)
            (wanted,), (found,) = run(plain, feeds), run(small, feeds)
            assert tokens == 1 or np.ptp(wanted, axis=0).min() > 0.1  # rows that are told apart
            assert difference([found], [wanted]) < FAR
            assert tokens == 1 or np.abs(found - wanted).mean() < FAR_ON_AVERAGE

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_rows_logits_are_the_same_in_any_batch(self, exported: Exported, kind: str) -> None:
        model, pad_id = exported(kind)
        small, feeds = opened(int8(model)), batch(33, pad_id)
        (together,) = run(small, feeds)
        for row in (0, 1, 16, 31, 32):
            alone = {name: values[row : row + 1, : 33 - row] for name, values in feeds.items()}
            assert difference(run(small, alone), [together[row : row + 1]]) <= ROUNDING

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_product_of_the_layers_is_in_int8_and_can_not_overflow(self, exported: Exported, kind: str) -> None:
        model, _ = exported(kind)
        small = int8(model)
        constant = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
        constant |= {
            each.output[0] for each in model.graph.node if each.op_type == "Identity" and each.input[0] in constant
        }
        before = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constant]
        found = weights_of(small)
        assert len(found) == len(before) >= 9
        assert not [node for node in small.graph.node if node.op_type == "MatMul" and node.input[1] in constant]
        for weight, scale, zero, zeros in found:
            assert weight.dtype == zeros.dtype == np.int8
            assert (zero, np.abs(zeros).max()) == (128, 0)
            assert np.abs(weight.astype(int)).max(axis=0).tolist() == [63] * weight.shape[1]
            assert (scale > 0).all()
            # AVX2 without VNNI adds two products of uint8 and int8 in 16 bits.
            assert 2 * 255 * int(np.abs(weight.astype(int)).max()) < 2**15

    def test_the_graph_is_valid_and_has_nothing_idle(self, exported: Exported) -> None:
        model, _ = exported("bert")
        small = int8(model)
        onnx.checker.check_model(small)
        assert {each.domain for each in small.opset_import} == {"", "com.microsoft"}
        assert list(small.graph.input) == list(model.graph.input)
        assert list(small.graph.output) == list(model.graph.output)
        read = {name for node in small.graph.node for name in node.input}
        assert {tensor.name for tensor in small.graph.initializer} <= read
        # Queries, keys and values read one tensor: its scales are computed once.
        counts = [sum(node.op_type == op for node in small.graph.node) for op in ("QuantizeLinear", "ReduceMax")]
        assert counts[0] == counts[1] < len(weights_of(small))

    def test_the_model_that_is_given_is_not_changed(self, exported: Exported) -> None:
        model, _ = exported("distilbert")
        before = model.SerializeToString()
        assert quantize(model).model is not model
        assert model.SerializeToString() == before

    def test_a_second_time_changes_nothing(self, exported: Exported) -> None:
        small = int8(exported("distilbert")[0])
        assert quantize(small).model is small

    def test_weights_beside_the_graph_are_read_and_written_there(
        self, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(beside, "SMALL", 1_000)
        outside = {"save_as_external_data": True, "location": "weights", "size_threshold": 1_000}
        model, pad_id = exported("albert")
        onnx.save(onnx.load_model_from_string(model.SerializeToString()), tmp_path / "model.onnx", **outside)
        file = tmp_path / "small.onnx"
        small = quantize(onnx.load(tmp_path / "model.onnx", load_external_data=False), file)
        assert small.applied
        onnx.save(small.model, file)
        stored = [t for t in small.model.graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 2]
        assert all(map(is_beside, (tensor for tensor in stored if np.prod(tensor.dims) >= 1_000)))
        # The layers are the same one, whose weights are there once.
        assert (tmp_path / "small.onnx.data").stat().st_size <= 4096 * len(stored)
        feeds = batch(17, pad_id)
        assert difference(run(file, feeds), run(int8(model), feeds)) == 0

    def test_a_shared_weight_is_stored_once(self, exported: Exported) -> None:
        small = int8(exported("albert")[0])  # both layers are the same one
        assert len({weight.tobytes() for weight, *_ in weights_of(small)}) < len(weights_of(small))
        stored = [tensor.raw_data for tensor in small.graph.initializer if tensor.data_type == TensorProto.INT8]
        assert len(stored) == len(set(stored))


FLOATS = st.floats(-100, 100, width=32).map(lambda value: value if abs(value) > 1e-3 else 0.0)


class TestProducts:
    @settings(max_examples=80, deadline=None)
    @given(st.data(), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
    def test_the_error_is_at_most_half_a_step_of_each_factor(
        self, data: st.DataObject, channels: int, columns: int, tokens: int
    ) -> None:
        def draw(rows: int, width: int) -> Floats:
            values = data.draw(st.lists(FLOATS, min_size=rows * width, max_size=rows * width))
            return np.array(values, np.float32).reshape(rows, width)

        x, weight = draw(tokens, channels), draw(channels, columns)
        (found,) = run(int8(product(weight)), {"x": x[None]})
        a = np.abs(x).max(axis=1, keepdims=True) / 127
        b = np.abs(weight).max(axis=0, keepdims=True) / 63
        sizes = np.abs(x) @ np.ones_like(weight) * b / 2 + np.ones_like(x) @ np.abs(weight) * a / 2
        bound = sizes + channels * a * b / 4
        assert (np.abs(found[0] - x.astype(np.float64) @ weight) <= bound * 1.0001 + 1e-30).all()

    @pytest.mark.parametrize("opset", [13, 17, 18, 20])
    def test_what_has_an_exact_form_is_exact(self, opset: int) -> None:
        """Whole numbers with 127 in every row and 63 in every column: the largest sums, with nothing to round."""
        random = np.random.default_rng(0)
        x = random.integers(-127, 128, size=(2, 3, 64)).astype(np.float32)
        weight = random.integers(-63, 64, size=(64, 33)).astype(np.float32)
        x[..., 0], x[0, 0], weight[0], weight[:, 0] = 127, 127, 63, 63
        (found,) = run(int8(product(weight, opset)), {"x": x})
        np.testing.assert_allclose(found, x @ weight, rtol=1e-6)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(-30, 30), min_size=6, max_size=6))
    def test_a_token_has_a_scale_of_its_own(self, powers: list[int]) -> None:
        """A power of two moves a token's products by just that, and no other token's."""
        random = np.random.default_rng(1)
        x, weight = random.normal(size=(2, 3, 32)), random.normal(size=(32, 8)).astype(np.float32)
        model = int8(product(weight))
        by = np.exp2(np.array(powers)).reshape(2, 3, 1)
        (plain,) = run(model, {"x": x.astype(np.float32)})
        (scaled,) = run(model, {"x": (x * by).astype(np.float32)})
        np.testing.assert_array_equal(scaled, (plain * by).astype(np.float32))

    @pytest.mark.parametrize("channels", [1, 15, 16, 33])
    @pytest.mark.parametrize("opset", [17, 18])
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_stays_so_and_spoils_no_other_token(self, channels: int, opset: int, bad: float) -> None:
        random = np.random.default_rng(2)
        x = random.normal(size=(2, 3, channels)).astype(np.float32)
        model = int8(product(random.normal(size=(channels, 5)).astype(np.float32), opset))
        (clean,) = run(model, {"x": x})
        x[0, 1] = bad
        (found,) = run(model, {"x": x})
        assert not np.isfinite(found[0, 1]).any()
        clean[0, 1] = found[0, 1] = 0
        np.testing.assert_array_equal(found, clean)

    def test_zeros_stay_zeros(self) -> None:
        weight = np.random.default_rng(3).normal(size=(8, 4)).astype(np.float32)
        weight[:, 1] = 0
        x = np.ones((1, 2, 8), np.float32)
        x[0, 1] = 0
        (found,) = run(int8(product(weight)), {"x": x})
        assert found[0, 1].tolist() == [0.0] * 4
        assert found[0, 0, 1] == 0
        assert found[0, 0, [0, 2, 3]].all()


def left_alone(model: onnx.ModelProto) -> None:
    assert quantize(model) == GraphRewrite(model, False, "unchanged: no product with a large constant matrix")
    assert quantize(model).model is model


class TestChoice:
    def test_a_product_of_few_columns_such_as_a_heads_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("exporter.graph.quantize._FEWEST", 32)
        left_alone(product(np.ones((64, 31), np.float32)))
        int8(product(np.ones((8, 32), np.float32)))

    WEIGHT = np.random.default_rng(4).normal(size=(4, 4)).astype(np.float32)

    def test_products_of_two_activations_are_left_alone(self) -> None:
        transposed = helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1])
        left_alone(graph([transposed, helper.make_node("MatMul", ["x", "t"], ["y"])], {}, 4))

    def test_a_constant_on_the_left_is_left_alone(self) -> None:
        left_alone(graph([helper.make_node("MatMul", ["w", "x"], ["y"])], {"w": self.WEIGHT}, 4))

    @pytest.mark.parametrize("weight", [WEIGHT[None], WEIGHT[0], WEIGHT.astype(np.float64)])
    def test_other_constants_are_left_alone(self, weight: NDArray[Any]) -> None:
        left_alone(graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, 4))

    def test_lookups_and_the_heads_gemm_are_left_alone(self) -> None:
        first = helper.make_node("ReduceMean", ["x", "axis"], ["first"], keepdims=0)
        gemm = helper.make_node("Gemm", ["first", "w"], ["y"])
        left_alone(graph([first, gemm], {"w": self.WEIGHT, "axis": np.array([1])}, 4))

    def test_a_weight_behind_an_identity_is_found(self) -> None:
        nodes = [helper.make_node("Identity", ["w"], ["same"]), helper.make_node("MatMul", ["x", "same"], ["y"])]
        small = int8(graph(nodes, {"w": self.WEIGHT}, 4))
        assert [node.op_type for node in small.graph.node if node.op_type in ("Identity", "MatMul")] == []
        x = np.eye(4, dtype=np.float32)[None]
        (found,) = run(small, {"x": x})
        assert np.abs(found[0] - self.WEIGHT).max() <= np.abs(self.WEIGHT).max() / 126 * 1.01

    def test_a_weight_that_others_read_too_stays(self) -> None:
        nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "w"], ["y"])]
        small = int8(graph(nodes, {"w": self.WEIGHT}, 4))
        (found,) = run(small, {"x": np.zeros((1, 4, 4), np.float32)})
        np.testing.assert_array_equal(found[0], self.WEIGHT)

    def test_equal_weights_of_one_tensor_give_both_outputs(self) -> None:
        nodes = [
            helper.make_node("MatMul", ["x", "a"], ["p"]),
            helper.make_node("MatMul", ["x", "b"], ["q"]),
            helper.make_node("Sub", ["p", "q"], ["y"]),
        ]
        (found,) = run(
            int8(graph(nodes, {"a": self.WEIGHT, "b": self.WEIGHT}, 4)), {"x": np.ones((1, 2, 4), np.float32)}
        )
        assert not found.any()
