"""The parity check itself: its texts, its numbers by hand, and that it sees a graph that is wrong in any way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from exporter import ParityError, export_model
from exporter import export as export_module
from exporter.parity.compare import _fault, compare
from exporter.parity.texts import Text, parity_texts
from exporter.routes.with_optimum import OPTIMUM
from tests.support.facts import facts, tells
from tests.support.tiny_models import build, quiet


def test_texts_are_many_varied_and_always_the_same() -> None:
    texts = parity_texts(512, ["[SEP]", "[MASK]", "[SEP]"])
    assert texts == parity_texts(512, ["[SEP]", "[MASK]", "[SEP]"])
    singles = [text for text, pair in texts if pair is None]
    pairs = [(text, pair) for text, pair in texts if pair is not None]
    assert len(singles) >= 64
    assert len(set(singles)) == len(singles)
    assert len(pairs) >= 12
    assert "" in singles
    assert ("", "") in pairs
    assert sum("[SEP]" in text for text in singles) == 1
    assert len({len(text) for text in singles}) > 50, "no variety of padding"
    assert sum(len(text.split()) > 512 for text in singles) >= 2
    assert max(map(len, singles)) > 128 * 512, "the scorer's cut of a very long text is never tried"
    for character in "\x00\n\u0301\u200d世서ع\u202e👍é<":
        assert any(character in text for text in singles), ascii(character)
    for text, pair in texts:
        (text + (pair or "")).encode()  # no lone surrogate: Arrow can't hold one


def test_differences_by_hand() -> None:
    reference = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]], np.float32)
    logits = reference.copy()
    logits[3] = [0.5, 0.0]
    logits[1] = [1.5, 1.0]
    parity = compare(reference, logits)
    assert parity.texts == 4
    assert parity.max_logit_difference == 1.5
    # Text 1: log(1 + e^-1) and log(1 + e^0.5) for class 1, 1 + log(1 + e^-1) and -0.5 + log(1 + e^0.5) for class 0.
    own = np.log1p(np.exp(0.5)) - np.log1p(np.exp(-1))
    other = abs((np.log1p(np.exp(0.5)) - 0.5) - (1 + np.log1p(np.exp(-1))))
    assert parity.max_loss_difference == pytest.approx(max(own, other), abs=1e-12)
    assert parity.label_agreement == 0.75
    # With the labels 0, 1, 0, 1 the losses were 0.127, 0.313, 0.049, 0.693 and are 0.127, 0.974, 0.049, 0.974; of
    # equal ones the first counts, so another text is the worst now.
    assert (parity.top_k, parity.top_k_overlap) == (1, 0.0)


def test_a_shift_of_all_logits_changes_no_loss() -> None:
    reference = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    parity = compare(reference, reference + np.float32(4))
    assert parity.max_logit_difference == pytest.approx(4, abs=1e-5)
    assert parity.max_loss_difference < 1e-6
    assert (parity.label_agreement, parity.top_k_overlap) == (1.0, 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_infinitely_far(bad: float) -> None:
    reference = np.zeros((4, 2), np.float32)
    logits = reference.copy()
    logits[2, 1] = bad
    for pair in ((reference, logits), (logits, reference), (logits, logits)):
        assert compare(*pair).max_logit_difference == np.inf


Change = Callable[[onnx.ModelProto], None]


def weaken(model: onnx.ModelProto) -> None:
    """Add 0.01 to one weight of the classifier."""
    for tensor in model.graph.initializer:
        if tensor.name.endswith("classifier.bias"):
            values = numpy_helper.to_array(tensor).copy()
            values[..., 0] += 0.01
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            return
    raise AssertionError([tensor.name for tensor in model.graph.initializer])


def poison(model: onnx.ModelProto) -> None:
    """Make every logit a NaN."""
    for node in model.graph.node:
        node.output[:] = ["clean" if name == "logits" else name for name in node.output]
    nan = numpy_helper.from_array(np.array(np.nan, np.float32), "nan")
    model.graph.initializer.append(nan)
    model.graph.node.append(helper.make_node("Add", ["clean", "nan"], ["logits"]))


def ignore_mask(model: onnx.ModelProto) -> None:
    """Attend to padding as to text: right for one row at a time, wrong in a batch."""
    for node in model.graph.node:
        node.input[:] = ["ones" if name == "attention_mask" else name for name in node.input]
    one = helper.make_tensor("one", onnx.TensorProto.INT64, [1], [1])
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["mask_shape"], ["ones"], value=one))
    model.graph.node.insert(0, helper.make_node("Shape", ["attention_mask"], ["mask_shape"]))


def ignore_type_ids(model: onnx.ModelProto) -> None:
    """Read pairs as if they were one text."""
    for node in model.graph.node:
        node.input[:] = ["first" if name == "token_type_ids" else name for name in node.input]
    zero = helper.make_tensor("zero", onnx.TensorProto.INT64, [1], [0])
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["type_shape"], ["first"], value=zero))
    model.graph.node.insert(0, helper.make_node("Shape", ["token_type_ids"], ["type_shape"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (weaken, r"logit .*\b0\.01 .*text \d+ of \d+ .*\b0\.0001\b"),
        (poison, r"exported graph .*not finite .*text 0 of (\d+) \(''\).* \1\b"),
        (ignore_mask, r"logit of the exported graph "),
        (ignore_type_ids, r"logit of the exported graph "),
    ],
)
def test_a_graph_that_is_wrong_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, message: str
) -> None:
    def convert(model: object, file: Path, inputs: tuple[str, ...]) -> None:
        OPTIMUM.convert(model, file, inputs)
        graph = onnx.load(str(file))
        change(graph)
        onnx.save(graph, str(file))

    wrong = replace(OPTIMUM, convert=convert)
    monkeypatch.setattr(export_module, "choose", lambda exporter, model_type: [wrong])
    folder = build("bert", tmp_path / "model")
    with pytest.raises(ParityError, match=message) as caught:
        export_model(folder, tmp_path / "bundle")
    assert str(caught.value).startswith("model can't be exported: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_the_worst_text_is_the_one_that_is_named() -> None:
    texts: list[Text] = [(f"text {i}", None) for i in range(70)]
    reference = np.zeros((70, 2), np.float32)
    logits = reference.copy()
    logits[12] = [2e-4, 0]
    logits[33] = [0.5, 0]
    fault = _fault(texts, reference, logits)
    assert fault is not None
    assert tells(fault, "logit", 0.5, "text 33 of 70 ('text 33')", "2 texts", "100.0%")


def test_the_tolerance_is_of_losses_too() -> None:
    texts: list[Text] = [("text", None)]
    reference = np.array([[0.0, 9.0]], np.float32)
    for moved, named in (
        ([[9e-5, 9.0]], None),
        ([[9e-5, 9.0 - 9e-5]], ("loss", 0.00018)),
    ):
        fault = _fault(texts, reference, np.array(moved, np.float32))
        assert fault is None if named is None else tells(fault, *named)


def test_torchs_own_nan_fails_too(tmp_path: Path) -> None:
    folder = break_weights(build("distilbert", tmp_path / "model"), float("nan"))
    with pytest.raises(ParityError, match=facts("torch", "not finite", "text 0")):
        export_model(folder, tmp_path / "bundle")


def test_a_model_that_does_not_read_its_text_passes(tmp_path: Path) -> None:
    """It computes what torch computes; what that is worth is the ranking's business."""
    folder = break_weights(build("distilbert", tmp_path / "model"), 0.0)
    parity = export_model(folder, tmp_path / "bundle").parity()
    assert (parity.max_logit_difference, parity.label_agreement, parity.top_k_overlap) == (0.0, 1.0, 1.0)


@quiet
def break_weights(folder: Path, value: float) -> Path:
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] = torch.full_like(weights["classifier.weight"], value)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
