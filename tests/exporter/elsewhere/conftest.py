"""What the tests of given ONNX files share."""

import json
import shutil
from pathlib import Path

import onnx
import pytest

from tests.exporter.elsewhere.given import Given
from tests.support.graphs import converted
from tests.support.tiny import CLASSES, make_bundle
from tests.support.tiny_models import build


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Given:
    root = tmp_path_factory.mktemp("bert")
    _, _, graph = converted("bert", root)
    onnx.save(graph, root / "classifier.onnx")
    words = root / "tokenizer"
    words.mkdir()
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
