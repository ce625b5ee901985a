"""What is not exported, with which words, and that nothing is left behind."""

import logging
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter import ConversionError, ExportError, MissingExtraError, ModelError, export_model
from exporter.libraries import captured
from exporter.routes.with_optimum import OPTIMUM
from tests.support.facts import facts, tells
from tests.support.tiny_models import CLASSES, build, edit, quiet

NAMES = {str(i): name for i, name in enumerate(CLASSES)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return build("distilbert", tmp_path / "in" / "model")


def refusal(model: Path, kind: type[ExportError] = ModelError, **options: Any) -> str:
    """Return the message of a refused export, checking that it is one line and that nothing is left."""
    output = model.parent.parent / "out" / "bundle"
    with pytest.raises(kind) as caught:
        export_model(model, output, **options)
    assert sorted(entry.name for entry in model.parent.parent.iterdir()) == ["in"]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"architectures": ["DistilBertForTokenClassification"]},
            ["token classifier", "DistilBertForTokenClassification", "...ForSequenceClassification"],
        ),
        (
            {"architectures": ["DistilBertModel"]},
            ["bare encoder", "DistilBertModel"],
        ),
        ({"architectures": ["DistilBertForMaskedLM"]}, ["masked language model", "DistilBertForMaskedLM"]),
        ({"architectures": ["DistilBertForQuestionAnswering"]}, ["question answerer"]),
        ({"architectures": ["Whatever"]}, ["Whatever"]),
        ({"problem_type": "regression"}, ["regression"]),
        ({"id2label": {"0": "score"}, "label2id": None}, ["regression"]),
        ({"problem_type": "multi_label_classification"}, ["multi-label"]),
        ({"problem_type": "ranking"}, ["problem_type", "'ranking'", "'single_label_classification'"]),
        (
            {"id2label": {**NAMES, "2": " sports"}, "label2id": None},
            ["id2label", "config.json", "'Sports', ' sports'"],
        ),
        (
            {"id2label": {"0": "a", "1": "b", "4": "c"}, "label2id": None},
            ["id2label", "config.json", "class 2, 3"],
        ),
        ({"id2label": {**NAMES, "1": " "}, "label2id": None}, ["id2label", "config.json", "empty", "class 1"]),
        ({"id2label": ["a", "b"], "label2id": None}, ["id2label", "config.json", "class indices"]),
        ({"id2label": {"x": "a", "y": "b"}}, ["id2label", "config.json", "class indices"]),
        ({"num_labels": 3}, ["id2label", "config.json", 4, "num_labels", 3]),
        ({"id2label": None, "label2id": None, "num_labels": "many"}, ["num_labels", "config.json", "'many'"]),
        (
            {"label2id": {"World": 1, "Sports": 0, "Business": 2, "Sci/Tech": 3}},
            ["id2label", "label2id", "config.json", "'World', 'Sports'"],
        ),
        (
            {"model_type": "homemade", "auto_map": {"AutoConfig": "code.Config"}},
            ["model_type", "'homemade'", "code", "never run"],
        ),
        ({"model_type": None}, ["model_type", None]),
        (
            {"architectures": ["JinaForSequenceClassification"], "auto_map": {"AutoModel": "code.Model"}},
            ["JinaForSequenceClassification", "code", "never run"],
        ),
        (
            {"auto_map": {"AutoModelForSequenceClassification": "code.Bert"}},
            ["code.Bert", "its own", "never run"],
        ),
        ({"quantization_config": {"quant_method": "gptq"}}, ["quantised", "gptq"]),
        ({"pad_token_id": 3}, ["padding", 0, 3, "config.json"]),
    ],
)
def test_a_configuration_that_would_give_wrong_losses(
    model: Path, changes: dict[str, Any], named: list[object]
) -> None:
    assert tells(refusal(edit(model, **changes)), "model can't be exported", *named)


def test_all_reasons_come_at_once(model: Path) -> None:
    edit(model, architectures=["DistilBertModel"], problem_type="regression", num_labels=7, quantization_config={})
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    (model / "adapter_config.json").write_text("{}")
    message = refusal(model)
    for reason in (
        "bare encoder",
        "regression",
        "num_labels is 7",
        "quantised",
        "PEFT adapter",
        "pytorch_model.bin",
    ):
        assert reason in message


def test_a_label_of_another_case_in_label2id_is_no_contradiction(model: Path, tmp_path: Path) -> None:
    edit(model, label2id={"LABEL_0": 0, "LABEL_1": 1})  # a left-over that many published models have
    assert export_model(model, tmp_path / "bundle").class_names == CLASSES


@pytest.mark.parametrize("architectures", [None, ["DistilBertForSequenceClassification"]])
def test_a_head_of_random_weights_is_refused(model: Path, architectures: list[str] | None) -> None:
    strip_head(model)
    message = refusal(edit(model, architectures=architectures))
    assert (
        "its weights lack classifier.bias, classifier.weight, pre_classifier.bias, pre_classifier.weight of "
        "DistilBertForSequenceClassification, which transformers would initialise randomly;"
    ) in message


@quiet
def strip_head(model: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "classifier" not in name}
    save_file(kept, model / "model.safetensors", metadata={"format": "pt"})


def test_no_architecture_is_no_reason_if_the_head_is_there(model: Path, tmp_path: Path) -> None:
    assert export_model(edit(model, architectures=None), tmp_path / "bundle").class_names == CLASSES


def test_a_folder_without_a_model(model: Path) -> None:
    (model / "config.json").unlink()
    assert tells(refusal(model), "config.json", model)
    (model / "adapter_config.json").write_text("{}")
    assert tells(refusal(model), "PEFT adapter", "base model")


@pytest.mark.parametrize(
    ("content", "message"), [("{", "config.json is not JSON (Expecting"), ("[]", "not a JSON object")]
)
def test_a_broken_config(model: Path, content: str, message: str) -> None:
    (model / "config.json").write_text(content)
    assert message in refusal(model)


def test_a_config_transformers_can_not_read(model: Path) -> None:
    message = refusal(edit(model, n_heads=5), ConversionError)
    assert message.startswith("loading the weights failed: ValueError: config.n_heads 5 must divide config.dim 32")


def test_weights_of_another_shape(model: Path) -> None:
    edit(model, id2label={"0": "a", "1": "b", "2": "c"}, label2id=None)
    message = refusal(model, ConversionError)
    assert message.startswith("loading the weights failed: RuntimeError: Error(s) in loading state_dict")


def test_damaged_weights(model: Path) -> None:
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-100])
    assert refusal(model, ConversionError).startswith("loading the weights failed: SafetensorError: ")


def test_pickled_weights_are_never_read(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    proof = tmp_path / "in" / "ran"
    (model / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {proof}'\ntR.".encode())
    assert tells(refusal(model), "*.safetensors", "pytorch_model.bin", "pickled")
    assert not proof.exists()


@pytest.mark.filterwarnings("ignore")
def test_the_way_out_of_pickled_weights_works_as_it_is_printed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    expected = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    printed = re.search(r'python -c "(.*)" and export FOLDER$', refusal(model))
    assert printed is not None
    monkeypatch.chdir(tmp_path)
    exec(printed[1], {})
    written = load_file(tmp_path / "FOLDER" / "model.safetensors")
    assert all(torch.equal(written[name], weight) for name, weight in expected.items())
    assert export_model(tmp_path / "FOLDER", tmp_path / "bundle").class_names == CLASSES


def test_a_decoder_without_a_padding_token(tmp_path: Path) -> None:
    model = edit(build("gpt2", tmp_path / "in" / "model"), pad_token_id=None)
    edit(model, "tokenizer_config.json", pad_token=None)
    edit(model, "special_tokens_map.json", pad_token=None)
    assert tells(refusal(model), "GPT2ForSequenceClassification", "ValueError: Cannot handle batch sizes > 1")


def test_optimums_bart_is_refused(tmp_path: Path) -> None:
    """It takes the vectors at </s>, so a text that holds one can't share a batch; torch's route has the last one."""
    model = build("bart", tmp_path / "in" / "model")
    assert tells(refusal(model, ConversionError, exporter="optimum"), "running the exported graph")


def test_a_graph_with_an_input_that_scoring_does_not_feed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.routes.base.FED", ("input_ids",))
    assert tells(refusal(model), "attention_mask", "only input_ids")


def test_places_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    cases = {
        str(tmp_path / "my-modell"): (f"{tmp_path}/my-modell", f"did you mean '{tmp_path}/my-model'?"),
        "./nowhere/at/all": ("neither a folder", "./nowhere/at/all", "hub"),
        "file": ("file", "config.json"),
    }
    for name, named in cases.items():
        with pytest.raises(ModelError, match=facts(*named)):
            export_model(name, tmp_path / "bundle")
    with pytest.raises(ModelError, match=facts("my-model", "'v1'", "`revision`")):
        export_model("my-model", tmp_path / "bundle", revision="v1")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("name", ["torch", "transformers", "onnx"])
def test_a_missing_library_is_named_with_the_pip_command(
    model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    message = refusal(model, MissingExtraError)
    assert tells(message, name.partition(".")[0], "`pip install 'lossrank[export]'`")


def test_what_a_failing_library_says_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("transformers.models")
    handlers = logging.getLogger("transformers").handlers

    @captured("converting")
    def convert() -> None:
        print("printed")
        print("to stderr", file=sys.stderr)
        warnings.warn("warned", FutureWarning, stacklevel=1)
        logger.warning("logged")
        raise RuntimeError("first line\n  second " + "x" * 400)

    with pytest.raises(ConversionError) as caught:
        convert()
    assert str(caught.value).startswith("converting failed: RuntimeError: first line second xxx")
    assert str(caught.value).endswith("xxx...")
    assert caught.value.log == "printed\nto stderr\nFutureWarning: warned\nlogged\n"
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("transformers").handlers is handlers


def test_a_failing_conversion(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import optimum.exporters.onnx

    def export(*arguments: Any) -> None:
        arguments[2].write_bytes(b"half a graph")
        raise KeyError("no such operator")

    monkeypatch.setattr(optimum.exporters.onnx, "export", export)
    message = refusal(model, ConversionError, exporter="optimum")
    assert message == "converting to ONNX with optimum failed: KeyError: 'no such operator'"


def test_a_graph_onnxruntime_can_not_load(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx import TensorProto, helper

    from exporter import export

    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 4])]
    graph = helper.make_graph([helper.make_node("Unheard", list(names), ["logits"])], "odd", inputs, outputs)

    def convert(network: object, file: Path, inputs: tuple[str, ...]) -> None:
        file.write_bytes(content)

    monkeypatch.setattr(export, "choose", lambda exporter, model_type: [replace(OPTIMUM, convert=convert)])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    assert tells(refusal(model, ConversionError), "exported graph", "can't be loaded by onnxruntime")
    content = b"not a graph"
    assert tells(refusal(model, ConversionError), "reading the graph")
