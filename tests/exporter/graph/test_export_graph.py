"""What an export does to its graph: it is rewritten where that is exact, left alone and said so where not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from exporter import ParityError, export_model
from exporter.graph.writer import GraphRewrite
from scorer import ModelBundle
from tests.support.tiny_models import build, quiet

DONE = "last layer on the first token only, without its keys and values"


def spoilt(model: onnx.ModelProto) -> GraphRewrite:
    """A rewrite that is not exact: a weight is changed."""
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    weight = max(broken.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.01, weight.name))
    return GraphRewrite(broken, True, "spoilt")


@quiet
def test_a_graph_is_rewritten_and_its_bundle_says_so(tmp_path: Path) -> None:
    bundle = export_model(build("bert", tmp_path / "model"), tmp_path / "bundle")
    assert bundle.variants["fp32"].graph == DONE
    assert ModelBundle.load(tmp_path / "bundle").variants == bundle.variants
    names = {node.output[0] for node in onnx.load(bundle.model_file()).graph.node}
    assert any("first_token" in name for name in names)


@quiet
def test_a_head_that_reads_other_tokens_leaves_the_graph_alone(tmp_path: Path) -> None:
    bundle = export_model(build("gpt2", tmp_path / "model"), tmp_path / "bundle")
    assert bundle.variants["fp32"].graph.startswith("unchanged: ")


@quiet
def test_a_rewrite_that_is_not_exact_is_undone_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.graph.first_token.keep_first_token", spoilt)
    bundle = export_model(build("bert", tmp_path / "model"), tmp_path / "bundle")
    assert bundle.variants["fp32"].graph.startswith("unchanged: spoilt is not exact here (")
    assert bundle.parity().max_logit_difference < 1e-4


@quiet
def test_a_graph_that_was_wrong_before_is_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "exporter.parity.reference"
    monkeypatch.setattr(f"{place}.reference_logits", lambda model, encodings: np.zeros((len(encodings), 4)))
    monkeypatch.setattr(f"{place}.require_own_parity", lambda *_: None)
    with pytest.raises(ParityError):
        export_model(build("bert", tmp_path / "model"), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
