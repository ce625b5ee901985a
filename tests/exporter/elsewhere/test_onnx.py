"""A bundle of a graph that the user has: its losses are torch's, which the export never sees; the rest is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.errors import ModelError, ParityError
from scorer import ModelBundle
from scorer.model.losses import log_softmax
from tests.exporter.elsewhere.given import Given, changed, losses
from tests.exporter.test_export import TEXTS, torch_logits
from tests.support import ROOT
from tests.support.facts import tells
from tests.support.tiny import MAX_TOKENS, expected_logits, make_bundle, make_texts, save_model, weights
from tests.support.tiny_models import CLASSES, POSITIONS

Lossrank = Callable[..., click.testing.Result]


def test_the_losses_are_torchs_although_nobody_compared_them(bert: Given, tmp_path: Path) -> None:
    bundle = bert.export(tmp_path / "bundle")
    expected = log_softmax(torch_logits(bert.model, [(text,) for text in TEXTS]))
    assert expected.std(axis=0).min() > 0.05
    np.testing.assert_allclose(losses(bundle), expected, rtol=0, atol=1e-5)
    assert ModelBundle.load(bundle.path) == bundle
    manifest = json.loads((bundle.path / "bundle.json").read_text())
    assert (manifest["exporter"], manifest["compared_with"]) == ("onnx", "itself")
    assert (bundle.class_names, bundle.max_tokens, bundle.pad_id) == (CLASSES, POSITIONS, 0)
    assert "first token only" in str(bundle.variants["fp32"].graph)
    assert 0 < bundle.parity("int8").mean_loss_difference < 0.1
    assert bundle.parity().texts >= 64


def test_a_bundle_of_before_says_torch_by_saying_nothing(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    assert "compared_with" not in json.loads((bundle.path / "bundle.json").read_text())
    assert not isinstance(ModelBundle.load(bundle.path).compared_with, str)


def test_it_works_without_torch_and_transformers_and_says_what_was_compared(bert: Given, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'optimum', 'safetensors'): sys.modules[name] = None\n"
        "from lossrank.__main__ import main\nmain()"
    )
    arguments = ["--onnx", bert.graph, "--tokenizer", bert.tokenizer, "--labels", bert.labels, "--max-tokens", "64"]
    command = [sys.executable, "-c", program, "export", *map(str, arguments), "-o", str(tmp_path / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "NOT compared with torch" in done.stdout
    assert "nothing is compared with torch" in done.stderr
    assert ModelBundle.load(tmp_path / "bundle").class_names == CLASSES


def test_softmax_and_probabilities_become_logits(tiny: Given, tmp_path: Path) -> None:
    def softmax(graph: onnx.ModelProto, *more: str) -> None:
        graph.graph.node.append(helper.make_node("Softmax", ["logits"], ["probs"], axis=-1))
        last = "probs"
        for operator in more:
            graph.graph.node.append(helper.make_node(operator, [last], [f"{last}'"]))
            last += "'"
        del graph.graph.output[:]
        graph.graph.output.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, ["b", "c"]))

    texts = make_texts(40)
    expected = log_softmax([expected_logits(text) for text in texts])
    before = tiny.export(tmp_path / "one", onnx=changed(tiny, softmax, "softmax.onnx"), max_tokens=MAX_TOKENS)
    assert "before its Softmax" in str(before.variants["fp32"].graph)
    np.testing.assert_allclose(losses(before, texts), expected, rtol=0, atol=1e-5)
    hidden = changed(tiny, lambda graph: softmax(graph, "Neg", "Abs"), "hidden.onnx")
    logs = tiny.export(tmp_path / "two", onnx=hidden, max_tokens=MAX_TOKENS)
    assert "logarithms" in str(logs.variants["fp32"].graph)
    np.testing.assert_allclose(losses(logs, texts), expected, rtol=0, atol=1e-5)


def test_a_sigmoid_is_refused_unless_its_user_says_logits(tiny: Given, tmp_path: Path) -> None:
    def sigmoid(graph: onnx.ModelProto) -> None:
        graph.graph.node.append(helper.make_node("Sigmoid", ["logits"], ["scores"]))
        graph.graph.output[0].name = "scores"

    file = changed(tiny, sigmoid)
    with pytest.raises(ModelError) as refused:
        tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS)
    assert tells(refused.value, file, "scores", "`logits`")
    assert tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS, logits=True).class_names == CLASSES


def test_losses_that_depend_on_the_batch_are_refused(tiny: Given, tmp_path: Path) -> None:
    def unmasked(graph: onnx.ModelProto) -> None:
        table = numpy_helper.to_array(graph.graph.initializer[0]).copy()
        next(node for node in graph.graph.node if node.op_type == "ReduceSum").input[0] = "each"
        graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "table"))

    file = changed(tiny, unmasked)
    with pytest.raises(ParityError) as refused:
        tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS)
    assert tells(refused.value, "changed.onnx", "batch", "attention_mask")
    assert "torch" not in str(refused.value)
    assert not (tmp_path / "bundle").exists()


def test_weights_beside_the_graph_come_into_the_bundle(
    bert: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.graph.beside.SMALL", 100)  # smaller tensors come into the graph
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    onnx.save(
        onnx.load(bert.graph),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=100,
    )
    (folder / "weights.bin").rename(folder / "weights" / "w.bin")
    graph = onnx.load(folder / "model.onnx", load_external_data=False)
    places = [each for tensor in graph.graph.initializer for each in tensor.external_data if each.key == "location"]
    for place in places:
        place.value = "weights/w.bin"
    onnx.save(graph, folder / "model.onnx")
    expected = losses(bert.export(tmp_path / "plain", int8=False))
    cache = tmp_path / "cache"  # the hub's has links, which lead to one folder of all files
    cache.mkdir()
    for name in ("model.onnx", "weights"):
        (cache / name).symlink_to(folder / name)
    linked = bert.export(tmp_path / "linked", onnx=cache / "model.onnx", int8=False)
    bundle = bert.export(tmp_path / "bundle", onnx=folder / "model.onnx", int8=False)
    assert linked.files == bundle.files
    shutil.rmtree(folder / "weights")
    assert set(ModelBundle.load(bundle.path).files) == {"model.onnx", "model.onnx.data", "tokenizer.json"}
    np.testing.assert_allclose(losses(bundle), expected, rtol=0, atol=1e-6)
    assert bert.export(bundle.path, force=True, int8=False).class_names == CLASSES  # no file is a stranger
    for name, fact in (("weights/w.bin", "not beside it"), ("../../secret", "outside"), ("/etc/passwd", "outside")):
        for place in places:
            place.value = name
        onnx.save(graph, folder / "model.onnx")
        with pytest.raises(ModelError) as refused:
            bert.export(tmp_path / "no", onnx=folder / "model.onnx")
        assert tells(refused.value, folder / "model.onnx", fact)
    (tmp_path / "secret").write_bytes(b"0" * 10**6)
    (folder / "link").symlink_to(tmp_path / "secret")
    for place in places:
        place.value = "link"
    onnx.save(graph, folder / "model.onnx")
    with pytest.raises(ModelError, match="outside"):
        bert.export(tmp_path / "no", onnx=folder / "model.onnx")
    assert not (tmp_path / "no").exists()


def test_ids_and_lengths_that_the_graph_lacks_are_named(tiny: Given, bert: Given, tmp_path: Path) -> None:
    save_model(tiny.graph, weights()[:50])
    with pytest.raises(ModelError) as refused:
        tiny.export(tmp_path / "bundle", max_tokens=MAX_TOKENS)
    assert tells(refused.value, "`tokenizer`", 63, tiny.graph)
    with pytest.raises(ModelError) as refused:
        bert.export(tmp_path / "bundle", max_tokens=POSITIONS + 1)
    assert tells(refused.value, bert.graph, POSITIONS + 1, "`max_tokens`")


def test_what_is_no_graph_is_said(tiny: Given, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("a thesis")
    for file, fact in ((tmp_path / "text.onnx", "no ONNX graph"), (tmp_path, "folder"), (tmp_path / "x", "exist")):
        with pytest.raises(ModelError) as refused:
            tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS)
        assert tells(refused.value, file, fact)


def test_stopped_half_way_it_leaves_nothing(tiny: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import os, signal, sys\nimport exporter.elsewhere.export as export\n"
        "export._compared = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "export.export_onnx(sys.argv[1], sys.argv[4], tokenizer=sys.argv[2], labels=sys.argv[3], max_tokens=40)"
    )
    output = tmp_path / "out" / "bundle"
    arguments = map(str, (tiny.graph, tiny.tokenizer, tiny.labels, output))
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert not output.exists()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exporter.elsewhere.export._compared", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tiny.export(tmp_path / "other" / "bundle", max_tokens=MAX_TOKENS)
    assert not (tmp_path / "other").exists()
