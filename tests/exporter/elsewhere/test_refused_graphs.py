"""Graphs whose inputs or outputs don't fit are refused in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exporter.errors import ExportError, ModelError
from scorer.model.losses import log_softmax
from tests.exporter.elsewhere.given import Given, changed, losses
from tests.support.facts import tells
from tests.support.tiny import MAX_TOKENS, expected_logits


def _fixed(axis: int, size: int) -> Callable[[onnx.ModelProto], None]:
    def change(graph: onnx.ModelProto) -> None:
        graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size

    return change


def _input(name: str, kind: int = TensorProto.INT64) -> Callable[[onnx.ModelProto], None]:
    def change(graph: onnx.ModelProto) -> None:
        graph.graph.input.append(helper.make_tensor_value_info(name, kind, ["b", "t"]))

    return change


def _second(*names: str) -> Callable[[onnx.ModelProto], None]:
    def change(graph: onnx.ModelProto) -> None:
        for node in graph.graph.node:
            node.output[:] = [names[0] if name == "logits" else name for name in node.output]
        graph.graph.output[0].name = names[0]
        graph.graph.output.append(helper.make_tensor_value_info("each", TensorProto.FLOAT, ["b", "t", 4]))
        graph.graph.output[1].name = "each"

    return change


def _opset(graph: onnx.ModelProto) -> None:
    graph.opset_import[0].version = 99


def _reals(graph: onnx.ModelProto) -> None:
    graph.graph.input[1].type.tensor_type.elem_type = TensorProto.FLOAT


def _hidden_batch(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(helper.make_tensor("one text", TensorProto.INT64, [2], [1, 4]))
    _last(graph, "Reshape", "one text")


def _numbers(graph: onnx.ModelProto) -> None:
    _last(graph, "ArgMax", axis=1)
    graph.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64


def _words(graph: onnx.ModelProto) -> None:
    graph.graph.output[0].name = "each"
    graph.graph.output[0].type.tensor_type.ClearField("shape")


def _last(graph: onnx.ModelProto, operator: str, *inputs: str, **attributes: object) -> None:
    graph.graph.node.append(helper.make_node(operator, ["logits", *inputs], ["final"], **attributes))
    graph.graph.output[0].name = "final"


REFUSED: dict[str, tuple[Callable[[onnx.ModelProto], None], tuple[object, ...]]] = {
    "batch": (_fixed(0, 1), ("input_ids", "batch", 1, "anew", "dynamic_axes")),
    "length": (_fixed(1, 128), ("input_ids", "length", 128, "anew")),
    "unknown input": (_input("position_ids"), ("position_ids", "token_type_ids")),
    "kind of input": (_reals, ("attention_mask", "float", "int64")),
    "outputs": (_second("score"), ("score", "each", "`output_name`")),
    "hidden batch": (_hidden_batch, ("3", "anew", "reshaped")),
    "numbers": (_numbers, ("final", "int64", "logits")),
    "words": (_words, ("[1, 8, 4]",)),
    "not finite": (lambda graph: _last(graph, "Log"), ("finite",)),
    "opset": (_opset, ("opset", 99, "onnxruntime")),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_graph_that_does_not_fit_is_one_line(tiny: Given, tmp_path: Path, fault: str) -> None:
    change, named = REFUSED[fault]
    file = changed(tiny, change)
    with pytest.raises(ExportError) as refused:
        tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS)
    assert tells(refused.value, file.name, *named), str(refused.value)
    assert not (tmp_path / "bundle").exists()
    assert "\n" not in str(refused.value)
    assert len(str(refused.value).replace(str(tmp_path), "")) <= 400


def test_the_output_that_is_named_is_taken(tiny: Given, tmp_path: Path) -> None:
    plain = tiny.export(tmp_path / "plain", max_tokens=MAX_TOKENS)
    file = changed(tiny, _second("score"))
    bundle = tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS, output_name="score")
    np.testing.assert_array_equal(losses(bundle, ["w1 w2", "w3"]), losses(plain, ["w1 w2", "w3"]))
    with pytest.raises(ModelError) as refused:
        tiny.export(tmp_path / "no", onnx=file, max_tokens=MAX_TOKENS, output_name="scores")
    assert tells(refused.value, "scores", "score", "each")


def _whole_numbers(graph: onnx.ModelProto) -> None:
    for each in graph.graph.input:
        each.type.tensor_type.elem_type = TensorProto.INT32


def _no_shapes(graph: onnx.ModelProto) -> None:
    for each in (*graph.graph.input, *graph.graph.output):
        each.type.tensor_type.ClearField("shape")


def _weights_as_inputs(graph: onnx.ModelProto) -> None:
    for each in graph.graph.initializer:
        graph.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)))


@pytest.mark.parametrize("change", [_whole_numbers, _no_shapes, _weights_as_inputs])
def test_what_makes_no_difference_is_no_fault(
    tiny: Given, tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    bundle = tiny.export(tmp_path / "bundle", onnx=changed(tiny, change), max_tokens=MAX_TOKENS)
    expected = log_softmax([expected_logits("w1 w2"), expected_logits("w3")])
    np.testing.assert_allclose(losses(bundle, ["w1 w2", "w3"]), expected, rtol=0, atol=1e-5)
    assert bundle.input_names == ("input_ids", "attention_mask")
