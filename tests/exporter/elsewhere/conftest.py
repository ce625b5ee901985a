"""What the tests of given ONNX files share."""

import json
import shutil
import warnings
from pathlib import Path

import pytest

from exporter.fetch import fetch
from exporter.load import load
from exporter.routes.base import FED
from exporter.routes.choose import choose
from tests.exporter.elsewhere.given import Given
from tests.support.tiny import CLASSES, make_bundle
from tests.support.tiny_models import build


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Given:
    root = tmp_path_factory.mktemp("bert")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = load(fetch(build("bert", root / "model"))).model
        choose("auto", "bert")[0].convert(network, root / "classifier.onnx", FED)
    words = root / "tokenizer"
    words.mkdir()
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
