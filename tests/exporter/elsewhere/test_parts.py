"""The labels and the tokenizer of a given graph, and the command's options."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pytest

import lossrank as lr
from exporter.errors import ModelError
from scorer.model.tokenizer import BundleTokenizer
from tests.exporter.elsewhere.given import Given
from tests.support.commands import error_line
from tests.support.facts import tells
from tests.support.tiny import CLASSES, MAX_TOKENS
from tests.support.tiny_models import edit

Lossrank = Callable[..., click.testing.Result]

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


def test_a_tokenizer_that_keeps_the_end_of_a_long_text_does_so_in_its_bundle(bert: Given, tmp_path: Path) -> None:
    words = tmp_path / "words"
    shutil.copytree(bert.tokenizer, words)
    edit(words, "tokenizer_config.json", truncation_side="left")
    bundle = bert.export(tmp_path / "bundle", tokenizer=words)
    assert bundle.long_text == "tail"
    texts = ["oil " * 300 + "bank " * 300, "gold " * 300 + "bank " * 300]
    for long_text, same in ((None, True), ("head", False)):
        window = BundleTokenizer(bundle, long_text=long_text).tokenise(texts)
        assert (window.ids[: window.lengths[0]].tolist() == window.ids[window.lengths[0] :].tolist()) is same


def test_a_tokenizer_that_is_not_all_in_its_file_is_refused(bert: Given, tmp_path: Path) -> None:
    words = tmp_path / "words"
    for change, facts in (
        ({"do_lower_case": False}, ("do_lower_case", "lowercase")),
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


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "m"},
        {"output": "x"},
        {"model": "m", "onnx": "y", "output": "x"},
        {"onnx": "y", "output": "x"},
        {"model": "m", "output": "x", "labels": ["a", "b"]},
        {"model": "m", "output": "x", "logits": True},
        {"onnx": "y", "output": "x", "tokenizer": "t", "labels": ["a", "b"], "revision": "v2"},
    ],
)
def test_arguments_that_do_not_go_together_are_a_type_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="export"):
        lr.export(**arguments)
