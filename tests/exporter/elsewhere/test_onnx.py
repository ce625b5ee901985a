"""A bundle of a graph that the user has: its losses are torch's, which the export never sees; the rest is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lossrank as lr
from exporter.errors import ExportError, ModelError, ParityError
from scorer import ModelBundle
from scorer.model.losses import log_softmax
from tests.exporter.test_export import TEXTS, bundle_logits, torch_logits
from tests.support import ROOT
from tests.support.commands import error_line
from tests.support.facts import tells
from tests.support.graphs import converted
from tests.support.tiny import MAX_TOKENS, make_bundle, save_model, weights
from tests.support.tiny_models import CLASSES, POSITIONS, edit

Lossrank = Callable[..., click.testing.Result]


@dataclass
class Given:
    """A tiny BERT as its user has it: a graph, a folder with the tokenizer, and the model for the test."""

    graph: Path
    tokenizer: Path
    labels: Path
    model: Path

    def export(self, output: Path, **changed: Any) -> ModelBundle:
        arguments = {"onnx": self.graph, "tokenizer": self.tokenizer, "labels": self.labels, "max_tokens": POSITIONS}
        return lr.export(output=output, progress=False, **{**arguments, **changed})


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Given:
    root = tmp_path_factory.mktemp("bert")
    _, _, graph = converted("bert", root)
    onnx.save(graph, root / "classifier.onnx")
    words = root / "tokenizer"
    words.mkdir()
    if not (root / "model").exists():  # another test of this process has converted it
        from tests.support.tiny_models import build

        build("bert", root / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(root / "model" / name, words)
    (root / "labels.json").write_text(json.dumps(CLASSES))
    return Given(root / "classifier.onnx", words, root / "labels.json", root / "model")


@pytest.fixture
def tiny(tmp_path: Path) -> Given:
    """The bundle whose logits are sums of the tokens' numbers, as its parts."""
    bundle = make_bundle(tmp_path / "parts")
    (tmp_path / "labels.txt").write_text("\n".join(CLASSES))
    return Given(bundle.model_file(), bundle.path, tmp_path / "labels.txt", bundle.path)


def changed(given: Given, change: Callable[[onnx.ModelProto], None], name: str = "changed.onnx") -> Path:
    graph = onnx.load(given.graph)
    change(graph)
    file = given.graph.with_name(name)
    onnx.save(graph, file)
    return file


def losses(bundle: ModelBundle, texts: list[str] = TEXTS) -> Any:
    return log_softmax(bundle_logits(bundle, texts))


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


def test_softmax_and_probabilities_become_logits(bert: Given, tmp_path: Path) -> None:
    def softmax(graph: onnx.ModelProto, *more: str) -> None:
        graph.graph.node.append(helper.make_node("Softmax", ["logits"], ["probs"], axis=-1))
        last = "probs"
        for operator in more:
            graph.graph.node.append(helper.make_node(operator, [last], [f"{last}'"]))
            last += "'"
        del graph.graph.output[:]
        graph.graph.output.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, ["b", "c"]))

    expected = losses(bert.export(tmp_path / "plain", int8=False))
    before = bert.export(tmp_path / "one", onnx=changed(bert, softmax, "softmax.onnx"), int8=False)
    assert "before its Softmax" in str(before.variants["fp32"].graph)
    np.testing.assert_allclose(losses(before), expected, rtol=0, atol=1e-6)
    hidden = changed(bert, lambda graph: softmax(graph, "Neg", "Abs"), "hidden.onnx")
    logs = bert.export(tmp_path / "two", onnx=hidden, int8=False)
    assert "logarithms" in str(logs.variants["fp32"].graph)
    np.testing.assert_allclose(losses(logs), expected, rtol=0, atol=1e-5)


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


def test_weights_beside_the_graph_come_into_the_bundle(bert: Given, tmp_path: Path) -> None:
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
    bundle = bert.export(tmp_path / "bundle", onnx=folder / "model.onnx", int8=False)
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


REFUSED: dict[str, tuple[Callable[[onnx.ModelProto], None], tuple[object, ...]]] = {
    "batch": (_fixed(0, 1), ("input_ids", "batch", 1, "anew", "dynamic_axes")),
    "length": (_fixed(1, 128), ("input_ids", "length", 128, "anew")),
    "unknown input": (_input("position_ids"), ("position_ids", "token_type_ids")),
    "kind of input": (_reals, ("attention_mask", "float", "int64")),
    "outputs": (_second("score"), ("score", "each", "`output_name`")),
    "opset": (_opset, ("opset", 99, "onnxruntime")),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_graph_that_does_not_fit_is_one_line(tiny: Given, tmp_path: Path, fault: str) -> None:
    change, named = REFUSED[fault]
    file = changed(tiny, change)
    with pytest.raises(ExportError) as refused:
        tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS)
    assert tells(refused.value, file, *named), str(refused.value)
    assert not (tmp_path / "bundle").exists()
    assert "\n" not in str(refused.value)


def test_the_output_that_is_named_is_taken(tiny: Given, tmp_path: Path) -> None:
    plain = tiny.export(tmp_path / "plain", max_tokens=MAX_TOKENS)
    file = changed(tiny, _second("score"))
    bundle = tiny.export(tmp_path / "bundle", onnx=file, max_tokens=MAX_TOKENS, output_name="score")
    np.testing.assert_array_equal(losses(bundle, ["w1 w2", "w3"]), losses(plain, ["w1 w2", "w3"]))
    with pytest.raises(ModelError) as refused:
        tiny.export(tmp_path / "no", onnx=file, max_tokens=MAX_TOKENS, output_name="scores")
    assert tells(refused.value, "scores", "score", "each")


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


GOOD = {
    "list.json": json.dumps(CLASSES),
    "config.json": json.dumps({"id2label": dict(enumerate(CLASSES))}),
    "id2label.json": json.dumps(dict(enumerate(CLASSES))),
    "label2id.json": json.dumps({name: i for i, name in enumerate(CLASSES)}),
    "lines.txt": "\r\n".join(CLASSES) + "\n",
}
BAD = {
    "three.txt": "a\nb\nc", "twice.txt": "a\nb\nA\nd", "empty.txt": "a\n\nc\nd", "numbers.txt": "0 a\n1 b\n2 c\n3 d",
    "looks.txt": json.dumps(CLASSES), "both.json": '{"0": 1, "1": 0}', "gap.json": '{"0": "a", "2": "b"}',
    "config.json": json.dumps({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}), "none.json": "3",
    "multi.json": json.dumps({"id2label": dict(enumerate(CLASSES)), "problem_type": "multi_label_classification"}),
}  # fmt: skip


def test_labels_are_read_only_where_their_order_is_certain(tmp_path: Path, tiny: Given) -> None:
    from exporter.elsewhere.labels import class_names

    for name, content in GOOD.items():
        (tmp_path / name).write_text(content)
        assert class_names(tmp_path / name) == CLASSES, name
    for name, content in BAD.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(ModelError) as refused:
            tiny.export(tmp_path / "bundle", labels=tmp_path / name, max_tokens=MAX_TOKENS)
        assert tells(refused.value, "`labels`"), name
        assert len(str(refused.value).replace(str(tmp_path), "")) < 400
    assert not (tmp_path / "bundle").exists()


def test_a_tokenizer_that_is_not_all_in_its_file_is_refused(bert: Given, tmp_path: Path) -> None:
    words = tmp_path / "words"
    for change, facts in (
        ({"do_lower_case": False}, ("do_lower_case", "lowercase")),
        ({"truncation_side": "left"}, ("truncation_side",)),
        ({"pad_token": "[NO]"}, ("[NO]",)),
        ({"added_tokens_decoder": {"999": {"content": "[NEW]"}}}, ("[NEW]",)),
    ):
        shutil.copytree(bert.tokenizer, words)
        edit(words, "tokenizer_config.json", **change)
        with pytest.raises(ModelError) as refused:
            bert.export(tmp_path / "bundle", tokenizer=words)
        assert tells(refused.value, "`tokenizer`", *facts)
        shutil.rmtree(words)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        bert.export(tmp_path / "bundle", tokenizer=tmp_path)


def test_the_limit_is_the_tokenizers_or_is_asked_for(bert: Given, tmp_path: Path) -> None:
    shutil.copytree(bert.tokenizer, tmp_path / "words")
    edit(tmp_path / "words", "tokenizer_config.json", model_max_length=40)
    bundle = bert.export(tmp_path / "bundle", tokenizer=tmp_path / "words", max_tokens=None, int8=False)
    assert bundle.max_tokens == 40
    edit(tmp_path / "words", "tokenizer_config.json", model_max_length=10**30)
    with pytest.raises(ModelError) as refused:
        bert.export(tmp_path / "no", tokenizer=tmp_path / "words", max_tokens=None)
    assert tells(refused.value, "model_max_length", "`max_tokens`")


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


def test_what_does_not_go_together_is_a_usage_error(lossrank: Lossrank, tiny: Given, tmp_path: Path) -> None:
    onnx_only = ("export", "--onnx", tiny.graph, tmp_path / "bundle")
    whole = (*onnx_only[:3], "--tokenizer", tiny.tokenizer, "--labels", tiny.labels)
    for arguments, fact in (
        (onnx_only, "--tokenizer"),
        (("export", "model", tmp_path / "bundle", "--labels", tiny.labels), "--labels"),
        (("export", "model", tmp_path / "bundle", "--logits"), "--onnx"),
        ((*whole, "model", "bundle"), "MODEL"),
        (whole, "BUNDLE"),
        (("export", "model"), "BUNDLE"),
        (("export",), "MODEL"),
    ):
        result = lossrank(*arguments)
        assert result.exit_code == 2
        assert fact in result.stderr
    said = error_line(lossrank(*whole, "-o", tmp_path / "bundle"))  # no tokenizer_config.json
    assert tells(said, "`--max-tokens`", "`--max-tokens 512`")
    assert lossrank(*whole, tmp_path / "bundle", "--max-tokens", "40").exit_code == 0


def test_files_of_other_kinds_get_advice(lossrank: Lossrank, tmp_path: Path) -> None:
    for name, facts in (
        ("pipeline.joblib", ("import-probs", "model.predict_proba", "model.classes_")),
        ("model.PKL", ("import-probs",)),
        ("model.skops", ("import-probs",)),
        ("model.onnx", ("--onnx", "--tokenizer", "--labels")),
    ):
        (tmp_path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch x'\ntR.")
        said = error_line(lossrank("export", tmp_path / name, tmp_path / "bundle"))
        assert tells(said, tmp_path / name, *facts)
