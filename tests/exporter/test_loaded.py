"""Export a model that is already loaded, alone or in a pipeline, as its folder would be exported."""

import json
from pathlib import Path
from typing import Any

import pytest

import lossrank as lr
from exporter import ModelError
from exporter.loaded import on_disk
from tests.support.commands import Lossrank, document
from tests.support.tiny_models import build, quiet


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("bert", tmp_path_factory.mktemp("model") / "classifier")


@pytest.fixture(scope="module")
def from_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> lr.ModelBundle:
    return lr.export(folder, tmp_path_factory.mktemp("bundle") / "bundle", int8=False, progress=False)


@quiet
def loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    auto: Any = AutoTokenizer
    return AutoModelForSequenceClassification.from_pretrained(folder), auto.from_pretrained(folder)


def test_a_loaded_model_is_exported_like_its_folder(folder: Path, from_folder: lr.ModelBundle, tmp_path: Path) -> None:
    model, tokenizer = loaded(folder)
    bundle = lr.export(model, tmp_path / "bundle", tokenizer=tokenizer, int8=False, progress=False)
    assert bundle.sha256 == from_folder.sha256
    assert bundle.model == "classifier"


def test_a_pipeline_is_its_model_and_its_tokenizer(folder: Path) -> None:
    from transformers import TextClassificationPipeline

    model, tokenizer = loaded(folder)
    with on_disk(TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")) as of_pipeline:
        saved = Path(of_pipeline.given)
        with on_disk(model, tokenizer) as of_model:
            files = {file.name: file.read_bytes() for file in Path(of_model.given).iterdir()}
            assert {file.name: file.read_bytes() for file in saved.iterdir()} == files
    assert (of_pipeline.name, saved.exists()) == ("classifier", False)


def test_what_is_no_model_is_refused(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = loaded(folder)
    for wrong, keywords, told in (
        (model, {}, "`tokenizer`"),
        (tokenizer, {}, type(tokenizer).__name__),
        (7, {}, "int"),
        (folder, {"tokenizer": tokenizer}, "`tokenizer`"),
    ):
        with pytest.raises(ModelError) as error:
            lr.export(wrong, tmp_path / "bundle", progress=False, **keywords)
        assert told in str(error.value)
        assert not (tmp_path / "bundle").exists()


def test_the_command_prints_the_bundle(
    lossrank: Lossrank, folder: Path, from_folder: lr.ModelBundle, tmp_path: Path
) -> None:
    found = document(lossrank("export", folder, tmp_path / "bundle", "--no-int8", "--json"))
    assert found.pop("seconds") > 0
    steps = found.pop("steps")
    assert [step["doing"] for step in steps][3:] == [
        "running 87 texts through torch",
        "converting to ONNX with optimum",
        "running 87 texts through onnxruntime",
    ]
    assert all(step["seconds"] >= 0 for step in steps)
    assert found.pop("path") == str(tmp_path / "bundle")
    assert found.pop("sha256") == from_folder.sha256
    assert found == json.loads(json.dumps(from_folder.to_dict()))
